"""COCO's numbers and pictures of boxes, on cases that a person can check."""

import pytest
import torch

from torch_retinanet.draw import contact_sheet, draw_boxes
from torch_retinanet.evaluate import coco_metrics

BOXES = torch.tensor([[10.0, 10, 50, 50], [60, 60, 100, 100]])
TRUTH = {"boxes": BOXES, "labels": torch.tensor([0, 1])}


def found(boxes: torch.Tensor, scores: list[float], labels: list[int]) -> dict[str, torch.Tensor]:
    return {"boxes": boxes, "scores": torch.tensor(scores), "labels": torch.tensor(labels)}


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
    nothing = found(torch.zeros(0, 4), [], [])
    empty = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    nothing["labels"] = nothing["labels"].long()
    numbers = coco_metrics([found(BOXES, [0.9, 0.8], [0, 1]), nothing], [TRUTH, empty])
    assert numbers["map"] == pytest.approx(1)


def test_boxes_are_drawn_on_a_larger_picture_and_sheets_hold_rows() -> None:
    image = torch.zeros(3, 64, 96, dtype=torch.uint8)
    drawn = draw_boxes(image, {"boxes": torch.tensor([[20.0, 30, 60, 50]]), "labels": torch.tensor([3])}, enlarge=2)
    assert drawn.shape == (3, 128, 192)
    assert drawn[:, 60:100, 40:120].any()
    assert not image.any()
    assert contact_sheet([[drawn, drawn], [drawn, drawn]]).shape == (3, 2 * 128 + 3 * 4, 2 * 192 + 3 * 4)
    plain = draw_boxes(image, {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)})
    assert torch.equal(plain, image)
