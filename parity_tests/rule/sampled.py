"""Large arrays kept as samples and digests, so that a reference can be stored and still be held against. Needs numpy.

A digest is the sum of a block of the array under mixed signs, over the root of the block's length: it rounds no more
than an element does. A single wrong element shows in it where it is off by more than its budget times that root, and
a wrong map, row or channel by far. Places and signs follow from arithmetic alone, which no library changes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST_WHOLE = 2048
"""Elements up to which an array is kept whole: the statistics of every BatchNorm are."""

SAMPLES, DIGESTS = 256, 64
"""Single elements, and sums of blocks, that are kept of an array."""


@dataclass(frozen=True)
class Sampled:
    """Samples of an array.

    Attributes:
        shape, dtype: of the whole array.
        largest: its largest absolute value that is finite.
        finite: whether all of it is.
        values: its samples, then its digests (320,), in its precision.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    largest: float
    finite: bool
    values: NDArray[Any]

    @property
    def size(self) -> int:
        """Elements of the whole array."""
        return math.prod(self.shape)


def sample(array: NDArray[Any]) -> NDArray[Any] | Sampled:
    """An array, or its samples where it is large."""
    if array.size <= LARGEST_WHOLE:
        return array
    finite = bool(np.isfinite(array).all())
    largest = float(np.max(np.abs(array), where=np.isfinite(array), initial=0.0))
    return Sampled(array.shape, array.dtype, largest, finite, _values(array))


def viewed(left: NDArray[Any] | Sampled, right: NDArray[Any] | Sampled) -> tuple[NDArray[Any], NDArray[Any]]:
    """Two arrays of one shape, or where one of them is samples, the same samples of both."""
    if isinstance(left, Sampled) or isinstance(right, Sampled):
        return _samples_of(left), _samples_of(right)
    return left, right


def _samples_of(array: NDArray[Any] | Sampled) -> NDArray[Any]:
    return array.values if isinstance(array, Sampled) else _values(array)


def _values(array: NDArray[Any]) -> NDArray[Any]:
    flat = np.ascontiguousarray(array).reshape(-1)
    chosen = flat[_mixed(SAMPLES) % np.uint64(flat.size)]
    signs = (_mixed(flat.size) & np.uint64(1)).astype(np.int8) * np.int8(2) - np.int8(1)
    with np.errstate(invalid="ignore", over="ignore"):
        digests = [_digest(values, sign) for values, sign in _blocks(flat, signs)]
    return np.concatenate([chosen, np.array(digests, array.dtype)])


def _mixed(count: int) -> NDArray[np.uint64]:
    """Numbers without a pattern from 0, 1, 2 and so on (splitmix64: Steele, Lea and Flood 2014)."""
    with np.errstate(over="ignore"):
        mixed = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    last: NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return last


def _digest(values: NDArray[Any], signs: NDArray[np.int8]) -> float:
    return float(np.sum(values * signs, dtype=np.float64)) / math.sqrt(values.size)


def _blocks(flat: NDArray[Any], signs: NDArray[np.int8]) -> Sequence[tuple[NDArray[Any], NDArray[np.int8]]]:
    return list(zip(np.array_split(flat, DIGESTS), np.array_split(signs, DIGESTS), strict=True))
