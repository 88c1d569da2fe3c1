"""The flags that say how annotations are read."""

import argparse

from torch_retinanet.data.box_layouts import BOX_LAYOUTS


def add_reading(command: argparse.ArgumentParser) -> None:
    """Add the flags `--boxes` and `--labelled-only`."""
    command.add_argument(
        "--boxes",
        choices=BOX_LAYOUTS,
        help="what the four numbers of a box mean, where they are not what the format says: pixels, or -relative "
        "shares of the picture",
    )
    command.add_argument(
        "--labelled-only", action="store_true", help="leave out pictures of a YOLO data set without a label file"
    )
