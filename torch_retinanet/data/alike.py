"""Pictures that look alike: copies of other size, brightness or quality, and frames of one film."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from torch_retinanet.data.annotations import Ints
from torch_retinanet.data.progress import track
from torch_retinanet.errors import InputError
from torch_retinanet.pictures import opened

SIDE = 24
"""Pixels of the sides of the small gray pictures that are compared."""

ALIKE = 0.9
"""The correlation from which on two pictures look alike. Of 66,066 pairs of blood cells (BCCD) one has it, at 0.978;
the next has 0.686. A picture has 0.999 with its JPEG of a quarter of its size."""

FLAT = 2.0
"""The contrast below which a picture counts as flat: noise is not to decide."""

CHUNK, NUMBERS = 1024, 2**26
"""Pictures that are compared with all others at once, and the comparisons that fit into memory."""

FINER, DIFFERENCE = 64, 32
"""Pixels of the sides of gray pictures in which a copy differs nowhere by more than so many of 256 levels. A JPEG of
half the size differs by less; a camera that does not move sees another object there."""

Looks = npt.NDArray[np.float32]


def looks_of(paths: Sequence[Path]) -> Looks:
    """How pictures look: (P, SIDE * SIDE), of which the product of two is their correlation; 0 where unreadable."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        looks = track(threads.map(_look, paths), total=len(paths), words="looking at pictures")
        return np.stack([np.zeros(SIDE * SIDE, dtype=np.float32), *looks])[1:]


def groups_of(looks: Looks) -> Ints:
    """The group (P,) of each picture: those that look alike, or like one that does, are of one group."""
    parents = np.arange(len(looks))
    for start in range(0, len(looks), CHUNK):
        alike = looks[start : start + CHUNK] @ looks.T >= ALIKE
        while True:
            roots = _roots(parents)
            apart = alike & (roots[start : start + CHUNK, None] != roots)
            if not (rows := np.flatnonzero(apart.any(axis=1))).size:
                break
            for first, second in zip(rows.tolist(), apart[rows].argmax(axis=1).tolist(), strict=True):
                _join(parents, start + first, second)
    return _roots(parents)


def _roots(parents: Ints) -> Ints:
    return np.array([_root(parents, index) for index in range(len(parents))], dtype=np.int64)


class Likeness(NamedTuple):
    """Two pictures by their indices, and the correlation of how they look."""

    picture: int
    other: int
    correlation: float


def most_alike(looks: Looks, ranks: Ints, least: float) -> list[Likeness]:
    """For each picture the one of a lower rank that it looks most like, if any is as alike as `least`.

    Args:
        looks: of P pictures.
        ranks: (P,); pictures with ranks below 0 are left out.
        least: the correlation.
    """
    order = np.argsort(ranks, kind="stable")
    order = order[ranks[order] >= 0]
    looks, ranks, found = looks[order], ranks[order], list[Likeness]()
    rows = max(1, min(CHUNK, NUMBERS // max(1, len(order))))
    for start in track(range(0, len(order), rows), total=-(-len(order) // rows), words="comparing pictures"):
        chunk = ranks[start : start + rows]
        lower = np.searchsorted(ranks, chunk)
        if not lower[-1]:
            continue
        alike = looks[start : start + rows] @ looks[: lower[-1]].T
        alike[np.arange(lower[-1]) >= lower[:, None]] = -1
        best = alike.argmax(axis=1)
        for row in np.flatnonzero(alike[np.arange(len(best)), best] >= least).tolist():
            found.append(Likeness(int(order[start + row]), int(order[best[row]]), float(alike[row, best[row]])))
    return found


def is_copy(path: Path, other: Path) -> bool:
    """Whether two pictures that look alike differ nowhere, but for their size and quality."""
    one, two = (_gray(picture, FINER) for picture in (path, other))
    return bool(np.abs(one - two).max() <= DIFFERENCE)


def _look(path: Path) -> Looks:
    try:
        values = _gray(path, SIDE).ravel()
    except (InputError, OSError):  # screening says which cannot be read
        return np.zeros(SIDE * SIDE, dtype=np.float32)
    values = values - values.mean()
    scaled: Looks = values / (max(float(np.sqrt((values**2).mean())), FLAT) * SIDE)
    return scaled


def _gray(path: Path, side: int) -> Looks:
    """A picture (side, side) from 0 to 255; one of more bits from its own least to its own largest value."""
    with opened(path) as picture:
        picture.draft("L", (4 * side, 4 * side))  # a JPEG is decoded no finer than it has to be
        deep = picture.mode.startswith(("I", "F"))  # "L" would cut off all but 8 of their bits
        gray = np.asarray(picture.convert("F" if deep else "L").resize((side, side), Image.Resampling.BOX), np.float32)
    return gray if not deep else (gray - gray.min()) * (255 / max(float(np.ptp(gray)), 1e-9))


def _root(parents: Ints, index: int) -> int:
    while parents[index] != index:
        parents[index] = parents[parents[index]]
        index = int(parents[index])
    return index


def _join(parents: Ints, first: int, second: int) -> None:
    one, other = _root(parents, first), _root(parents, second)
    parents[max(one, other)] = min(one, other)
