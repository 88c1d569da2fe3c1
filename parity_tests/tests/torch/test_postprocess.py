"""Which detections are kept, by the conventions of published RetinaNets that only few pictures show."""

from typing import Any

import pytest
import torch
from torch import Tensor

from torch_retinanet import RetinaNetConfig
from torch_retinanet.postprocess import DecodePredictions, clipped_detections, suppression

SIZE = (20, 30)
INSIDE, ACROSS, BEYOND = [2.0, 2.0, 12.0, 12.0], [-5.0, 4.0, 40.0, 14.0], [34.0, 4.0, 44.0, 14.0]


def found(*anchors: list[float], score: float = 0.9, **changes: Any) -> Tensor:
    """The boxes that are kept of anchors of one class, as they are, best first."""
    config = RetinaNetConfig.torchvision(num_classes=1, **changes)
    logits = torch.logit(torch.linspace(score, score - 0.1, len(anchors)))[None, :, None]
    boxes = torch.tensor(anchors)
    deltas = torch.zeros(1, len(anchors), 4)
    return DecodePredictions(config)(logits, deltas, boxes, [len(anchors)], [SIZE])[0]["boxes"]


@pytest.mark.parametrize(("clip_edges", "beyond"), [("all", [30.0, 4.0, 30.0, 14.0]), ("own", [34.0, 4.0, 30.0, 14.0])])
def test_edges_are_cut_off_at_both_borders_or_at_their_own(clip_edges: str, beyond: list[float]) -> None:
    expected = [INSIDE, [0.0, 4.0, 30.0, 14.0], beyond]
    assert found(INSIDE, ACROSS, BEYOND, clip_edges=clip_edges, nms_iou=1.0).tolist() == expected


def test_boxes_beyond_the_border_are_dropped_where_a_convention_says_so() -> None:
    assert len(found(INSIDE, BEYOND)) == 2
    assert found(INSIDE, BEYOND, empty_boxes="dropped").tolist() == [INSIDE]
    assert len(found(BEYOND, empty_boxes="dropped")) == 0


@pytest.mark.parametrize(("nms_classes", "first"), [("best", [4.0, 4.0, 14.0, 15.0]), ("best_first", INSIDE)])
def test_of_equal_scores_the_last_or_the_first_box_is_kept(nms_classes: str, first: list[float]) -> None:
    boxes = torch.tensor([INSIDE, [4.0, 4.0, 14.0, 15.0]])
    keep = suppression(RetinaNetConfig.torchvision(nms_classes=nms_classes))
    kept = keep(boxes, torch.tensor([0.5, 0.5]), torch.tensor([0, 1]), 0.4)
    assert boxes[kept].tolist() == [first]


def test_boxes_that_are_cut_off_to_less_than_a_pixel_are_dropped_where_a_convention_says_so() -> None:
    whole, less = [29.0, 4.0, 40.0, 14.0], [29.5, 4.0, 40.0, 14.0]
    assert len(found(whole, less, nms_iou=1.0, empty_boxes="dropped")) == 2
    assert found(whole, less, nms_iou=1.0, empty_boxes="dropped_below_1").tolist() == [[29.0, 4.0, 30.0, 14.0]]


def test_all_detections_can_be_kept() -> None:
    anchors = [[float(x), 0.0, float(x + 1), 1.0] for x in range(20)]
    assert len(found(*anchors, detections_per_picture=7)) == 7
    assert len(found(*anchors, detections_per_picture=0)) == 20


def test_detections_are_cut_off_in_the_end_and_dropped_where_nothing_is_left() -> None:
    boxes = torch.tensor([INSIDE, ACROSS, BEYOND])
    clipped = clipped_detections({"boxes": boxes, "scores": torch.tensor([0.9, 0.8, 0.7])}, *SIZE)
    assert clipped["boxes"].tolist() == [INSIDE, [0.0, 4.0, 30.0, 14.0]]
    assert clipped["scores"].tolist() == pytest.approx([0.9, 0.8])
