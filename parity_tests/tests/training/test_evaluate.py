"""COCO's numbers on cases that a person can check: by hand, and against the evaluation that torchmetrics runs on."""

import pytest
import torch

from parity_tests.tests.support.evaluation import (
    BOXES,
    ELSEWHERE,
    HIT_MISS_HIT,
    NO_OBJECTS,
    NOTHING,
    TRUTH,
    found,
    truth,
)
from torch_retinanet.errors import InputError
from torch_retinanet.evaluate import COCO_NUMBERS, coco_metrics, evaluate, evaluate_coco, plot_precision_recall


def test_the_truth_itself_is_perfect() -> None:
    numbers = coco_metrics([found(BOXES, [0.9, 0.8], [0, 1])], [TRUTH])
    assert numbers["map"] == numbers["map_50"] == numbers["mar_100"] == pytest.approx(1)


def test_labels_exchanged_are_worthless() -> None:
    assert coco_metrics([found(BOXES, [0.9, 0.8], [1, 0])], [TRUTH])["map"] == 0


def test_an_overlap_of_three_quarters_counts_up_to_its_own_threshold() -> None:
    """IoU 0.75 passes the thresholds 0.5, 0.55, ..., 0.75: six of ten."""
    lower = BOXES - torch.tensor([0.0, 0, 0, 10])
    assert coco_metrics([found(lower, [0.9, 0.8], [0, 1])], [TRUTH])["map"] == pytest.approx(0.6)


def test_pictures_without_boxes_and_without_detections_are_counted() -> None:
    numbers = coco_metrics([found(BOXES, [0.9, 0.8], [0, 1]), NOTHING], [TRUTH, NO_OBJECTS])
    assert numbers["map"] == pytest.approx(1)
    missed = coco_metrics([found(BOXES, [0.9, 0.8], [0, 1]), NOTHING], [TRUTH, TRUTH])
    assert missed["mar_100"] == pytest.approx(0.5)


def test_average_precision_is_that_of_a_hundred_and_one_recalls() -> None:
    """Precision is 1 at the 51 recalls from 0 to 0.5, and 2/3 at the 50 others, at every IoU."""
    numbers = coco_metrics([HIT_MISS_HIT], [truth(BOXES, [0, 0])])
    assert numbers["map"] == numbers["map_50"] == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_the_best_detections_of_a_picture_give_the_recalls() -> None:
    numbers = coco_metrics([HIT_MISS_HIT], [truth(BOXES, [0, 0])])
    assert numbers["mar_1"] == pytest.approx(0.5)
    assert numbers["mar_10"] == numbers["mar_100"] == pytest.approx(1)


def test_a_detection_in_a_crowd_neither_hits_nor_misses() -> None:
    crowd = [190.0, 190, 400, 400]
    alone = truth(BOXES, [0, 0])
    crowded = truth([*BOXES.tolist(), crowd], [0, 0, 0], [False, False, True])
    same_class_only = truth([*BOXES.tolist(), crowd], [0, 0, 1], [False, False, True])
    assert coco_metrics([HIT_MISS_HIT], [crowded])["map"] == pytest.approx(1)
    assert coco_metrics([HIT_MISS_HIT], [same_class_only])["map"] == coco_metrics([HIT_MISS_HIT], [alone])["map"] < 1


def test_what_is_ignored_and_of_no_class_is_so_for_every_class() -> None:
    regions = truth([*BOXES.tolist(), [190.0, 190, 400, 400]], [0, 1, -1], [False, False, True])
    detections = found([*BOXES.tolist(), ELSEWHERE, ELSEWHERE], [0.5, 0.4, 0.9, 0.8], [0, 1, 0, 1])
    assert coco_metrics([detections], [regions])["map"] == pytest.approx(1)
    assert coco_metrics([detections], [TRUTH])["map"] < 0.6


def test_the_size_of_an_object_is_its_area_where_that_is_given() -> None:
    """A box of 40x40 pixels is of medium size, an object of 100 pixels within it small."""
    detections = [found(BOXES[:1], [0.9], [0])]
    by_box = coco_metrics(detections, [truth(BOXES[:1], [0])])
    by_area = coco_metrics(detections, [truth(BOXES[:1], [0]) | {"area": torch.tensor([100.0])}])
    assert [by_box["map_small"], by_box["map_medium"]] == pytest.approx([-1, 1])
    assert [by_area["map_small"], by_area["map_medium"]] == pytest.approx([1, -1])


