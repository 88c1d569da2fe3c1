"""The rung *targets*: what each anchor shall predict, in batches that hold every kind of picture."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from parity_tests.ladder.case import Answer
from parity_tests.retinanet.assignments import assignment_batches, regions_to_ignore
from parity_tests.retinanet.comparison import DetectorCase, DetectorComparison, DetectorSides
from parity_tests.retinanet.inputs import Size
from parity_tests.rule.budgets import ISOLATED
from parity_tests.rule.compare import compare_taps, compare_tensor
from parity_tests.rule.record import Record, Where

TARGET_SIZES: tuple[Size, ...] = ((128, 128), (96, 160))
"""Picture sizes of the rung."""

UNITS = {"targets.classes": 0, "targets.deltas": ISOLATED}
"""What is compared, and the units of rounding allowed to it."""


OF_FOUR, PRECISIONS = "batch of 4", ("float64", "float32")
"""The batch of which regions are ignored, and the precisions of the others."""


def targets(run: DetectorComparison) -> list[DetectorCase]:
    """Classes, ignored anchors among them, and deltas of positive anchors."""
    return [_case(run, size, run.dealt(place)) for place, size in enumerate(run.sizes or TARGET_SIZES)]


def _case(run: DetectorComparison, size: Size, shared: int | None) -> DetectorCase:
    def reference(sides: DetectorSides) -> Answer:
        anchors = sides.reference("float64").anchors(size)
        batches = assignment_batches(anchors, size, run.config.num_classes)
        side = sides.reference("float64")
        regions = regions_to_ignore(anchors, size)
        classes = side.targets(size, *batches[OF_FOUR])["targets.classes"]
        ignored = {"regions": regions, "classes": classes, "ignored": side.ignoring(size, classes, regions)}
        return {"batches": batches, **ignored} | {
            dtype: {name: sides.reference(dtype).targets(size, *batch) for name, batch in batches.items()}
            for dtype in run.precisions
        }

    def port(sides: DetectorSides, given: Answer) -> Answer:
        ignored = sides.port("float64").ignoring(size, given["classes"], given["regions"])
        return {"ignored": ignored} | {
            dtype: {name: sides.port(dtype).targets(size, *batch) for name, batch in given["batches"].items()}
            for dtype in run.precisions
        }

    where, whole = Where(size=size), ("batches", "regions", "classes", "ignored", *run.precisions)
    judge = partial(_judge, where, run.dtypes)
    return DetectorCase(
        rung="targets", where=where, reference=reference, port=port, judge=judge, whole=whole, shared=shared
    )


def _judge(where: Where, dtypes: Sequence[str], reference: Answer, port: Answer) -> list[Record]:
    records = []
    for name in reference["batches"]:
        for tap, units in UNITS.items():
            pairs = {
                dtype: [side[dtype][name][tap] for side in (reference, port)] for dtype in port if dtype in PRECISIONS
            }
            records += compare_tensor("targets", replace(where, data=name), tap, pairs, dtypes, units)
    both = ({"targets.ignored": side["ignored"]} for side in (reference, port))
    place = replace(where, data="regions to ignore", dtype="float64")
    return records + (compare_taps("targets", place, *both, units=0) if "float64" in dtypes else [])
