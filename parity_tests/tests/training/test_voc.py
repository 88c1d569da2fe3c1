"""VOC's AP50 on cases counted by hand."""

import pytest
from torch import Tensor

from parity_tests.tests.support.evaluation import BOXES, ELSEWHERE, HIT_MISS_HIT, NO_OBJECTS, NOTHING, found, truth
from torch_retinanet.evaluate import evaluate_voc

ONE, OTHER = BOXES.tolist()


def ap(detections: dict[str, Tensor], target: dict[str, Tensor]) -> float:
    return evaluate_voc([detections], [target], num_classes=1).mean


def test_the_area_is_that_under_the_best_precision_from_each_recall_on() -> None:
    """Precision 1 up to recall 1/2, then 2/3 up to recall 1."""
    assert ap(HIT_MISS_HIT, truth(BOXES, [0, 0])) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_a_miss_before_all_hits_costs_at_every_recall() -> None:
    """Precision 1/2 at recall 1/2 is raised to the 2/3 that follow at recall 1."""
    detections = found([ELSEWHERE, ONE, OTHER], [0.9, 0.8, 0.7], [0, 0, 0])
    assert ap(detections, truth(BOXES, [0, 0])) == pytest.approx(2 / 3)


def test_recall_that_is_not_reached_has_no_area() -> None:
    assert ap(found([ONE], [0.9], [0]), truth(BOXES, [0, 0])) == pytest.approx(0.5)


def test_a_second_detection_of_an_object_is_a_miss() -> None:
    twice = found([ONE, ONE, OTHER], [0.9, 0.8, 0.7], [0, 0, 0])
    assert ap(twice, truth(BOXES, [0, 0])) == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_a_detection_belongs_to_the_object_that_it_overlaps_most_though_another_is_free() -> None:
    """Both lie most on the left one of two; the second would hit the right one too, and VOC does not look there."""
    neighbours = truth([[0.0, 0, 40, 40], [10, 0, 50, 40]], [0, 0])
    detections = found([[0.0, 0, 40, 40], [2, 0, 42, 40]], [0.9, 0.8], [0, 0])
    assert ap(detections, neighbours) == pytest.approx(0.5)


def test_a_difficult_object_is_neither_hit_nor_missed() -> None:
    """Found or not, twice or once: the other object alone counts."""
    target = truth(BOXES, [0, 0], [False, True])
    assert ap(found([ONE], [0.9], [0]), target) == 1
    assert ap(found([OTHER, OTHER, ONE], [0.9, 0.8, 0.7], [0, 0, 0]), target) == 1
    assert ap(found([ELSEWHERE, ONE], [0.9, 0.7], [0, 0]), target) == pytest.approx(0.5)


@pytest.mark.parametrize(("height", "expected"), [(20.0, 1), (19.9, 0)])
def test_an_iou_of_a_half_hits_and_less_does_not(height: float, expected: float) -> None:
    assert ap(found([[0.0, 0, 40, height]], [0.9], [0]), truth([[0.0, 0, 40, 40]], [0])) == expected


def test_detections_are_ranked_over_all_pictures() -> None:
    """Ranked: hit, miss, hit; in the order of the pictures it would be hit, hit, miss."""
    first = found([ONE, OTHER], [0.9, 0.5], [0, 0])
    second = found([ELSEWHERE], [0.8], [0])
    result = evaluate_voc([first, second], [truth(BOXES, [0, 0]), NO_OBJECTS], num_classes=1)
    assert result.mean == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_the_mean_is_over_classes_with_objects() -> None:
    detections = [found([ONE, ELSEWHERE], [0.9, 0.8], [0, 2]), NOTHING]
    result = evaluate_voc(detections, [truth([ONE, OTHER], [0, 1]), NO_OBJECTS], num_classes=4)
    assert result == ([1, 0, -1, -1], 0.5)


def test_what_is_ignored_and_of_no_class_is_difficult_for_every_class() -> None:
    target = truth([ONE, ELSEWHERE], [0, -1], [False, True])
    detections = found([ELSEWHERE, ELSEWHERE, ONE], [0.9, 0.8, 0.7], [0, 1, 0])
    assert evaluate_voc([detections], [target], num_classes=2).classes == [1, -1]


def test_boxes_without_extent_hit_nothing() -> None:
    assert ap(found([[10.0, 10, 10, 50], ONE], [0.9, 0.8], [0, 0]), truth([ONE], [0])) == pytest.approx(0.5)


def test_no_pictures_have_no_numbers() -> None:
    assert evaluate_voc([], [], num_classes=2) == ([-1, -1], -1)
