"""Faults between a picture file and a trained detector: the rungs around the network catch each, and name it."""

from dataclasses import replace
from unittest.mock import Mock

import pytest

from keras_reference import postprocess, preprocess
from parity_tests.ladder.climb import climb, compared
from parity_tests.retinanet.comparison import DetectorComparison
from parity_tests.retinanet.raised import answering
from parity_tests.rule.divergence import divergence
from parity_tests.rule.record import verdict_of
from parity_tests.tests.support.edge_faults import EDGE_FAULTS, VARIATION_FAULTS
from parity_tests.tests.support.hold_out_faults import HOLD_OUT_FAULTS
from parity_tests.tests.support.picture_faults import PICTURE_CONVENTIONS, PICTURE_FAULTS
from parity_tests.tests.support.planted import cases_on, changed_network, changed_run, records_on, where_it_starts
from parity_tests.tests.support.port_faults import PORT_FAULTS, patch, result
from parity_tests.tests.support.training_faults import TRAINING_FAULTS
from parity_tests.tests.support.unseen_faults import HALF_FAULTS, UNSEEN_FAULTS
from parity_tests.tests.support.unused_faults import ABOVE, UNUSED_FAULTS

IN_TRAINING = {fault: ("training", *how) for fault, how in TRAINING_FAULTS.items()}
KINDS = (PORT_FAULTS, PICTURE_FAULTS, EDGE_FAULTS, HOLD_OUT_FAULTS, UNSEEN_FAULTS, UNUSED_FAULTS, IN_TRAINING)
FAULTS = {fault: how for kind in KINDS for fault, how in kind.items()}
assert len(FAULTS) == sum(map(len, KINDS))


@pytest.mark.slow
@pytest.mark.parametrize("rung", ["pictures", "detector", "training", "variations"])
def test_the_right_port_is_equal(run: DetectorComparison, rung: str) -> None:
    assert verdict_of(records_on(replace(run, dtypes=("float64",)), rung)) == "equal"


@pytest.mark.planted
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named_on_its_rung(
    run: DetectorComparison, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung, case, plant, name = FAULTS[fault]
    plant(monkeypatch)
    assert where_it_starts(changed_run(run), rung, case) == name


@pytest.mark.planted
@pytest.mark.parametrize("assignment", PICTURE_CONVENTIONS)
def test_a_convention_of_pictures_is_named_at_its_step(run: DetectorComparison, assignment: str) -> None:
    assert where_it_starts(changed_run(run, assignment), "pictures", "steps") == PICTURE_CONVENTIONS[assignment]


@pytest.mark.planted
def test_an_orientation_is_named_by_its_file(run: DetectorComparison, monkeypatch: pytest.MonkeyPatch) -> None:
    PICTURE_FAULTS["EXIF 6 taken for 8"][2](monkeypatch)
    different = [r for r in records_on(changed_run(run), "pictures", "files") if r.verdict == "different"]
    assert [record.where.data for record in different] == ["EXIF 6", "EXIF 8"]


def where_a_new_reference_parts(run: DetectorComparison, rung: str, case: str) -> str:
    """The name of the first difference to a reference that is asked anew: what it answers is kept for all tests."""
    parting = divergence(climb(cases_on(run, rung, case), run.sides))
    assert parting is not None
    return parting.first.name


@pytest.mark.planted
def test_a_reference_that_takes_the_means_in_the_wrong_order_is_caught(
    run: DetectorComparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = preprocess.normalise
    monkeypatch.setattr(
        "parity_tests.retinanet.keras_preparation.normalise", lambda image: right(image[..., ::-1])[..., ::-1]
    )
    assert where_a_new_reference_parts(run, "pictures", "steps") == "normalised"


@pytest.mark.planted
def test_a_reference_that_takes_the_limit_of_a_class_for_that_of_all_is_caught(
    run: DetectorComparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = postprocess.combined_non_max_suppression
    monkeypatch.setattr(
        postprocess,
        "combined_non_max_suppression",
        lambda *given, **limits: right(*given, **limits | {"max_detections": limits["max_detections_per_class"]}),
    )
    assert where_a_new_reference_parts(run, "detections", "edges") == "det.set"


@pytest.mark.planted
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("fault", HALF_FAULTS)
def test_a_fault_in_bfloat16_or_with_channels_last_alone_is_named(
    run: DetectorComparison, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung, case, plant, name = HALF_FAULTS[fault]
    plant(monkeypatch)
    assert where_it_starts(changed_network(run), rung, case) == name


@pytest.mark.planted
@pytest.mark.parametrize("fault", VARIATION_FAULTS)
def test_a_fault_of_other_sizes_is_named(run: DetectorComparison, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case, plant, name = VARIATION_FAULTS[fault]
    plant(monkeypatch)
    assert where_it_starts(changed_network(run), "variations", case) == name


@pytest.mark.planted
def test_thresholds_of_overlaps_that_are_a_rounding_too_large_are_named(
    run: DetectorComparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch_retinanet.evaluate.coco.IOUS", ABOVE)
    different = [record.name for record in records_on(run, "metric", "edges") if record.verdict == "different"]
    assert {"map", "class 0: ap", "class 0: recall"} <= {*different}
    assert "map_50" not in different


@pytest.mark.planted
def test_a_port_that_raises_is_different_at_the_line_that_does(
    run: DetectorComparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch("torch_retinanet.targets.encode", result(lambda deltas: deltas.float()))(monkeypatch)
    changed = changed_run(run)
    [record] = compared(answering(cases_on(changed, "targets", "96x160")[0]), changed.sides)
    assert record.verdict == "different"
    assert record.name.startswith("torch_retinanet/targets.py:")
    assert record.reason.startswith("the port raises RuntimeError")


def test_an_error_about_the_layout_in_memory_is_one_of_the_port(
    run: DetectorComparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = RuntimeError("required rank 4 tensor to use channels_last memory format")
    monkeypatch.setattr("torch_retinanet.targets.encode", Mock(side_effect=error))
    changed = changed_run(run)
    [record] = compared(answering(cases_on(changed, "targets", "96x160")[0]), changed.sides)
    assert record.verdict == "different"


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_a_port_without_memory_is_not_called_different(
    run: DetectorComparison, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch_retinanet.targets.encode", Mock(side_effect=error))
    changed = changed_run(run)
    with pytest.raises(type(error)):
        compared(answering(cases_on(changed, "targets", "96x160")[0]), changed.sides)
