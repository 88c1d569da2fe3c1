"""How arrays of the port lie beside those of the reference: a permutation of axes, or axes of length one more or less.

A permutation names the port's axes in the order in which the reference has them: `(0, 2, 3, 1)` where the port is
channels first and the reference channels last. Needs numpy alone.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import numpy as np

from parity_tests.rule.errors import UsageError
from parity_tests.rule.record import Array

Layout = Literal["channels_first", "channels_last"]
"""Where a side has the channels of its maps, arrays of four axes or more."""

Permutation = tuple[int, ...]

LAST_TO_SECOND: Permutation = (0, 2, 1)
"""Steps with their channels last in the one side, and first in the other."""

FIRST: Layout = "channels_first"
LAST: Layout = "channels_last"


class Layouts:
    """Permutations by name.

    Args:
        reference, port: where each side has the channels of its maps.
        table: permutations by tap, by input of a tap (`conv.input`) or by the reference's name of a parameter, where
            they are not what follows from the sides: for maps their channels, for kernels the order of Keras or torch.
        flat: taps that lie alike on both sides, though they have four axes or more.
        of_taps: where each side has the channels of a tap, where that does not follow from the sides.
        exchanged: taps of which one side has the channels of steps, arrays of three axes, last and the other second.

    Attributes:
        features: by name which feature of the reference each of the port's is, along the last axis.

    Raises:
        UsageError: for what is no permutation.
    """

    def __init__(
        self,
        reference: Layout,
        port: Layout,
        table: Mapping[str, Sequence[int]],
        flat: Collection[str] = (),
        of_taps: Mapping[str, tuple[Layout, Layout]] = MappingProxyType({}),
        exchanged: Collection[str] = (),
    ) -> None:
        self.reference, self.port, self.flat, self.of_taps = reference, port, {*flat}, of_taps
        self.exchanged = {*exchanged}
        self.table = {name: _checked(name, axes) for name, axes in table.items()}
        self.features: dict[str, Sequence[int]] = {}
        self._by_ones: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}

    def tap(self, call: str, name: str, axes: int) -> Permutation:
        """That of `name`, an output or input of `call`; a tap called again lies as the first time."""
        named = self.table.get(_of_first_call(name))
        of_tap = self.table.get(_of_first_call(call), ())
        if named is not None or len(of_tap) == axes:
            return of_tap if named is None else named
        if axes == len(LAST_TO_SECOND) and _of_first_call(call) in self.exchanged:
            return LAST_TO_SECOND
        reference, port = self.of_taps.get(_of_first_call(call), (self.reference, self.port))
        if axes < 4 or reference == port or _of_first_call(call) in self.flat:
            return tuple(range(axes))
        return (0, axes - 1, *range(1, axes - 1)) if reference == FIRST else (0, *range(2, axes), 1)

    def let_differ_by_ones(self, reference: Iterable[tuple[str, Array]], port: Mapping[str, Array]) -> None:
        """Have arrays of these names lie as they are, where each side has other axes of length one, and no others."""
        for name, values in reference:
            shapes = tuple(values.shape), tuple(port[name].shape) if name in port else ()
            of_more = [tuple(length for length in shape if length != 1) for shape in shapes]
            if values.ndim != len(shapes[1]) and of_more[0] == of_more[1] and name in port:
                self._by_ones[_of_first_call(name)] = shapes

    def to_port(self, call: str, name: str, values: Array) -> Array:
        """The reference's values of a tap in the layout of the port."""
        shapes = self._by_ones.get(_of_first_call(name))
        if shapes is not None and values.shape == shapes[0]:
            return values.reshape(shapes[1])
        if order := self.features.get(_of_first_call(name)):
            return values.take(order, -1)
        return to_port(name, values, self.tap(call, name, values.ndim))

    def to_reference(self, call: str, name: str, values: Array) -> Array:
        """The port's values of a tap in the layout of the reference."""
        shapes = self._by_ones.get(_of_first_call(name))
        if shapes is not None and values.shape == shapes[1]:
            return values.reshape(shapes[0])
        if order := self.features.get(_of_first_call(name)):
            return values.take(np.argsort(order), -1)
        return to_reference(values, self.tap(call, name, values.ndim))

    def parameter(self, reference: str, port: str, axes: int) -> Permutation:
        """That of a parameter, from the names of both sides: kernels of Keras end in `kernel`, torch's in `weight`."""
        if reference in self.table:
            return self.table[reference]
        ends = tuple(name.rpartition("/")[2].rpartition(".")[2] for name in (reference, port))
        if ends == ("kernel", "weight"):
            return (*range(2, axes), 1, 0)
        if ends == ("weight", "kernel"):
            return (axes - 1, axes - 2, *range(axes - 2))
        return tuple(range(axes))


def to_reference(values: Array, permutation: Permutation) -> Array:
    """The port's values in the layout of the reference; unchanged where they have other axes, which is a difference."""
    return values.transpose(permutation) if values.ndim == len(permutation) else values


def to_port(name: str, values: Array, permutation: Permutation) -> Array:
    """The reference's values in the layout of the port.

    Raises:
        UsageError: where the permutation is not of their axes.
    """
    if values.ndim != len(permutation):
        axes = f"{values.ndim} axes, of shape {tuple(values.shape)}"
        raise UsageError(f"layouts: {name!r} is {permutation}, and the reference's {name} has {axes}")
    carried: Array = values.transpose(np.argsort(permutation))
    return carried


def _checked(name: str, axes: Sequence[int]) -> Permutation:
    if sorted(axes) != list(range(len(axes))):
        raise UsageError(f"layouts: {name!r} is {tuple(axes)}, and must name each axis from 0 on once")
    return tuple(axes)


def _of_first_call(name: str) -> str:
    call, _, rest = name.partition("#")
    return call + rest.lstrip("0123456789")
