"""Splits by the words in the names of files and folders: `train2017`, `valid`, `obj_train_data`, `annotations_test`."""

import re
from collections.abc import Iterable
from pathlib import PurePath
from typing import NamedTuple

TRAINING = "train", "training"
VALIDATION = "val", "valid", "validation", "dev"
TESTING = "test", "testing"
KNOWN_SPLITS = *TRAINING, *VALIDATION, *TESTING
"""Names of splits, in small letters; of a data set the first of them that is there is trained on or evaluated on."""

WORD = re.compile("([A-Za-z]+)(?:(?<=test)-dev)?", re.IGNORECASE)
"""A word of a name; `test-dev` is a part of what is tested on, as COCO and VisDrone have it."""


class SplitName(NamedTuple):
    """The split that a path names, and the path with a gap in its place; alike paths are files of one data set."""

    split: str
    pattern: str


def split_of(relative: PurePath) -> SplitName:
    """The split that a path within a data set names: its last part that has the word of one, and of no other."""
    parts = [*relative.parts[:-1], relative.stem]
    for place in reversed(range(len(parts))):
        words = [word for word in WORD.finditer(parts[place]) if word[1].lower() in KNOWN_SPLITS]
        if len({word[1].lower() for word in words}) == 1:
            begin, end = words[-1].span()
            parts[place] = f"{parts[place][:begin]}\0{parts[place][end:]}"
            above, below = parts[: place + 1], parts[-1:] if place < len(parts) - 1 else []
            return SplitName(words[-1][1].lower(), "/".join([*above, *below]) + relative.suffix)
    return SplitName("", relative.name)


def first_of(wanted: Iterable[str], splits: Iterable[str]) -> str | None:
    """The first of the wanted splits that is there, whatever its letters' case."""
    there = {split.lower(): split for split in splits}
    return next((there[name] for name in wanted if name in there), None)
