"""What presets climbed beside each other deal out between them: each case is climbed once, and who did not says so."""

from dataclasses import replace

import pytest

from parity_tests.retinanet.comparison import DetectorComparison
from parity_tests.retinanet.coverage import coverage
from parity_tests.retinanet.rungs import RUNGS
from parity_tests.retinanet.rungs.step import RECIPES


def climbed(
    run: DetectorComparison, rung: str, share: tuple[int, int], dtypes: tuple[str, ...] = ("float64", "float32")
) -> list[str]:
    return [case.name for case in RUNGS[rung](replace(run, share=share, dtypes=dtypes, left=[]))]


@pytest.mark.parametrize("rung", [*RUNGS])
def test_every_case_is_climbed_with_some_preset(run: DetectorComparison, rung: str) -> None:
    alone, first, second = (climbed(run, rung, share) for share in ((0, 1), (0, 2), (1, 2)))
    assert {*first, *second} == {*alone}
    assert len(alone) == len({*alone})


def test_optimisers_and_training_runs_alone_are_dealt_out(run: DetectorComparison) -> None:
    names = {rung: [climbed(run, rung, (which, 2)) for which in (0, 1)] for rung in RUNGS}
    assert {rung for rung, (first, second) in names.items() if first != second} == {"step", "trajectory"}
    assert names["trajectory"] == [["inference"], ["training"]]
    assert names["step"] == [[*RECIPES, "statistics"], ["statistics"]]


def test_a_rung_that_has_no_case_for_each_preset_is_climbed_with_all(run: DetectorComparison) -> None:
    assert climbed(run, "trajectory", (1, 2), ("float32",)) == ["inference"]


def test_what_was_left_to_another_preset_is_exempt_in_writing(run: DetectorComparison) -> None:
    shared = replace(run, share=(1, 2), left=[])
    RUNGS["trajectory"](shared)
    [found] = coverage(shared, [], ["trajectory"])
    assert found.exempt == {
        "trajectory inference": "climbed with a preset beside it, since presets hardly differ in it"
    }
    assert not found.missing
