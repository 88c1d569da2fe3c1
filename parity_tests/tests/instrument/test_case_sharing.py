"""What presets climbed beside each other deal out between them: each case is climbed once, and who did not says so."""

from dataclasses import replace

import pytest

from parity_tests.ladder.case import dealt
from parity_tests.retinanet.comparison import DetectorComparison
from parity_tests.retinanet.coverage import coverage
from parity_tests.retinanet.rungs import RUNGS, cases_of
from parity_tests.retinanet.rungs.step import RECIPES


def climbed(
    run: DetectorComparison, rung: str, share: tuple[int, int], dtypes: tuple[str, ...] = ("float64", "float32")
) -> list[str]:
    """The names of the cases of a rung that a preset is dealt."""
    return [case.name for case in dealt(RUNGS[rung](replace(run, dtypes=dtypes)), share)[0]]


@pytest.mark.parametrize("rung", [*RUNGS])
def test_every_case_is_climbed_with_some_preset(run: DetectorComparison, rung: str) -> None:
    alone, first, second = (climbed(run, rung, share) for share in ((0, 1), (0, 2), (1, 2)))
    assert {*first, *second} == {*alone}
    assert len(alone) == len({*alone})


OF_EACH = {"shapes", "forward", "anchors", "gradients", "backward"}
"""The rungs that each preset climbs whole: its network differs from the other's."""


def test_what_surrounds_the_network_is_dealt_out(run: DetectorComparison) -> None:
    names = {rung: [climbed(run, rung, (which, 2)) for which in (0, 1)] for rung in RUNGS}
    assert {rung for rung, (first, second) in names.items() if first == second} == OF_EACH
    assert names["trajectory"] == [["trajectory 32x64 inference"], ["trajectory 32x64 training"]]
    statistics = "step float64 BatchNorm"
    assert names["step"] == [[*(f"step float64 {recipe}" for recipe in RECIPES), statistics], [statistics]]


def test_training_on_pictures_is_dealt_with_the_run_that_has_its_mode_of_batchnorm(run: DetectorComparison) -> None:
    inference, training = (climbed(run, "training", (which, 2)) for which in (0, 1))
    assert {"training float64 frozen backbone", "training float64 frozen BatchNorm"} <= {*inference}
    assert "training float64 pictures" in training


@pytest.mark.parametrize("rung", ["targets", "losses", "detections", "metric"])
def test_sizes_that_are_asked_for_are_climbed_with_each_preset(run: DetectorComparison, rung: str) -> None:
    asked = replace(run, sizes=[(64, 64), (96, 64)])
    climbs = [climbed(asked, rung, (which, 2)) for which in (0, 1)]
    names = [[name for name in names if "edges" not in name and "notebook" not in name] for names in climbs]
    assert names[0] == names[1]
    assert len(names[0]) == 2


def test_rungs_that_are_climbed_together_are_dealt_as_each_alone(run: DetectorComparison) -> None:
    for share in ((0, 2), (1, 2)):
        names = [case.name for case in dealt(cases_of(run, [*RUNGS]), share)[0]]
        assert names == [name for rung in RUNGS for name in climbed(run, rung, share)]
        assert len(names) == len({*names})


def test_a_rung_that_has_no_case_for_each_preset_is_climbed_with_all(run: DetectorComparison) -> None:
    assert climbed(run, "trajectory", (1, 2), ("float32",)) == ["trajectory 32x64 inference"]


def test_what_was_left_to_another_preset_is_skipped_in_writing(run: DetectorComparison) -> None:
    _, left = dealt(cases_of(run, ["trajectory"]), (1, 2))
    [found] = coverage("notebook", run.sides.about(), [], ["trajectory"], left)
    assert found.skipped == {
        "trajectory 32x64 inference": "climbed with a preset beside it, since presets hardly differ in it"
    }
    assert not found.missing
