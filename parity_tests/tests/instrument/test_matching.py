"""Detections held against each other: pairs, what only one side has, and what a threshold excuses."""

import numpy as np
import pytest

from parity_tests.retinanet.matching import Detections, Limits, compare_detections
from parity_tests.rule.budgets import ISOLATED
from parity_tests.rule.record import Record, Where, verdict_of

LIMITS = Limits(score=0.05, iou=0.5, most=3)
BOXES = np.array([[0.0, 0, 10, 10], [20, 20, 40, 40]])


def detections(boxes: np.ndarray, scores: list[float], labels: list[int]) -> Detections:
    return Detections(boxes, np.array(scores), np.array(labels))


def compared(reference: Detections, port: Detections) -> dict[str, Record]:
    records = compare_detections("detections", Where(), [reference], [port], limits=LIMITS, units=ISOLATED)
    return {record.name: record for record in records}


def test_the_same_set_in_another_order_is_equal() -> None:
    records = compared(detections(BOXES, [0.9, 0.8], [1, 2]), detections(BOXES[::-1], [0.8, 0.9], [2, 1]))
    assert {record.verdict for record in records.values()} == {"equal"}
    assert set(records) == {"det.set", "det.boxes", "det.scores"}


def test_a_box_moved_by_a_millionth_is_a_pair_that_differs() -> None:
    records = compared(detections(BOXES, [0.9, 0.8], [1, 2]), detections(BOXES + 1e-6, [0.9, 0.8], [1, 2]))
    assert records["det.set"].verdict == "equal"
    assert records["det.boxes"].verdict == "different"
    assert records["det.scores"].verdict == "equal"


def test_another_class_is_another_detection() -> None:
    record = compared(detections(BOXES, [0.9, 0.8], [1, 2]), detections(BOXES, [0.9, 0.8], [1, 3]))["det.set"]
    assert record.verdict == "different"
    assert record.reason == "picture 0: class 2 with score 0.800000 is missing in the port, 2 in all"


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize(
    ("more", "verdict"),
    [
        (([[60.0, 60, 70, 70]], [0.05 + 5e-7], [1]), "tie"),  # the score stood at the threshold
        (([[60.0, 60, 70, 70]], [0.06], [1]), "different"),
        (([[0.0, 0, 10, 5 + 1e-6]], [0.5], [1]), "tie"),  # its overlap with the first stood at the threshold
        (([[0.0, 0, 10, 5 + 1e-6]], [0.5], [2]), "different"),  # but that is of another class
        (([[1.0, 0, 10, 9]], [0.9 - 5e-7], [1]), "tie"),  # it and the first stood at the same score
        (([[1.0, 0, 10, 9]], [0.7], [1]), "different"),
    ],
)
def test_what_only_one_side_has_is_excused_by_a_threshold_alone(
    more: tuple[list[list[float]], list[float], list[int]], verdict: str, side: int
) -> None:
    plain = detections(BOXES, [0.9, 0.8], [1, 2])
    boxes, scores, labels = more
    longer = detections(np.concatenate([BOXES, boxes]), [0.9, 0.8, *scores], [1, 2, *labels])
    record = compared(*((plain, longer) if side == 0 else (longer, plain)))["det.set"]
    assert record.verdict == verdict
    assert verdict_of([record]) == ("equal" if verdict == "tie" else "different")


def test_the_last_one_kept_may_be_another_of_the_same_score() -> None:
    third, fourth = [60.0, 60, 70, 70], [80.0, 80, 90, 90]
    sides = [detections(np.array([*BOXES.tolist(), box]), [0.9, 0.8, 0.5], [1, 2, 3]) for box in (third, fourth)]
    assert compared(*sides)["det.set"].verdict == "tie"


def test_nothing_found_on_either_side_is_nothing_compared() -> None:
    nothing = detections(np.zeros((0, 4)), [], [])
    assert compared(nothing, nothing)["det.set"].verdict == "incomplete"


def test_boxes_in_another_place_with_the_same_scores_are_no_ties() -> None:
    shifted = BOXES + np.array([[1.0, 0, 1, 0], [2, 0, 2, 0]])
    record = compared(detections(BOXES, [0.9, 0.8], [1, 2]), detections(shifted, [0.9, 0.8], [1, 2]))["det.set"]
    assert record.verdict == "different"
