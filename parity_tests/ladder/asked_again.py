"""The outputs for other inputs of the same shapes: who answers from a cache gives the first ones again.

Needs numpy alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from parity_tests.ladder.case import Answer
from parity_tests.ladder.comparison import Comparison, ModelCase, ModelSides
from parity_tests.ladder.model_case import model_case
from parity_tests.rule.record import SIDES, Array, Record, Where
from parity_tests.sides.side import ROOT, Calls, tap_of

SUBJECT = "asked again"
"""What the records of the second question have as their subject."""

Judge = Callable[[Comparison, Where, Answer, Answer], list[Record]]
"""What makes records of the calls of both sides, which lie under the precision."""


def asked_again(pair: Comparison, judge: Judge) -> list[ModelCase]:
    """One more run of each side, of which the outputs are compared; none where there are no other inputs.

    In float64, or in float32 where that alone is compared: each side then runs in both, as float32 is judged by both.
    """
    inputs = moved_up(pair.inputs)
    if inputs is None:
        return []
    dtype = "float64" if "float64" in pair.dtypes else "float32"
    precisions = list(dict.fromkeys((dtype, "float64")))
    where = replace(pair.where, dtype=dtype, mode="cascaded", subject=SUBJECT)

    def reference(sides: ModelSides) -> Answer:
        again = {one: sides.reference(one).forward(inputs) for one in precisions}
        names = _outputs(pair, again[dtype])
        outputs = {one: {name: calls[name] for name in names} for one, calls in again.items()}
        return _answer(outputs, dtype, pair.reference_calls(sides, dtype))

    def port(sides: ModelSides, given: Answer) -> Answer:
        changed = pair.to_port_inputs(inputs)
        again = {one: pair.to_reference(sides.port(one).forward(changed)) for one in precisions}
        outputs = {one: {name: calls[name] for name in given[dtype] if name in calls} for one, calls in again.items()}
        return _answer(outputs, dtype, pair.port_calls(sides, dtype))

    return [model_case("forward", where, reference, port, partial(_judged, pair, where, judge), precisions)]


def moved_up(inputs: Sequence[Array]) -> list[Array] | None:
    """Other inputs that a model takes which takes these: from the second on, each example is the one before it.

    So lengths that must fall still do. Where there is one example alone, what the next axis counts moves up. `None`
    where the inputs have different numbers of examples, and where nothing changes.
    """
    for axis in range(min((values.ndim for values in inputs), default=0)):
        if len({values.shape[axis] for values in inputs}) > 1:
            return None
        before = np.maximum(np.arange(inputs[0].shape[axis]) - 1, 0)
        found = [np.take(values, before, axis) for values in inputs]
        if not all(map(_is_same, found, inputs)):
            return found
    return None


def _outputs(pair: Comparison, calls: Calls) -> list[str]:
    """The model itself; else the last of the taps that it writes, and of a function all that it returns by name."""
    names = [name for name in calls if tap_of(name) in pair.taps.port]
    if ROOT in names:
        return [ROOT]
    return names[-1:] if pair.reference.has_modules else names


def _answer(again: Mapping[str, Calls], dtype: str, first: Calls) -> Answer:
    """Outputs in each precision without what led to them, and the names of those that are as for the first inputs."""
    as_first = [
        name + place
        for name, call in again[dtype].items()
        for place, values in call.outputs.items()
        if name in first and place in first[name].outputs and _is_same(values, first[name].outputs[place])
    ]
    outputs = {one: {name: replace(call, inputs=()) for name, call in calls.items()} for one, calls in again.items()}
    return {**outputs, "as first": as_first}


def _is_same(left: Array, right: Array) -> bool:
    return np.array_equal(left, right, equal_nan=left.dtype.kind in "fc")


def _judged(pair: Comparison, where: Where, judge: Judge, reference: Answer, port: Answer) -> list[Record]:
    as_first = dict(zip(SIDES, (reference["as first"], port["as first"]), strict=True))
    records = judge(pair, where, reference, port)
    if all(record.name in names for record in records for names in as_first.values()):
        return [_says_nothing(record) for record in records]
    return [_explained(record, as_first) for record in records]


def _says_nothing(record: Record) -> Record:
    why = "both sides answer as for the first inputs"
    return replace(record, vacuous=why) if record.verdict == "equal" else record


def _explained(record: Record, as_first: Mapping[str, Sequence[str]]) -> Record:
    """A difference, with the words that one side alone has the first answer again."""
    cached = [side for side, names in as_first.items() if record.name in names]
    if record.verdict != "different" or len(cached) != 1:
        return record
    return replace(record, reason=f"{record.reason}; the {cached[0]} answers as for the first inputs")
