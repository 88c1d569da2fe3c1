"""`retinanet inspect` and `retinanet browse`: what is in a data set and what is wrong with it, and how it looks."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch_retinanet.cli.choices import say_choice
from torch_retinanet.cli.reading import add_reading
from torch_retinanet.config import PRESETS, RetinaNetConfig
from torch_retinanet.errors import InputError
from torch_retinanet.files import atomic_write
from torch_retinanet.terminal import say
from torch_retinanet.weights import find_weights

if TYPE_CHECKING:
    from torch_retinanet.cli.inspection_files import DataCounts
    from torch_retinanet.data.annotations import Annotations

CLASSES = 100
"""Classes whose objects are counted in the last line, those with the most."""


def add_to(commands: Any) -> None:
    """Add the commands to those of the parser."""
    inspect = commands.add_parser(
        "inspect",
        help="list what is wrong in annotations and pictures",
        description="List what is wrong in annotations and pictures. Exit code: 0 fine, 1 something is lost, 2 wrong "
        "usage.",
    )
    add_data(inspect)
    inspect.add_argument("--all", action="store_true", help="list every one, however many are of one kind")
    inspect.add_argument("--json", metavar="FILE", type=Path, help="a file for all problems and counts, for programs")
    inspect.add_argument("--junit", metavar="FILE", type=Path, help="a file in JUnit's XML, which CI systems show")
    inspect.add_argument(
        "--strict", action="store_true", help="fail for what is taken for granted too, as pictures that splits share"
    )
    inspect.set_defaults(run=_inspect)
    browse = commands.add_parser("browse", help="draw pictures with their boxes")
    add_data(browse)
    browse.add_argument("--anchors", action="store_true", help="mark the boxes that no anchor matches")
    browse.add_argument("--out", type=Path, default=Path("out/browse.png"), help="the .png (default: out/browse.png)")
    browse.add_argument("--count", type=int, default=12, help="pictures, evenly from first to last (default: 12)")
    browse.add_argument(
        "--conventions",
        nargs="+",
        metavar="NAME=VALUE",
        default=[],
        help="of the anchors that differ, as anchor_scale=2",
    )
    model = browse.add_mutually_exclusive_group()
    model.add_argument("--preset", choices=PRESETS, help="whose anchors are meant (default: torchvision)")
    model.add_argument("--run", dest="model", metavar="RUN", type=Path, help="the run or weights file that is meant")
    browse.set_defaults(run=_browse)


def add_data(command: argparse.ArgumentParser) -> None:
    """Add DATA and the flags that say what is read of it."""
    command.add_argument(
        "data", metavar="DATA", type=Path, help="a file of annotations, or a folder that has some, in any known format"
    )
    add_reading(command, split="a split of it (default: all that there is)")


def _inspect(options: argparse.Namespace) -> int:
    from torch_retinanet.cli.inspection_files import count_data, write_json, write_junit
    from torch_retinanet.cli.problem_table import print_problems
    from torch_retinanet.data.nothing_to_train_on import why_nothing_to_train_on
    from torch_retinanet.data.screening.alike_pictures import note_alike

    for flag, path in (("--json", options.json), ("--junit", options.junit)):
        if path is not None and (path.is_dir() or not path.parent.is_dir() or path.resolve() == options.data.resolve()):
            raise InputError(f"{flag}: {path} must be a file in a folder that is there, and not the data")
    annotations = read_screened(options, decode=True)
    annotations = note_alike(annotations, _pictures_of_splits(options, annotations))
    if options.data.is_dir() and (choice := annotations.choice):
        splits = f"; splits: {', '.join(choice.splits)}" if choice.splits else ""
        say(f"{choice.taken}{splits}")
    if annotations.problems:
        root = options.data if options.data.is_dir() else options.data.parent
        print_problems(annotations.problems, root, every=options.all)
    counts = count_data(annotations)
    failing = [problem.data_loss or (options.strict and problem.assumption) for problem in annotations.problems]
    nothing = why_nothing_to_train_on(annotations)
    if options.json is not None:
        write_json(options.json, counts, annotations.problems, nothing)
    if options.junit is not None:
        write_junit(options.junit, annotations.problems, failing, nothing)
    say(_summary(counts, every=options.all, strict=options.strict))
    if nothing:
        say(f"{options.data} {nothing}")
    return 1 if any(failing) or nothing else 0


def _browse(options: argparse.Namespace) -> int:
    import numpy as np

    from torch_retinanet.data.annotation_sheet import draw_annotations
    from torch_retinanet.data.nothing_to_train_on import most_frequent

    config = _config(options)
    if options.count < 1:
        raise InputError(f"--count: {options.count} must be at least 1")
    if options.out.suffix.lower() != ".png":
        raise InputError(f"--out: {options.out} must end in .png")
    annotations = read_screened(options, decode=False)
    if not annotations.pictures:
        raise InputError(f"{options.data}: must have a picture{most_frequent(annotations.problems)}")
    last = len(annotations.pictures) - 1
    indices = np.unique(np.linspace(0, last, min(options.count, last + 1)).round().astype(int)).tolist()
    sheet = draw_annotations(annotations, indices, config=config)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(options.out) as beside:
        sheet.picture.save(beside, format="PNG")
    say(f"{options.out}: {len(indices)} of {last + 1} pictures, with boxes: {sheet.boxes}")
    if config is not None:
        words = f"boxes with which no anchor has an IoU of {config.match_iou:g}"
        say(f"{words}: {sheet.unmatched} of {sheet.boxes}, in red")
    return 0


def _config(options: argparse.Namespace) -> RetinaNetConfig | None:
    """Whose anchors are asked for, if any."""
    given = {"--preset": options.preset, "--run": options.model, "--conventions": options.conventions}
    if not options.anchors:
        if asked := [flag for flag, value in given.items() if value]:
            raise InputError(f"{asked[0]}: must come with --anchors")
        return None
    config = RetinaNetConfig.preset(options.preset or "torchvision")
    config = find_weights(options.model).config if options.model else config
    for assignment in options.conventions:
        config = config.with_convention(assignment)
    return config


def read_screened(options: argparse.Namespace, *, decode: bool) -> "Annotations":
    """The annotations that `add_data`'s flags name, screened; with `decode` by the pixels of the pictures too."""
    from torch_retinanet.data.formats import read_annotations
    from torch_retinanet.data.screening import screen
    from torch_retinanet.pictures import allow_pixels

    allow_pixels(options.max_pixels)
    found = read_annotations(
        options.data,
        split=options.split,
        images=options.images,
        classes=options.classes,
        boxes=options.boxes,
        labelled_only=options.labelled_only,
    )
    say_choice(options.data, found)
    return screen(found, decode=decode)


