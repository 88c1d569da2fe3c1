"""The rung *targets*: what each anchor shall predict, in batches that hold every kind of picture."""

from functools import partial

from parity_tests.retinanet.assignments import assignment_batches
from parity_tests.retinanet.inputs import Size, size_name
from parity_tests.retinanet.run import Case, Run
from parity_tests.rule.compare import ISOLATED, Record, compare_tensor

TARGET_SIZES: tuple[Size, ...] = ((128, 128), (96, 160))
"""Picture sizes of the rung."""


def targets(run: Run) -> list[Case]:
    """Classes, ignored anchors among them, and deltas of positive anchors."""
    return [Case("targets", size_name(size), partial(_targets_at, run, size)) for size in run.sizes or TARGET_SIZES]


def _targets_at(run: Run, size: Size) -> list[Record]:
    records = []
    anchors = run.sides("float64")[0].anchors(size)
    for name, (boxes, labels) in assignment_batches(anchors, size, run.config.num_classes).items():
        pairs = {d: [side.targets(size, boxes, labels) for side in run.sides(d)] for d in run.precisions}
        for tap, units in {"targets.classes": 0, "targets.deltas": ISOLATED}.items():
            of_tap = {dtype: [side[tap] for side in pair] for dtype, pair in pairs.items()}
            records += compare_tensor("targets", f"{size_name(size)} {name}", tap, of_tap, run.dtypes, units)
    return records
