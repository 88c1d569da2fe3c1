"""The rung *anchors*: every coordinate of every anchor, at all sizes of the sweep, and how many each level has.

Also those of other settings than a preset's.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from parity_tests.ladder.case import Answer
from parity_tests.retinanet.anchors import NOTHING, Anchors, Changed
from parity_tests.retinanet.comparison import DetectorCase, DetectorComparison
from parity_tests.retinanet.inputs import Size
from parity_tests.retinanet.rungs.shapes import SWEEP
from parity_tests.retinanet.rungs.variations import VARIATIONS
from parity_tests.retinanet.side import DetectorSide
from parity_tests.rule.budgets import ISOLATED
from parity_tests.rule.compare import compare_taps, compare_tensor
from parity_tests.rule.record import Array, Record, Where

LONG: tuple[Size, ...] = ((32, 1344), (1344, 32))
"""Pictures beyond 1024, from which on numbers of 11 digits cannot tell pixels apart."""


PER_LEVEL = "anchors.per_level"
"""The name of how many there are of each level."""


def anchors(run: DetectorComparison) -> list[DetectorCase]:
    """Anchors size by size, of two beyond 1024, too; and those of variations, where no sizes are asked for."""
    if run.sizes:
        return [_case(run, size) for size in run.sizes]
    others = [_case(run, each.size, each.anchors) for each in VARIATIONS if each.anchors]
    return [*(_case(run, size) for size in (*SWEEP, *LONG)), *others]


def _case(run: DetectorComparison, size: Size, other: Anchors | None = None) -> DetectorCase:
    changed = other._asdict() if other else NOTHING

    def asked(side: Callable[[str], DetectorSide]) -> Answer:
        made = {dtype: _asked_twice(side(dtype), size, changed) for dtype in run.precisions}
        return made | {PER_LEVEL: side("float64").anchors_per_level(size, changed)}

    where = Where(size=size, subject=other.text if other else "")
    return DetectorCase(
        rung="anchors",
        where=where,
        reference=lambda sides: asked(sides.reference),
        port=lambda sides, given: asked(sides.port),
        judge=partial(_judge, where, run.dtypes),
        whole=(*run.precisions, PER_LEVEL),
    )


def _asked_twice(side: DetectorSide, size: Size, changed: Changed) -> Array:
    """The anchors that a side gives once those that it gave before have been written to: they must be copies.

    Before others than its own it gives its own, which must not be given again.
    """
    for settings in (NOTHING, changed) if changed else (NOTHING,):
        given = side.anchors(size, settings)
        if given.flags.writeable:
            given += 1
    return side.anchors(size, changed)


def _judge(where: Where, dtypes: Sequence[str], reference: Answer, port: Answer) -> list[Record]:
    pairs = {dtype: [reference[dtype], port[dtype]] for dtype in reference if dtype != PER_LEVEL}
    records = compare_tensor("anchors", where, "anchors", pairs, dtypes, ISOLATED)
    if "float64" not in dtypes:
        return records
    counts = ({PER_LEVEL: side[PER_LEVEL]} for side in (reference, port))
    return records + compare_taps("anchors", replace(where, dtype="float64"), *counts, units=0)
