"""The rung *losses*: each term and its normaliser, both sides given the reference's targets and the same outputs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from parity_tests.ladder.case import Answer, asked_with, check_drawn
from parity_tests.retinanet.assignments import assignment_batches, crafted_outputs, sure_outputs
from parity_tests.retinanet.comparison import DetectorCase, DetectorComparison, DetectorSides
from parity_tests.retinanet.focal import raw_outputs
from parity_tests.retinanet.inputs import Size
from parity_tests.retinanet.side import DetectorSide, Focus
from parity_tests.rule.budgets import ISOLATED
from parity_tests.rule.compare import compare_taps, compare_tensor, compare_values
from parity_tests.rule.digest import digest_of
from parity_tests.rule.record import Array, Record, Where

LOSS_SIZE: Size = (128, 128)
"""Picture size of the rung, where none is given."""

SCALES = {"near the truth": 1.0, "far from it": 20.0}
"""How far outputs are from the targets: the second leaves the quadratic part of smooth L1 and saturates scores."""

NORMALISER = "loss.normaliser"
"""The name of what the terms are divided by."""

GRADIENT = "loss.gradient"
"""The name of the gradient by the outputs."""

SURE = {"sure and right": True, "sure and wrong": False}
"""Outputs with logits of 40 to 90, where a difference from one is lost that the loss must not lose."""

WITH_GRADIENTS = ("batch of 1", "batch of 1 without boxes", "batch of 4")
"""The batches of which the gradient is compared too: without boxes it must be finite, and many are taken in parts."""

FOCUSED, FOCUS = "batch of 1", Focus(alpha=0.4, gamma=1.5)
"""The batch that is lost with another focal loss, too, and that: its exponent is no square."""

Targets = Mapping[str, Mapping[str, Array]]
"""The targets of each batch, by the batch's name."""


def losses(run: DetectorComparison) -> list[DetectorCase]:
    """Losses of batches with and without boxes, and in float32 those that the notebook trains with."""
    return [*(_case(run, size) for size in run.sizes or [LOSS_SIZE]), _focal(run)]


class Question(NamedTuple):
    """What both sides are asked: outputs against the targets of a batch, and how those outputs are."""

    batch: str
    how: str
    targets: Mapping[str, Array]
    outputs: Array
    focus: Focus | None = None

    @property
    def data(self) -> str:
        """What a record calls it."""
        return f"{self.batch}, outputs {self.how}"

    def in_precision(self, dtype: str) -> tuple[Array, dict[str, Array]]:
        """Outputs and targets."""
        return self.outputs.astype(dtype), {name: value.astype(dtype) for name, value in self.targets.items()}


def _case(run: DetectorComparison, size: Size) -> DetectorCase:
    classes = run.config.num_classes

    def reference(sides: DetectorSides) -> Answer:
        side = sides.reference("float64")
        batches = assignment_batches(side.anchors(size), size, classes)
        targets = {name: side.targets(size, *batch) for name, batch in batches.items()}
        drawn = asked_with(*_digests(targets, classes))
        return {"targets": targets} | _answers(run, sides.reference, targets) | drawn

    def port(sides: DetectorSides, given: Answer) -> Answer:
        check_drawn(given, *_digests(given["targets"], classes))
        return _answers(run, sides.port, given["targets"])

    where, whole = Where(size=size), ("targets", *run.precisions)
    judge = partial(_judge, where, run.dtypes)
    shared = run.dealt(0)
    return DetectorCase(
        rung="losses", where=where, reference=reference, port=port, judge=judge, whole=whole, shared=shared
    )


def _focal(run: DetectorComparison) -> DetectorCase:
    """In float32, which the notebook's package computes in whatever it is given, and whatever a side's precision is."""
    where = Where(dtype="float32", subject="notebook")

    def reference(sides: DetectorSides) -> Answer:
        outputs, labels = raw_outputs(run.inputs.seed)
        return {"lost": sides.reference("float64").focal_losses(outputs, labels), "outputs": outputs, "labels": labels}

    def port(sides: DetectorSides, given: Answer) -> Answer:
        return {"lost": sides.port("float64").focal_losses(given["outputs"], given["labels"])}

    def judge(reference: Answer, port: Answer) -> list[Record]:
        return compare_taps("losses", where, reference["lost"], port["lost"], units=ISOLATED)

    whole = ("lost", "outputs", "labels")
    return DetectorCase(rung="losses", where=where, reference=reference, port=port, judge=judge, whole=whole, shared=0)


def _asked(targets: Targets, classes: int) -> Iterator[Question]:
    """Outputs near the targets, far from them, and as sure as can be; and of one batch with another focal loss."""
    for name, of_batch in targets.items():
        for how, scale in SCALES.items():
            yield Question(name, how, of_batch, crafted_outputs(of_batch, classes, scale=scale))
        for how, right in SURE.items():
            yield Question(name, how, of_batch, sure_outputs(of_batch, classes, right=right))
        if name == FOCUSED:
            how = f"near the truth, alpha {FOCUS.alpha} and gamma {FOCUS.gamma}"
            yield Question(name, how, of_batch, crafted_outputs(of_batch, classes), FOCUS)


def _digests(targets: Targets, classes: int) -> list[str]:
    """Those of all outputs, of which one is held at a time."""
    return [digest_of([question.outputs]) for question in _asked(targets, classes)]


def _answers(run: DetectorComparison, side: Callable[[str], DetectorSide], targets: Targets) -> dict[str, Answer]:
    """The terms of the loss in each precision, and in float64 the gradients of a few."""
    classes = run.config.num_classes
    asked = partial(_asked, targets, classes)
    terms = {d: {q.data: side(d).losses(*q.in_precision(d), q.focus) for q in asked()} for d in run.precisions}
    few = _asked({name: targets[name] for name in WITH_GRADIENTS}, classes)
    lost = {q.data: side("float64").loss_gradient(*q.in_precision("float64"), q.focus) for q in few}
    return terms | {"gradients": lost}


def _judge(where: Where, dtypes: Sequence[str], reference: Answer, port: Answer) -> list[Record]:
    records = [record for data in port["float64"] for record in _judge_terms(where, data, dtypes, reference, port)]
    if "float64" not in dtypes:
        return records
    for data, gradient in reference["gradients"].items():
        place = replace(where, data=data, dtype="float64")
        both = ({GRADIENT: side} for side in (gradient, port["gradients"][data]))
        records += compare_taps("losses", place, *both, units=ISOLATED)
    return records


def _judge_terms(where: Where, data: str, dtypes: Sequence[str], reference: Answer, port: Answer) -> list[Record]:
    """The terms of both sides; one that a side lacks is a difference."""
    records, place = [], replace(where, data=data)
    pairs = {d: [side[d][data] for side in (reference, port)] for d in ("float64", "float32") if d in port}
    named = dict.fromkeys(name for terms in pairs["float64"] for name in terms)
    for term in sorted(named, key=lambda name: name != NORMALISER):  # it comes first: the others are divided by it
        if all(term in terms for pair in pairs.values() for terms in pair):
            of_term = {dtype: [terms[term] for terms in pair] for dtype, pair in pairs.items()}
            records += compare_tensor("losses", place, term, of_term, dtypes, ISOLATED)
        else:
            for dtype in dtypes:
                left, right = (terms.get(term) for terms in pairs[dtype])
                records.append(compare_values("losses", replace(place, dtype=dtype), term, left, right, budget=0.0))
    return records