def test_each_class_has_its_own_numbers_and_one_without_objects_none() -> None:
    detections = [found([*HIT_MISS_HIT["boxes"].tolist(), ELSEWHERE], [0.9, 0.8, 0.7, 0.6], [0, 0, 0, 2])]
    evaluation = evaluate_coco(detections, [truth([*BOXES.tolist(), ELSEWHERE], [0, 0, 1])], num_classes=4)
    hit, missed, unknown, unseen = evaluation.classes
    ap = (51 + 50 * 2 / 3) / 101
    assert list(hit) == pytest.approx([2, ap, ap, 1])
    assert missed == (1, 0, 0, 0)
    assert unknown == unseen == (0, -1, -1, -1)
    assert evaluation.numbers["map"] == pytest.approx(hit.ap / 2), "classes without objects are no part of the mean"
    assert evaluation.numbers == coco_metrics(detections, [truth([*BOXES.tolist(), ELSEWHERE], [0, 0, 1])])
    assert evaluation.precision.shape == (4, 101)
    assert evaluation.precision[0, [0, 50, 51, 100]].tolist() == pytest.approx([1, 1, 2 / 3, 2 / 3])


def test_ignored_objects_are_not_counted_as_objects() -> None:
    evaluation = evaluate_coco([NOTHING], [truth(BOXES, [0, 0], [True, False])], num_classes=1)
    assert evaluation.classes[0].objects == 1


@pytest.mark.parametrize("pictures", [0, 1])
def test_a_data_set_without_objects_has_no_numbers(pictures: int) -> None:
    evaluation = evaluate([NOTHING] * pictures, [NO_OBJECTS] * pictures, names=["cat", "dog"])
    assert evaluation.coco.numbers == dict.fromkeys(COCO_NUMBERS, -1)
    assert evaluation.voc == ([-1, -1], -1)
    assert evaluation.confusion.sum() == 0
    assert (evaluation.pictures, evaluation.objects) == (pictures, 0)


def test_numbers_of_an_evaluation_have_names_and_are_numbers_of_json() -> None:
    numbers = evaluate([HIT_MISS_HIT], [truth(BOXES, [0, 0])], names=["cat", "dog"]).as_dict()
    cat, dog = numbers["classes"]
    assert (cat["name"], cat["objects"], cat["voc_ap_50"]) == ("cat", 2, pytest.approx(5 / 6))
    assert (dog["name"], dog["ap"], dog["voc_ap_50"]) == ("dog", None, None)
    assert numbers["voc_ap_50"] == pytest.approx(5 / 6)
    assert numbers["confusion"]["classes"] == ["cat", "dog", "background"]
    assert numbers["confusion"]["table"] == [[2, 0, 0], [0, 0, 0], [1, 0, 0]]
    assert numbers["mistakes"]["background"] == 1
    assert numbers["coco"]["map_large"] is None
    assert all(value is None or 0 <= value <= 1 for value in numbers["coco"].values())


@pytest.mark.parametrize(("limit", "recall", "cut_off"), [(100, 100 / 120, 20), (150, 1, 0), (11, 11 / 120, 109)])
def test_the_best_detections_of_a_class_count_up_to_a_limit(limit: int, recall: float, cut_off: int) -> None:
    grid = [[10.0 * x, 10.0 * y, 10.0 * x + 8, 10.0 * y + 8] for x in range(12) for y in range(10)]
    all_found = found(torch.tensor(grid), [1 - i / 200 for i in range(120)], [0] * 120)
    target = truth(torch.tensor(grid), [0] * 120)
    evaluation = evaluate([all_found], [target], names=["grain"], max_detections=limit)
    assert evaluation.coco.numbers[f"mar_{limit}"] == pytest.approx(recall)
    assert evaluation.coco.numbers["map"] == pytest.approx(recall, abs=0.01)
    assert (evaluation.coco.cut_off, evaluation.as_dict()["cut_off"]) == (cut_off, cut_off)


def test_a_limit_that_is_another_recall_of_coco_is_refused() -> None:
    with pytest.raises(InputError, match="max_detections: 10 must be above 10"):
        evaluate([NOTHING], [NO_OBJECTS], names=["cat"], max_detections=10)


@pytest.mark.parametrize("classes", [0, 1, 3, 40])
def test_curves_name_ten_classes_and_their_mean(classes: int) -> None:
    precision = torch.linspace(1, 0, 101).expand(classes + 1, -1)
    names = [*(f"class {i}" for i in range(classes)), "without objects"]
    figure = plot_precision_recall(precision, [5] * classes + [0], names)
    texts = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert sum(text.startswith("class") for text in texts) == min(classes, 10)
    assert ("mean 0.50" in texts) == (classes > 1)
    assert ("30 others" in texts) == (classes == 40)
    assert not any("without" in text for text in texts)
