"""`retinanet anchors`: whether a model's anchors fit the boxes of a data set, and which would."""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch_retinanet.cli.data import add_data, read_screened
from torch_retinanet.cli.detector import add_tiles, waiting
from torch_retinanet.config import PRESETS, RetinaNetConfig
from torch_retinanet.config.fields import as_text
from torch_retinanet.errors import InputError
from torch_retinanet.files import atomic_write
from torch_retinanet.terminal import say
from torch_retinanet.tiles import Tiling

if TYPE_CHECKING:
    from torch_retinanet.data.anchor_coverage import SeenBoxes

FITTED = ("min_level", "max_level", "anchor_scale", "anchor_sizes", "anchor_ratios")
"""The fields of a config that are proposed."""


WIDTH = 100
"""Letters in a line where the output is no terminal."""

SIZES = ("min_side", "max_side", "tile", "overlap")
"""Flags that say in which sizes pictures are seen."""


def add_to(commands: Any) -> None:
    """Add the command to those of the parser."""
    anchors = commands.add_parser("anchors", help="propose anchors that fit the boxes of a data set")
    add_data(anchors)
    anchors.add_argument("--preset", choices=PRESETS, default="torchvision", help="whose anchors (torchvision)")
    anchors.add_argument(
        "--conventions", nargs="+", metavar="NAME=VALUE", default=[], help="that differ from it, as anchor_scale=2"
    )
    anchors.add_argument("--min-side", type=int, help="pixels of a picture's short side (default: the preset's)")
    anchors.add_argument("--max-side", type=int, help="pixels that its long side has at most (default: the preset's)")
    add_tiles(anchors)
    anchors.add_argument("--out", type=Path, default=Path("out/anchors.png"), help="the .png (out/anchors.png)")
    anchors.set_defaults(run=_anchors)


def _anchors(options: argparse.Namespace) -> int:
    from torch_retinanet.data.anchor_coverage import seen_boxes
    from torch_retinanet.data.anchor_plot import plot_anchors
    from torch_retinanet.data.anchor_search import propose_anchors
    from torch_retinanet.data.tiled import tiled

    if options.out.suffix.lower() != ".png":
        raise InputError(f"--out: {options.out} must end in .png")
    config, tiling = _config(options), _tiling(options)
    annotations = read_screened(options, decode=False)
    annotations = annotations if tiling is None else tiled(annotations, tiling, empty=0.0, seed=0)
    seen = seen_boxes(annotations, config)
    if not len(seen.boxes_xyxy):
        raise InputError(f"{options.data}: must have an object, and `retinanet inspect` says why none is left")
    with waiting("trying anchors"):
        proposed = propose_anchors(seen, config)
    _print_table(seen, config, proposed)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(options.out) as beside:
        plot_anchors(seen, config, proposed).savefig(beside, dpi=120, format="png")
    say(f"drawn in {options.out}")
    say(_advice(options, config, proposed))
    return 0


def _config(options: argparse.Namespace) -> RetinaNetConfig:
    sides = {name: value for name in ("min_side", "max_side") if (value := getattr(options, name)) is not None}
    config = RetinaNetConfig.preset(options.preset, **sides)
    for assignment in options.conventions:
        config = config.with_convention(assignment)
    return config


def _tiling(options: argparse.Namespace) -> Tiling | None:
    if not options.tile:
        return None
    return Tiling(options.tile) if options.overlap is None else Tiling(options.tile, options.overlap)


def _print_table(seen: "SeenBoxes", config: RetinaNetConfig, proposed: RetinaNetConfig) -> None:
    from rich.table import Table

    from torch_retinanet.cli.tables import TableConsole
    from torch_retinanet.data.anchor_coverage import coverage
    from torch_retinanet.data.anchor_search import BOUNDS, covered

    table = Table("", "as it is", "proposed", title=f"anchors for {len(seen.boxes_xyxy):,} boxes", title_justify="left")
    best = [coverage(seen, one) for one in (config, proposed)]
    for words, row in _rows(config, proposed):
        table.add_row(words, *row)
    table.add_section()
    for bound in BOUNDS:
        table.add_row(f"boxes with an IoU of {bound:g} or more", *(f"{covered(one, bound):.1%}" for one in best))
    table.add_row("mean of the best IoU", *(f"{float(one.mean()):.3f}" for one in best))
    TableConsole(WIDTH).print(table)


def _rows(config: RetinaNetConfig, proposed: RetinaNetConfig) -> list[tuple[str, list[str]]]:
    from torch_retinanet.anchors import smallest_side

    both = (config, proposed)
    return [
        ("levels", [f"P{one.min_level} to P{one.max_level}" for one in both]),
        ("smallest anchors, pixels", [" ".join(f"{smallest_side(one, i):.3g}" for i in one.levels) for one in both]),
        (f"ratios ({config.anchor_ratio})", [" ".join(f"{ratio:g}" for ratio in one.anchor_ratios) for one in both]),
    ]


def _advice(options: argparse.Namespace, config: RetinaNetConfig, proposed: RetinaNetConfig) -> str:
    """How a run is trained with the anchors that are proposed."""
    changed = [name for name in FITTED if getattr(proposed, name) != getattr(config, name)]
    if not changed:
        return "the anchors fit as they are"
    words = ["retinanet", "train", str(options.data), "--preset", options.preset]
    for name in ("split", "images", "classes", "boxes", "max_pixels", *SIZES):
        if value := getattr(options, name):
            words += [f"--{name.replace('_', '-')}", str(value)]
    words += ["--labelled-only"] if options.labelled_only else []
    said = [assignment for assignment in options.conventions if assignment.partition("=")[0] not in changed]
    fitted = [f"{name}={as_text(getattr(proposed, name))}" for name in changed]
    return f"to train with them: {shlex.join([*words, '--conventions', *said, *fitted])}"
