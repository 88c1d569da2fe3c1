"""The rung *losses*: each term and its normaliser, both sides given the reference's targets and the same outputs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from parity_tests.ladder.case import Answer, asked_with, check_drawn
from parity_tests.retinanet.assignments import assignment_batches, crafted_outputs
from parity_tests.retinanet.comparison import DetectorCase, DetectorComparison, DetectorSides
from parity_tests.retinanet.inputs import Size
from parity_tests.retinanet.side import DetectorSide
from parity_tests.rule.budgets import ISOLATED
from parity_tests.rule.compare import compare_tensor, compare_values
from parity_tests.rule.record import Array, Record, Where

LOSS_SIZE: Size = (128, 128)
"""Picture size of the rung, where none is given."""

SCALES = {"near the truth": 1.0, "far from it": 20.0}
"""How far outputs are from the targets: the second leaves the quadratic part of smooth L1 and saturates scores."""

Targets = Mapping[str, Mapping[str, Array]]
"""The targets of each batch, by the batch's name."""


def losses(run: DetectorComparison) -> list[DetectorCase]:
    """Losses of batches with and without boxes."""
    return [_case(run, size) for size in run.sizes or [LOSS_SIZE]]


def _case(run: DetectorComparison, size: Size) -> DetectorCase:
    classes = run.config.num_classes

    def reference(sides: DetectorSides) -> Answer:
        side = sides.reference("float64")
        batches = assignment_batches(side.anchors(size), size, classes)
        targets = {name: side.targets(size, *batch) for name, batch in batches.items()}
        terms = {dtype: _terms(sides.reference(dtype), targets, classes, dtype) for dtype in run.precisions}
        return {"targets": targets} | terms | asked_with(*(outputs for _, _, outputs in _asked(targets, classes)))

    def port(sides: DetectorSides, given: Answer) -> Answer:
        check_drawn(given, *(outputs for _, _, outputs in _asked(given["targets"], classes)))
        return {dtype: _terms(sides.port(dtype), given["targets"], classes, dtype) for dtype in run.precisions}

    where, whole = Where(size=size), ("targets", *run.precisions)
    judge = partial(_judge, where, run.dtypes)
    return DetectorCase(rung="losses", where=where, reference=reference, port=port, judge=judge, whole=whole)


def _asked(targets: Targets, classes: int) -> Iterator[tuple[str, Mapping[str, Array], Array]]:
    """Each question: what it is, targets, and outputs that are near to them or far from them."""
    for name, of_batch in targets.items():
        for how, scale in SCALES.items():
            yield f"{name}, outputs {how}", of_batch, crafted_outputs(of_batch, classes, scale=scale)


def _terms(side: DetectorSide, targets: Targets, classes: int, dtype: str) -> dict[str, Mapping[str, Array]]:
    return {
        data: side.losses(outputs.astype(dtype), {name: value.astype(dtype) for name, value in of_batch.items()})
        for data, of_batch, outputs in _asked(targets, classes)
    }


def _judge(where: Where, dtypes: Sequence[str], reference: Answer, port: Answer) -> list[Record]:
    """The terms of both sides; one that a side lacks is a difference."""
    records = []
    for data in port["float64"]:
        place = replace(where, data=data)
        pairs = {dtype: [side[dtype][data] for side in (reference, port)] for dtype in port}
        for term in dict.fromkeys(name for terms in pairs["float64"] for name in terms):
            if all(term in terms for pair in pairs.values() for terms in pair):
                of_term = {dtype: [terms[term] for terms in pair] for dtype, pair in pairs.items()}
                records += compare_tensor("losses", place, term, of_term, dtypes, ISOLATED)
            else:
                for dtype in dtypes:
                    left, right = (terms.get(term) for terms in pairs[dtype])
                    records.append(compare_values("losses", replace(place, dtype=dtype), term, left, right, budget=0.0))
    return records
