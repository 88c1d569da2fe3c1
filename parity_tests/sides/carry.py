"""How parameters of each kind of layer lie in Keras and in torch, and how either are made of the others.

Shapes as in the documentation of `keras.layers` and `torch.nn`. Needs numpy alone.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from parity_tests.rule.record import Array
from parity_tests.sides.layouts import Permutation

Shape = tuple[int, ...]
Arrays = Sequence[Array]
Change = Callable[[Arrays], list[Array]]

RESET_GATES = 3
"""The gates of a GRU: update, reset and new in Keras; reset, update and new in torch."""


class Way(NamedTuple):
    """From parameters of the one side to those of the other that hold the same numbers, and back.

    Attributes:
        there, back: of values.
        gradients_there, gradients_back: of gradients by them.
    """

    there: Change
    back: Change
    gradients_there: Change
    gradients_back: Change

    @property
    def reversed(self) -> "Way":
        """The same from the other side."""
        return Way(self.back, self.there, self.gradients_back, self.gradients_there)


def linear(there: Change, back: Change) -> Way:
    """A way on which gradients go as values do."""
    return Way(there, back, there, back)


class Rearrangement(NamedTuple):
    """One array out of another: its axes in another order, then drawn together or apart.

    Attributes:
        before: the shape of the first.
        axes: the axes of the first in the order of the second.
        after: the shape of the second.
    """

    before: Shape
    axes: Permutation
    after: Shape

    def there(self, arrays: Arrays) -> list[Array]:
        """An array of another shape stays, which is a difference."""
        return [a.transpose(self.axes).reshape(self.after) if a.shape == self.before else a for a in arrays]

    def back(self, arrays: Arrays) -> list[Array]:
        lengths, again = [self.before[axis] for axis in self.axes], np.argsort(self.axes)
        return [a.reshape(lengths).transpose(again) if a.shape == self.after else a for a in arrays]

    @property
    def way(self) -> Way:
        return linear(self.there, self.back)


def rearranged_kernel(kernel: Shape, weight: Shape) -> Rearrangement | None:
    """How torch has a kernel of Keras: as a convolution or a dense layer does, or one of each channel by itself.

    Axes of length one count for nothing: a dense layer may stand for a convolution of one pixel. A dense kernel of
    more than two axes, as attention has them, is one of two in torch. One that fits as it is alone stays so.
    """
    last = len(kernel)
    if last < 2:
        return same_values(kernel, weight)
    axes = (last - 1, last - 2, *range(last - 2))
    if _without_ones([kernel[axis] for axis in axes]) == _without_ones(weight):
        return Rearrangement(kernel, axes, weight)
    if weight == (kernel[-2] * kernel[-1], 1, *kernel[:-2]):
        return Rearrangement(kernel, (last - 2, last - 1, *range(last - 2)), weight)
    for split in range(1, last):
        if weight == (math.prod(kernel[split:]), math.prod(kernel[:split])):
            return Rearrangement(kernel, (*range(split, last), *range(split)), weight)
    return Rearrangement(kernel, tuple(range(last)), weight) if kernel == weight else None


def kernel_on_patches(
    kernel: Shape, weight: Shape, of_keras: tuple[bool, bool], channels_first: bool
) -> Rearrangement | None:
    """How a dense layer on patches of a map has the kernel of a convolution; `None` where shapes do not fit.

    Args:
        of_keras: whether the convolution is of Keras, and whether the dense layer is.
        channels_first: whether a patch has its channels before its pixels.
    """
    if (len(kernel), len(weight)) != (4, 2) or len(_without_ones(kernel)) < 3:
        return None
    rows, columns, taken, made = (0, 1, 2, 3) if of_keras[0] else (2, 3, 1, 0)
    patch = (taken, rows, columns) if channels_first else (rows, columns, taken)
    axes = (*patch, made) if of_keras[1] else (made, *patch)
    lengths = math.prod(kernel[axis] for axis in patch), kernel[made]
    return Rearrangement(kernel, axes, weight) if weight == (lengths if of_keras[1] else lengths[::-1]) else None


def draws_together(kernel: Shape, weight: Shape) -> bool:
    """Whether torch has in one axis what a kernel of Keras has in several of its results, as those of attention."""
    fits = (math.prod(kernel[split:]) == weight[0] for split in range(1, len(kernel)) if len(weight) == 2)
    outputs = next((kernel[split:] for split, there in enumerate(fits, 1) if there), ())
    return len(_without_ones(outputs)) > 1


def same_values(before: Shape, after: Shape) -> Rearrangement | None:
    """The same numbers in the same order: a vector for a table of them, or axes of length one more or less."""
    is_flat = math.prod(before) == math.prod(after) and 1 in (len(before), len(after))
    if is_flat or _without_ones(before) == _without_ones(after):
        return Rearrangement(before, tuple(range(len(before))), after)
    return None


def _without_ones(shape: Sequence[int]) -> list[int]:
    return [length for length in shape if length > 1]


def part_of_layer(part: Shape, whole: Shape, of_keras: bool, into_keras: bool) -> Rearrangement | None:
    """How a dense layer has one that is a part of its results: one upon the other in torch, side by side in Keras.

    Keras' attention has heads in axes of their own.
    """
    made = math.prod(part) // (whole[0 if into_keras else 1] if len(whole) == 2 else 1)
    after = (made,) if len(whole) == 1 else (whole[0], made) if into_keras else (made, whole[1])
    if math.prod(part) != math.prod(after) or len(whole) > 2:
        return None
    if len(whole) == 1 or of_keras == into_keras:
        return Rearrangement(part, tuple(range(len(part))), after)
    return rearranged_kernel(part, after)


def stacked(rearrangements: Sequence[Rearrangement], axis: int = 0) -> Way:
    """Projections of attention, query, key and value, which the other side has in one array, along its results."""
    ends = np.cumsum([one.after[axis] for one in rearrangements])

    def there(arrays: Arrays) -> list[Array]:
        parts = [one.there([array])[0] for one, array in zip(rearrangements, arrays, strict=True)]
        return [np.concatenate(parts, axis)]

    def back(arrays: Arrays) -> list[Array]:
        parts = np.split(arrays[0], ends[:-1], axis)
        return [one.back([part])[0] for one, part in zip(rearrangements, parts, strict=True)]

    return linear(there, back)


def gates_stacked(gates: int) -> Way:
    """A kernel of a recurrent layer, with its gates side by side in Keras and one upon the other in torch."""
    return linear(
        lambda arrays: [_in_order(array, gates).T for array in arrays],
        lambda arrays: [_in_order(array.T, gates) for array in arrays],
    )


def biases(gates: int, kept_apart: bool, count: int) -> Way:
    """The biases of a recurrent layer of Keras, and the `count` of torch, one by the input and one by the state.

    Where Keras has one for both, torch adds two up: the first is that of Keras, and the second zero.
    """
    if kept_apart:
        return linear(
            lambda arrays: [*_in_order(arrays[0], gates)],
            lambda arrays: [_in_order(np.stack(arrays), gates)],
        )
    order = partial(_in_order, gates=gates)
    return Way(
        lambda arrays: [order(arrays[0]), *(np.zeros_like(arrays[0]) for _ in range(count - 1))],
        lambda arrays: [order(np.sum(arrays, axis=0, dtype=np.float64))],
        lambda arrays: [order(arrays[0])] * count,
        lambda arrays: [order(arrays[0])],
    )


def _in_order(values: Array, gates: int) -> Array:
    """The gates along the last axis from the order of Keras to that of torch, and from that to Keras'."""
    if gates != RESET_GATES:
        return values
    update, reset, new = np.split(values, gates, axis=-1)
    return np.concatenate([reset, update, new], axis=-1)
