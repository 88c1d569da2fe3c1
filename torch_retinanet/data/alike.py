"""Pictures that look alike: copies of other size, brightness or quality, and frames of one film."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from torch_retinanet.data.annotations import Ints
from torch_retinanet.data.progress import track

SIDE = 24
"""Pixels of the sides of the small gray pictures that are compared."""

ALIKE = 0.9
"""The correlation from which on two pictures look alike. Of 66,066 pairs of blood cells (BCCD) one has it, at 0.978;
the next has 0.686. A picture has 0.999 with its JPEG of a quarter of its size."""

FLAT = 2.0
"""The contrast below which a picture counts as flat: noise is not to decide."""

CHUNK = 1024
"""Pictures that are compared with all others at once."""

Looks = npt.NDArray[np.float32]


def looks_of(paths: Sequence[Path]) -> Looks:
    """How pictures look: (P, SIDE * SIDE), of which the product of two is their correlation; 0 where unreadable."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        looks = track(threads.map(_look, paths), total=len(paths), words="comparing pictures")
        return np.stack([np.zeros(SIDE * SIDE, dtype=np.float32), *looks])[1:]


def groups_of(looks: Looks) -> Ints:
    """The group (P,) of each picture: those that look alike, or like one that does, are of one group."""
    parents = np.arange(len(looks))
    for start in range(0, len(looks), CHUNK):
        for first, second in np.argwhere(looks[start : start + CHUNK] @ looks[start:].T >= ALIKE).tolist():
            _join(parents, start + first, start + second)
    return np.array([_root(parents, index) for index in range(len(looks))], dtype=np.int64)


def _look(path: Path) -> Looks:
    try:
        with Image.open(path) as picture:
            picture.draft("L", (4 * SIDE, 4 * SIDE))  # a JPEG is decoded no finer than it has to be
            gray = picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    except Exception:  # a decoder raises nearly anything; screening says what cannot be read
        return np.zeros(SIDE * SIDE, dtype=np.float32)
    values = np.asarray(gray, dtype=np.float32).ravel()
    values = values - values.mean()
    scaled: Looks = values / (max(float(np.sqrt((values**2).mean())), FLAT) * SIDE)
    return scaled


def _root(parents: Ints, index: int) -> int:
    while parents[index] != index:
        parents[index] = parents[parents[index]]
        index = int(parents[index])
    return index


def _join(parents: Ints, first: int, second: int) -> None:
    one, other = _root(parents, first), _root(parents, second)
    parents[max(one, other)] = min(one, other)
