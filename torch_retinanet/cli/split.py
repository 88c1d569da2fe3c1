"""`retinanet split`: a data set divided into training, validation and test, pictures that look alike together."""

import argparse
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch_retinanet.cli.data import add_data, read_screened
from torch_retinanet.errors import InputError
from torch_retinanet.terminal import say

if TYPE_CHECKING:
    from torch_retinanet.data.annotations import Annotations, Ints

NAMES = ("train", "val", "test")
"""Of the splits, as many as there are shares."""


WIDTH = 100
"""Letters in a line where the output is no terminal."""


def add_to(commands: Any) -> None:
    """Add the command to those of the parser."""
    split = commands.add_parser("split", help="divide a data set into training, validation and test")
    add_data(split)
    split.add_argument("--out", type=Path, default=Path("splits"), help="the folder for a COCO JSON a split (splits)")
    split.add_argument(
        "--shares", type=float, nargs="+", default=[0.8, 0.1, 0.1], help="of train, val and test (0.8 0.1 0.1)"
    )
    split.add_argument("--seed", type=int, default=0, help="of the division (0)")
    split.set_defaults(run=_split)


def _split(options: argparse.Namespace) -> int:
    from torch_retinanet.data.alike import groups_of, looks_of
    from torch_retinanet.data.coco_writer import write_coco
    from torch_retinanet.data.splitting import split_of_each

    shares = _shares(options.shares)
    if options.seed < 0:
        raise InputError(f"--seed: {options.seed} must be at least 0")
    files = {name: options.out / f"{name}.json" for name in NAMES[: len(shares)]}
    if taken := [path for path in files.values() if path.exists()]:
        raise InputError(f"--out: {taken[0]} is there already, and would be written over; give another folder")
    annotations = read_screened(options, decode=False)
    if not annotations.pictures:
        raise InputError(f"{options.data}: must have a picture, and `retinanet inspect` says why none is left")
    groups = groups_of(looks_of(annotations.pictures))
    if (different := len({*groups.tolist()})) < len(shares):
        what = f"{options.data}: pictures that do not look alike are {different}"
        raise InputError(f"{what}, and must be {len(shares)} at least, one for each of --shares")
    chosen = split_of_each(annotations, groups, shares, options.seed)
    root = Path(os.path.commonpath([picture.parent.absolute() for picture in annotations.pictures]))
    options.out.mkdir(parents=True, exist_ok=True)
    for index, path in enumerate(files.values()):
        write_coco(path, annotations.select(pictures=chosen == index), root)
    _print_table(annotations, chosen, list(files))
    alike = len(annotations.pictures) - len({*groups.tolist()})
    say(f"pictures that look like another, and are in one split with it: {alike:,}")
    say(_advice(files, root))
    return 0


def _shares(given: list[float]) -> list[float]:
    """Shares that sum to 1."""
    if not (2 <= len(given) <= len(NAMES) and all(share > 0 for share in given) and abs(sum(given) - 1) <= 1e-6):
        words = " ".join(f"{share:g}" for share in given)
        raise InputError(f"--shares: {words} must be two or three numbers above 0 that sum to 1")
    return given


def _print_table(annotations: "Annotations", chosen: "Ints", names: list[str]) -> None:
    import numpy as np
    from rich.table import Table

    from torch_retinanet.cli.tables import TableConsole

    objects = ~annotations.ignored
    of_object, labels = chosen[annotations.owners()][objects], annotations.labels[objects]
    table = Table("", *names)
    table.add_row("pictures", *(f"{int((chosen == index).sum()):,}" for index in range(len(names))))
    for label in np.argsort(-np.bincount(labels, minlength=len(annotations.classes)), kind="stable").tolist():
        counts = [int(((of_object == index) & (labels == label)).sum()) for index in range(len(names))]
        table.add_row(annotations.classes[label], *(f"{count:,}" for count in counts))
    TableConsole(WIDTH).print(table)


def _advice(files: dict[str, Path], root: Path) -> str:
    train, val = files["train"], files["val"]
    words = ["retinanet", "train", str(train), "--images", str(root), "--val", str(val), "--val-images", str(root)]
    return f"to train on them: {shlex.join(words)}"