def _pictures_of_splits(options: argparse.Namespace, annotations: "Annotations") -> dict[str, set[Path]]:
    """The pictures of each split, where several were read together."""
    from torch_retinanet.data.formats import list_splits, read_annotations

    splits = list_splits(options.data) if options.split is None else []
    given = {"images": options.images, "classes": options.classes, "class_names": annotations.classes}
    given |= {"boxes": options.boxes, "labelled_only": options.labelled_only}
    return {split: set(read_annotations(options.data, split=split, **given).pictures) for split in splits}


def _summary(counts: "DataCounts", *, every: bool, strict: bool) -> str:
    shown = counts.classes if every else counts.classes[:CLASSES]
    left = len(counts.classes) - len(shown)
    more = [f"{left:,} classes more, which --all lists"] if left else []
    named = ", ".join([*(f"{name} {boxes}" for name, boxes in shown), *more])
    ignored = f", ignored regions: {counts.ignored_regions}" if counts.ignored_regions else ""
    pictures = f"pictures: {counts.pictures}, of them without boxes: {counts.without_boxes}"
    assumed = f"; taken for granted in places: {counts.assumed}" if strict else ""
    return (
        f"{pictures}; boxes: {counts.boxes} ({named or 'no classes'}){ignored}; lost in places: {counts.lost}{assumed}"
    )
