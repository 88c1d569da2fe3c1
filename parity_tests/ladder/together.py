"""Modules that one side calls once on the examples of several calls of the other. Needs numpy alone.

A model that compares two pictures may embed them one after the other, or both as one batch: what it makes is the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from parity_tests.rule.record import SIDES, Array
from parity_tests.sides.side import ROOT, Call, Calls, call_name, tap_of


@dataclass
class Together:
    """The taps of which one side has the examples of several calls in one.

    Attributes:
        sizes: how many examples each of the several calls has, by tap.
        words: what is said of each.
    """

    sizes: dict[str, Sequence[int]] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    _joined: dict[str, str] = field(default_factory=dict)

    def found(self, reference: Calls, port: Calls) -> dict[str, Call]:
        """The port's calls as many as the reference's, where one side calls a tap once on the examples of several."""
        sides = _by_tap(reference), _by_tap(port)
        for tap in [tap for tap in sides[0] if tap in sides[1] and tap != ROOT]:
            counts = [len(of_side[tap]) for of_side in sides]
            if min(counts) == 1 < max(counts):
                one, several = (0, 1) if counts[0] == 1 else (1, 0)
                if sizes := _sizes(sides[one][tap][0], sides[several][tap]):
                    self.sizes[tap], self._joined[tap] = sizes, SIDES[one]
                    self.words[tap] = f"the {SIDES[one]} calls it once on the examples of {max(counts)} calls"
        return self.to_reference(port)

    def to_reference(self, calls: Calls) -> dict[str, Call]:
        """Calls of the port as many as the reference has."""
        return self._changed(calls, joining="reference")

    def to_port(self, calls: Calls) -> dict[str, Call]:
        """Calls of the reference as many as the port has."""
        return self._changed(calls, joining="port")

    def added_up(self, calls: Calls) -> dict[str, Call]:
        """Calls with the gradients by the parameters of such a tap added up, at the first of its calls."""
        of_taps = _by_tap(calls)
        return {
            name: replace(call, parameter_gradients=self._of_first(name, of_taps))
            if tap_of(name) in self.sizes
            else call
            for name, call in calls.items()
        }

    def _of_first(self, name: str, of_taps: Mapping[str, Sequence[Call]]) -> Mapping[str, Array]:
        return _summed([call.parameter_gradients for call in of_taps.get(name, ())])

    def _changed(self, calls: Calls, joining: str) -> dict[str, Call]:
        of_taps, found = _by_tap(calls), dict[str, Call]()
        for name, call in calls.items():
            tap = tap_of(name)
            if tap not in self.sizes or (len(of_taps[tap]) == 1) == (self._joined[tap] == joining):
                found[name] = call
            elif self._joined[tap] != joining:
                found |= {call_name(tap, n): part for n, part in enumerate(_parts(call, self.sizes[tap]), 1)}
            elif name == tap:
                found[tap] = _joined(of_taps[tap])
        return found


def _by_tap(calls: Calls) -> dict[str, list[Call]]:
    """The calls of each tap: the first, the second, and so on."""
    found: dict[str, list[Call]] = {}
    for name in sorted(calls, key=lambda name: int(name.partition("#")[2] or 1)):
        found.setdefault(tap_of(name), []).append(calls[name])
    return found


def _sizes(one: Call, several: Sequence[Call]) -> list[int]:
    """How many examples each of several calls has, where one call has those of all; else none."""
    whole, parts = _shapes(one), [_shapes(call) for call in several]
    if not whole or any(part.keys() != whole.keys() for part in parts) or not all(all(part.values()) for part in parts):
        return []
    sizes = [{shape[0] for shape in part.values()} for part in parts]
    total = sum(min(of) for of in sizes)
    alike = all(sorted(part[place][1:]) == sorted(whole[place][1:]) for part in parts for place in whole)
    fits = alike and all(len(of) == 1 for of in sizes) and {shape[:1] for shape in whole.values()} == {(total,)}
    return [min(of) for of in sizes] if fits else []


def _shapes(call: Call) -> dict[Any, tuple[int, ...]]:
    return {place: values.shape for place, values in [*enumerate(call.inputs), *call.outputs.items()]}


def _joined(calls: Sequence[Call]) -> Call:
    """One call on the examples of all; the gradients by parameters add up."""
    first = calls[0]
    return replace(
        first,
        inputs=[np.concatenate(arrays) for arrays in zip(*(call.inputs for call in calls), strict=True)],
        outputs=_of_all([call.outputs for call in calls]),
        output_gradients=_of_all([call.output_gradients for call in calls]),
        input_gradients=_of_all([call.input_gradients for call in calls]),
        parameter_gradients=_summed([call.parameter_gradients for call in calls]),
    )


def _summed(gradients: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Gradients by parameters over several calls."""
    found: dict[str, Array] = {}
    for of_call in gradients:
        found |= {name: found[name] + values if name in found else values for name, values in of_call.items()}
    return found


def _of_all(values: Sequence[Mapping[Any, Array]]) -> dict[Any, Array]:
    return {
        place: np.concatenate([of[place] for of in values]) for place in values[0] if all(place in of for of in values)
    }


def _parts(call: Call, sizes: Sequence[int]) -> Iterator[Call]:
    """A call for each size; the first of them has the gradients by parameters of all."""
    ends = np.cumsum(sizes)
    for n, (end, size) in enumerate(zip(ends, sizes, strict=True)):
        own = slice(end - size, end)
        yield replace(
            call,
            inputs=[values[own] for values in call.inputs],
            outputs={place: values[own] for place, values in call.outputs.items()},
            output_gradients={place: values[own] for place, values in call.output_gradients.items()},
            input_gradients={i: values[own] for i, values in call.input_gradients.items()},
            parameter_gradients={} if n else call.parameter_gradients,
        )
