"""What arrives at a module with a border of zeros on one side alone, as where a port pads before it calls a layer that
pads by itself in the reference. Needs numpy alone.
"""

import math
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import NamedTuple

import numpy as np

from parity_tests.rule.budgets import largest
from parity_tests.rule.record import Array
from parity_tests.sides.layouts import FIRST, Layout
from parity_tests.sides.side import Call, Calls, input_names, other_inputs, tap_of

MOST_PLACES = 256
"""Of how many places at which the smaller of two arrays may lie in the larger the best is looked for."""


class Border(NamedTuple):
    """How one of two arrays lies in the other.

    Attributes:
        reference, port: their shapes.
        inside: where the smaller lies in the larger.
    """

    reference: tuple[int, ...]
    port: tuple[int, ...]
    inside: tuple[slice, ...]

    def to_reference(self, values: Array) -> Array:
        """The port's values with the border that the reference has, or without its own; others stay."""
        if values.shape != self.port:
            return values
        if math.prod(self.port) > math.prod(self.reference):
            return values[self.inside]
        framed = np.zeros(self.reference, values.dtype)
        framed[self.inside] = values
        return framed


@dataclass
class PreparedInputs:
    """The taps whose input the port prepares, as by padding it.

    Attributes:
        layout: where the reference has the channels of its maps.
        words: what is said of each tap.
    """

    layout: Layout
    words: dict[str, str] = field(default_factory=dict)
    _borders: dict[str, Border] = field(default_factory=dict)
    _framed: set[str] = field(default_factory=set)

    def look(self, reference: Calls, port: Calls, skip: Container[str]) -> None:
        """Look which taps get inputs of other shapes, and which of them are the same within a border."""
        words = other_inputs(reference, port)
        self.words |= {tap: said for tap, said in words.items() if f"{tap}.input" not in skip}
        for tap in [tap for tap in words if tap in self.words]:
            found = dict(_borders_of(tap, reference, port, self.layout))
            borders = {name: border for name, border in found.items() if border is not None}
            if len(borders) == len(found):
                self._borders |= borders
                self._framed.add(tap)

    def is_comparable(self, tap: str) -> bool:
        """Whether what arrives at a tap can be compared."""
        return tap not in self.words or tap in self._framed

    def to_reference(self, name: str, call: Call) -> Call:
        """A call of the port with its inputs as the reference has them."""
        borders = [self._borders.get(of) for of in input_names(name, len(call.inputs))]
        given = zip(borders, call.inputs, strict=True)
        return replace(call, inputs=[border.to_reference(values) if border else values for border, values in given])


def _borders_of(tap: str, reference: Calls, port: Calls, layout: Layout) -> Iterator[tuple[str, Border | None]]:
    """By name of each input of a tap that has another shape how the port's lies in the reference's, or around it."""
    for call in [name for name in reference if tap_of(name) == tap and name in port]:
        names = input_names(call, len(reference[call].inputs))
        for name, own, theirs in zip(names, reference[call].inputs, port[call].inputs, strict=True):
            if own.shape != theirs.shape:
                yield name, _border(own, theirs, layout)


def _border(reference: Array, port: Array, layout: Layout) -> Border | None:
    """Where the smaller of two lies in the larger, which has zeros around it; all axes but those of a map are alike."""
    larger, smaller = (port, reference) if port.size > reference.size else (reference, port)
    if larger.ndim != smaller.ndim or larger.ndim < 3:
        return None
    more = [one - other for one, other in zip(larger.shape, smaller.shape, strict=True)]
    if min(more) < 0 or more[0] or more[1 if layout == FIRST else -1]:
        return None
    framed = [inside for inside in _places(more, smaller.shape) if _is_empty_around(larger, inside)]
    if not framed:
        return None
    best = min(framed, key=lambda inside: largest(larger[inside] - smaller))
    return Border(tuple(reference.shape), tuple(port.shape), best)


def _places(more: Sequence[int], shape: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    if math.prod(n + 1 for n in more) <= MOST_PLACES:
        for starts in product(*(range(n + 1) for n in more)):
            yield tuple(slice(start, start + length) for start, length in zip(starts, shape, strict=True))


def _is_empty_around(values: Array, inside: tuple[slice, ...]) -> bool:
    around = values.copy()
    around[inside] = 0
    return not around.any()
