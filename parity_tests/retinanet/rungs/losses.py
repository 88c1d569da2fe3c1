"""The rung *losses*: each term and its normaliser, both sides given the reference's targets and the same outputs."""

from collections.abc import Mapping, Sequence
from functools import partial

from parity_tests.retinanet.assignments import assignment_batches, crafted_outputs
from parity_tests.retinanet.inputs import Size, size_name
from parity_tests.retinanet.run import Case, Run
from parity_tests.rule.compare import ISOLATED, Array, Record, compare_tensor, compare_values

LOSS_SIZE: Size = (128, 128)
"""Picture size of the rung, where none is given."""

SCALES = {"near the truth": 1.0, "far from it": 20.0}
"""How far outputs are from the targets: the second leaves the quadratic part of smooth L1 and saturates scores."""


def losses(run: Run) -> list[Case]:
    """Losses of batches with and without boxes."""
    return [Case("losses", size_name(size), partial(_losses_at, run, size)) for size in run.sizes or [LOSS_SIZE]]


def _losses_at(run: Run, size: Size) -> list[Record]:
    records = []
    reference = run.sides("float64")[0]
    batches = assignment_batches(reference.anchors(size), size, run.config.num_classes)
    for name, (boxes, labels) in batches.items():
        targets = reference.targets(size, boxes, labels)
        for how, scale in SCALES.items():
            outputs = crafted_outputs(targets, run.config.num_classes, scale=scale)
            pairs = {
                dtype: [side.losses(outputs.astype(dtype), _as(targets, dtype)) for side in run.sides(dtype)]
                for dtype in run.precisions
            }
            case = f"{size_name(size)} {name}, outputs {how}"
            records += _terms(case, pairs, run.dtypes)
    return records


def _terms(case: str, pairs: Mapping[str, Sequence[Mapping[str, Array]]], dtypes: Sequence[str]) -> list[Record]:
    """The terms of both sides; one that a side lacks is a difference."""
    records = []
    for tap in dict.fromkeys(name for terms in pairs["float64"] for name in terms):
        if all(tap in terms for pair in pairs.values() for terms in pair):
            of_tap = {dtype: [terms[tap] for terms in pair] for dtype, pair in pairs.items()}
            records += compare_tensor("losses", case, tap, of_tap, dtypes, ISOLATED)
        else:
            for dtype in dtypes:
                reference, port = (terms.get(tap) for terms in pairs[dtype])
                records.append(compare_values("losses", f"{case} {dtype}", tap, reference, port, budget=0.0))
    return records


def _as(targets: Mapping[str, Array], dtype: str) -> dict[str, Array]:
    return {name: value.astype(dtype) for name, value in targets.items()}
