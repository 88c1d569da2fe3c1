"""The rung *anchors*: every coordinate of every anchor, at all sizes of the sweep."""

from collections.abc import Sequence
from functools import partial

from parity_tests.ladder.case import Answer
from parity_tests.retinanet.comparison import DetectorCase, DetectorComparison, DetectorSides
from parity_tests.retinanet.inputs import Size
from parity_tests.retinanet.rungs.shapes import SWEEP
from parity_tests.retinanet.side import DetectorSide
from parity_tests.rule.budgets import ISOLATED
from parity_tests.rule.compare import compare_tensor
from parity_tests.rule.record import Array, Record, Where

LONG: tuple[Size, ...] = ((32, 1344), (1344, 32))
"""Pictures beyond 1024, from which on numbers of 11 digits cannot tell pixels apart."""


def anchors(run: DetectorComparison) -> list[DetectorCase]:
    """Anchors size by size, of two beyond 1024, too."""
    return [_case(run, size) for size in run.sizes or (*SWEEP, *LONG)]


def _case(run: DetectorComparison, size: Size) -> DetectorCase:
    def reference(sides: DetectorSides) -> Answer:
        return {dtype: _asked_twice(sides.reference(dtype), size) for dtype in run.precisions}

    def port(sides: DetectorSides, given: Answer) -> Answer:
        return {dtype: _asked_twice(sides.port(dtype), size) for dtype in run.precisions}

    where = Where(size=size)
    judge = partial(_judge, where, run.dtypes)
    return DetectorCase(rung="anchors", where=where, reference=reference, port=port, judge=judge, whole=run.precisions)


def _asked_twice(side: DetectorSide, size: Size) -> Array:
    """The anchors that a side gives once those that it gave before have been written to: they must be copies."""
    given = side.anchors(size)
    if given.flags.writeable:
        given += 1
    return side.anchors(size)


def _judge(where: Where, dtypes: Sequence[str], reference: Answer, port: Answer) -> list[Record]:
    pairs = {dtype: [reference[dtype], port[dtype]] for dtype in reference}
    return compare_tensor("anchors", where, "anchors", pairs, dtypes, ISOLATED)
