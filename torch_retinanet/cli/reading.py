"""The flags that say how annotations are read."""

import argparse
from pathlib import Path

from torch_retinanet.cli.choices import add_max_pixels
from torch_retinanet.data.box_layouts import BOX_LAYOUTS


def add_reading(command: argparse.ArgumentParser, *, split: str) -> None:
    """Add the flags that say what is read of annotations, and how; `split` says what `--split` is."""
    command.add_argument("--split", help=split)
    command.add_argument("--images", type=Path, help="the folder of the pictures, where it does not follow from DATA")
    command.add_argument("--classes", type=Path, help="a file with the names of DATA's classes")
    add_max_pixels(command)
    command.add_argument(
        "--boxes",
        choices=BOX_LAYOUTS,
        help="what the four numbers of a box mean, where they are not what the format says: pixels, or -relative "
        "shares of the picture",
    )
    command.add_argument(
        "--labelled-only", action="store_true", help="leave out pictures of a YOLO data set without a label file"
    )
