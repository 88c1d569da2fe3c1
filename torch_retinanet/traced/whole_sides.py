"""The whole pixels of a resized side, exact where a runtime has no double precision.

`resized_size` divides and multiplies in double precision and then drops what is behind the point. OpenVINO computes in
single precision, in which one size in thirty comes out a pixel short. Here the quotient is one of whole numbers. It
differs from the double one where that is rounded across a whole number, as 800 / 49 * 49 is; those sides are looked up.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

LIMIT = 4096
"""Pixels of a side up to which sides are looked up."""


class Exceptions(NamedTuple):
    """Where the rounded quotient differs from the one of whole numbers.

    Attributes:
        own: (LIMIT+1,) by how much, by the side that sets the ratio, for that side itself.
        others: (P,3) that side, the other, and by how much the other differs.
    """

    own: np.ndarray
    others: np.ndarray


def whole_sides(
    short: Tensor, long: Tensor, sides: tuple[Tensor, Tensor], limits: tuple[int, int], how: str
) -> list[Tensor]:
    """Pixels of both `sides`, of which one is `short` and the other `long`, all int64 tensors without axes.

    Args:
        short, long: the sides in order.
        sides: height and width.
        limits: `min_side`, which is not 0, and `max_side`.
        how: the convention `whole_pixels`.
    """
    least, most = limits
    by_short = least * long <= most * short
    return [torch.where(by_short, _side(side, short, least, how), _side(side, long, most, how)) for side in sides]


def _side(side: Tensor, own: Tensor, new: int, how: str) -> Tensor:
    """Pixels of a side where the side `own` gets `new` of them."""
    # Tensors are made anew each time: those of a trace are of that trace alone.
    of_own, others = (torch.from_numpy(values) for values in _exceptions(new, how))
    at = (others[:, 0] == own) & (others[:, 1] == side)
    other = torch.where(at, others[:, 2], 0).sum()
    rest = torch.where(side == own, of_own[own.clamp(max=LIMIT)], other)
    if how == "down":
        return new * side // own + rest
    twice, by = 2 * new * side + own, 2 * own
    quotient = twice // by
    to_even = (twice == quotient * by) & (quotient != quotient // 2 * 2) if how == "half_even" else torch.tensor(False)
    return quotient - to_even.long() + rest


@lru_cache(maxsize=8)
def _exceptions(new: int, how: str) -> Exceptions:
    sides = np.arange(1, LIMIT + 1)
    own, others = np.zeros(LIMIT + 1, dtype=np.int64), [np.full((1, 3), -1)]
    for side in sides.tolist():
        apart = _in_doubles(new, side, sides, how) - _in_integers(new, side, sides, how)
        own[side] = apart[side - 1]
        at = np.flatnonzero(apart)
        at = at[at != side - 1]
        others.append(np.stack([np.full_like(at, side), sides[at], apart[at]], axis=1))
    return Exceptions(own, np.concatenate(others).astype(np.int64))


def _in_doubles(new: int, own: int, sides: np.ndarray, how: str) -> np.ndarray:
    uncut = np.float64(new) / np.float64(own) * sides.astype(np.float64)
    rounded = np.rint(uncut) if how == "half_even" else np.floor(uncut if how == "down" else uncut + 0.5)
    found: np.ndarray = rounded.astype(np.int64)
    return found


def _in_integers(new: int, own: int, sides: np.ndarray, how: str) -> np.ndarray:
    if how == "down":
        found: np.ndarray = new * sides // own
        return found
    twice = 2 * new * sides + own
    quotient = twice // (2 * own)
    tie = (twice == quotient * 2 * own) & (quotient % 2 == 1) if how == "half_even" else False
    nearest: np.ndarray = quotient - tie
    return nearest
