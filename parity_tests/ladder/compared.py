"""What of two models' calls is compared, by name: what arrives at each module and what it makes. Needs numpy alone."""

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from parity_tests.ladder.comparison import Comparison
from parity_tests.rule.budgets import CASCADED, isolated_units
from parity_tests.rule.errors import UsageError
from parity_tests.rule.record import Array, Tag
from parity_tests.sides.side import ROOT, Call, Calls, input_names, tap_of

Taps = Mapping[str, Array]


def tag_of(name: str) -> Tag:
    """A tap, in the modules that its path names."""
    return Tag("tap", group=tuple(re.split(r"[./]", name)[:-1]))


def compared_calls(pair: Comparison, calls: Calls) -> Calls:
    """The calls of taps that the port has too, and calls too where it computes with them.

    Of those whose results it cuts, what arrives.
    """
    return {
        name: Call(inputs=call.inputs, coarse=call.coarse) if tap_of(name) in pair.cut else call
        for name, call in calls.items()
        if tap_of(name) in pair.taps.port and tap_of(name) not in pair.uncalled
    }


def fed_and_made(pair: Comparison, calls: Calls) -> Taps:
    """What arrives at each module and what the module makes, by name, in order."""
    named: list[tuple[str, Array]] = []
    for name, call in compared_calls(pair, calls).items():
        named += [*_arriving(pair, name, call), *_named_outputs(name, call)]
    return _unique(named)


def _arriving(pair: Comparison, name: str, call: Call) -> list[tuple[str, Array]]:
    """What is compared of what arrives at a call, by name."""
    if name == ROOT or not (pair.sees_inputs and pair.compares_input(tap_of(name))):
        return []
    return list(zip(input_names(name, len(call.inputs)), map(comparable, call.inputs), strict=True))


def made(pair: Comparison, calls: Calls) -> Taps:
    """What the modules make, by name, in order."""
    return _unique(made for name, call in compared_calls(pair, calls).items() for made in _named_outputs(name, call))


def _named_outputs(name: str, call: Call) -> list[tuple[str, Array]]:
    return [(name + place, comparable(values)) for place, values in call.outputs.items()]


def comparable(values: Array) -> Array:
    """Numbers that have a rounding: complex ones as two, and what is none, as classes and masks, in float64."""
    if values.dtype.kind == "c":
        return np.stack([values.real, values.imag], axis=-1)
    return values if values.dtype.kind == "f" else values.astype("float64")


def _unique(named: Iterable[tuple[str, Array]]) -> Taps:
    """Values by name; a tap may be called as another's input or second output is, `conv.input` or `conv.1`."""
    values: dict[str, Array] = {}
    for name, array in named:
        if name in values:
            raise UsageError(f"taps: two arrays would be called {name!r}, and one of the taps must have another name")
        values[name] = array
    return values


def allowed_units(pair: Comparison, calls: Calls) -> dict[str, int]:
    """Roundings allowed to each: to a module that is fed few; between modules may lie many steps."""
    units: dict[str, int] = {}
    for name, call in compared_calls(pair, calls).items():
        arriving = _arriving(pair, name, call)
        own = CASCADED if name == ROOT or not pair.sees_alike else 0
        units |= {place: CASCADED for place, _ in arriving}
        units |= {
            made: own or _units_of_module(pair, name, [values, *dict(arriving).values()])
            for made, values in _named_outputs(name, call)
        }
    return units


def longest_sum(pair: Comparison, name: str) -> int:
    """The terms of the longest sum within what makes a tap, of all taps for the model itself; 1 where there is none."""
    tap = tap_of(name)
    if tap == ROOT or tap.startswith(f"{ROOT}."):
        return max(pair.terms.values(), default=1)
    return pair.terms.get(tap, 1)


def _units_of_module(pair: Comparison, name: str, arrays: Sequence[Array]) -> int:
    """Of one module. Without parameters, it may compute with places in its map, as resizing does: they round with its
    longest side."""
    if (terms := longest_sum(pair, name)) > 1:
        return isolated_units(terms)
    sides: list[int] = [side for values in arrays for side in values.shape[1:]]
    return max([isolated_units(1), *sides])
