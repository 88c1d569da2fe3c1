"""What commands that read pictures or a folder of data say of it, and the flag for large pictures."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from torch_retinanet.terminal import note

if TYPE_CHECKING:
    from torch_retinanet.data.annotations import Annotations

LISTED = 5
"""Other data sets that are named."""


def add_max_pixels(command: argparse.ArgumentParser) -> None:
    """Add the flag `--max-pixels`."""
    command.add_argument(
        "--max-pixels",
        type=_pixels,
        help="the largest picture that is read, for scans that you trust (default: Pillow's limit, 178,956,970 pixels)",
    )


def say_choice(data: Path, annotations: "Annotations") -> None:
    """Say on stderr what was read, where a folder holds several data sets, and how another is read."""
    choice = annotations.choice
    if choice is None or not choice.others:
        return
    more = f" and {len(choice.others) - LISTED} more" if len(choice.others) > LISTED else ""
    others = f"{', '.join(choice.others[:LISTED])}{more}"
    words = f"{data}: {choice.taken} is read; there is also {others}: give the path of one as DATA to read that"
    note(f"retinanet: {words}")


def _pixels(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} must be a whole number of at least 1")
    return int(text)
