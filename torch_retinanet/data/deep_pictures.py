"""Gray pictures of 16 bits that use fewer, as 12 of a camera or a scanner: what value is white in them."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from torch_retinanet.data.picture_files import DEEP, PictureFile
from torch_retinanet.data.progress import track
from torch_retinanet.errors import InputError
from torch_retinanet.pictures import WHITE, opened

BITS = 8, 10, 12, 14, 16
"""Bits that cameras and scanners give."""


class Depth(NamedTuple):
    """The largest value of some pictures, and the largest of the bits that it needs; `None` of no picture."""

    largest: int
    white: int | None


def depth_of(paths: Sequence[Path], files: Sequence[PictureFile]) -> Depth:
    """The depth of the gray pictures of 16 bits among these."""
    deep = [path for path, file in zip(paths, files, strict=True) if file.mode.startswith("I") and DEEP in file.mode]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        values = list(track(threads.map(_largest, deep), total=len(deep), words="reading the largest values"))
    if not values:
        return Depth(0, None)
    largest = max(values)
    return Depth(largest, next((2**bits - 1 for bits in BITS if largest < 2**bits), WHITE))


def _largest(path: Path) -> int:
    """The largest value of a picture; 0 of one that cannot be read, of which others tell."""
    try:
        with opened(path) as picture:
            return int(np.asarray(picture).max())
    except (InputError, OSError):
        return 0
