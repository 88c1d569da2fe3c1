"""The rung *anchors*: every coordinate of every anchor, at all sizes of the sweep."""

from functools import partial

from parity_tests.retinanet.inputs import Size, size_name
from parity_tests.retinanet.run import Case, Run
from parity_tests.retinanet.rungs.shapes import SWEEP
from parity_tests.rule.compare import ISOLATED, Record, compare_tensor


def anchors(run: Run) -> list[Case]:
    """Anchors size by size."""
    return [Case("anchors", size_name(size), partial(_anchors_at, run, size)) for size in run.sizes or SWEEP]


def _anchors_at(run: Run, size: Size) -> list[Record]:
    pairs = {dtype: [side.anchors(size) for side in run.sides(dtype)] for dtype in run.precisions}
    return compare_tensor("anchors", size_name(size), "anchors", pairs, run.dtypes, ISOLATED)
