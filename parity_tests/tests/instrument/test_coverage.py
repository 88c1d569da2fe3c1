"""Nothing that a side has is left out in silence: it is compared, or skipped for a reason, or the run is incomplete."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from parity_tests.ladder.climb import climb
from parity_tests.retinanet.comparison import DetectorComparison, detector_sides
from parity_tests.retinanet.coverage import coverage
from parity_tests.retinanet.rungs import RUNGS
from parity_tests.rule.record import Record
from parity_tests.rule.result import Coverage, Result


@pytest.fixture(scope="module")
def records(run: DetectorComparison) -> list[Record]:
    """The weights, and all taps at one size."""
    taps, _, _, weights = RUNGS["forward"](replace(run, sizes=[(32, 64)], dtypes=("float64",)))
    return climb([weights, taps], run.sides)


def covered(run: DetectorComparison, records: Sequence[Record], rungs: Iterable[str] = RUNGS) -> list[Coverage]:
    """What these records cover of the sides as they are built."""
    return coverage("notebook", run.sides.about(), records, rungs)


def test_everything_of_both_sides_is_compared_or_skipped_for_a_reason(
    run: DetectorComparison, records: list[Record]
) -> None:
    found = covered(run, records)
    assert {c.preset for c in found} == {"notebook"}
    assert sorted((c.side, c.kind, c.compared, len(c.skipped), list(c.missing)) for c in found) == [
        ("port", "parameters", 354, 53, []),
        ("port", "taps", 83, 0, []),
        ("reference", "parameters", 354, 0, []),
        ("reference", "taps", 83, 0, []),
    ]
    assert {reason for c in found for reason in c.skipped.values()} == {
        "counts steps for a cumulative average, which neither side has"
    }


@pytest.mark.ci
def test_taps_are_known_after_the_models_that_made_them_have_made_room(run: DetectorComparison) -> None:
    sides = detector_sides(run.sides.build, run.weights)
    alone = replace(run, sides=sides, sizes=[(32, 64)])
    records = climb(RUNGS["shapes"](alone), sides)
    sides.reference("float64"), sides.port("float64")
    sides.make_room("float32")
    assert [(c.side, c.kind, c.compared) for c in covered(alone, records, ["shapes", "step"])] == [
        *(("reference", "taps", 83), ("port", "taps", 83)),
    ]


def test_a_tap_that_no_record_has_makes_the_run_incomplete(run: DetectorComparison, records: list[Record]) -> None:
    without = [record for record in records if record.name != "p6"]
    result = Result(records=without, coverage=covered(run, without))
    assert [list(c.missing) for c in result.coverage if c.kind == "taps"] == [["p6"], ["p6"]]
    assert (result.exit_code, result.verdict) == (3, "incomplete")


def test_a_variable_that_was_compared_in_no_rung_is_named_as_its_framework_names_it(
    run: DetectorComparison, records: list[Record]
) -> None:
    without = [record for record in records if record.name != "fpn/conv_c6_3x3/kernel"]
    missing = {c.side: list(c.missing) for c in covered(run, without) if c.kind == "parameters"}
    assert missing["port"] == ["fpn.conv_c6_3x3.weight"]
    [of_reference] = missing["reference"]
    assert of_reference.endswith("/kernel")


def test_what_could_not_be_compared_does_not_count(run: DetectorComparison, records: list[Record]) -> None:
    broken = [replace(record, verdict="incomplete") if record.name == "p6" else record for record in records]
    assert [list(c.missing) for c in covered(run, broken) if c.kind == "taps"] == [["p6"], ["p6"]]


def test_a_layer_that_the_name_table_does_not_know_is_missed(run: DetectorComparison, records: list[Record]) -> None:
    run.sides.release()  # the inventory is that of the side that was built first
    port: Any = run.sides.port("float64")
    port.model.extra = nn.Linear(2, 2).to(torch.float64)
    try:
        found = covered(run, records)
    finally:
        del port.model.extra
    [of_port] = [c for c in found if (c.side, c.kind) == ("port", "parameters")]
    assert list(of_port.missing) == ["extra.weight", "extra.bias"]


def test_rungs_that_do_not_compare_parameters_make_no_claim_on_them(run: DetectorComparison) -> None:
    assert covered(run, [], ["anchors"]) == []
    assert {c.kind for c in covered(run, [], ["parameters"])} == {"parameters"}
