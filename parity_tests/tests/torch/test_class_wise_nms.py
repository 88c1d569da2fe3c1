"""NMS by class: what `torchvision.ops.nms` keeps of each class by itself, however many classes there are."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.ops import nms

from torch_retinanet import postprocess
from torch_retinanet.postprocess import class_wise_nms

EDGES = st.sampled_from([0.0, 1.0, 2.0, 3.0, 10.0, -5.0, 1e-30, -3e9, 1e10, 1e20]) | st.floats(-9, 9, width=32)
SCORES = st.sampled_from([0.5, 0.5, 0.25, 1.0]) | st.floats(0, 1, width=32)
BOX = st.tuples(EDGES, EDGES, EDGES, EDGES, SCORES, st.integers(0, 5))


def one_by_one(boxes: Tensor, scores: Tensor, labels: Tensor, iou_threshold: float) -> Tensor:
    kept = [labels.new_zeros(0)]
    for label in torch.unique(labels):
        of_class = (labels == label).nonzero().squeeze(1)
        kept.append(of_class[nms(boxes[of_class], scores[of_class], iou_threshold)])
    keep = torch.cat(kept)
    return keep[scores[keep].sort(descending=True, stable=True).indices]


@settings(max_examples=150, deadline=None)
@given(
    found=st.lists(BOX, max_size=40),
    iou_threshold=st.sampled_from([0.0, 0.3, 0.5, 1 / 3, 1.0]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_the_boxes_that_stay_are_those_of_each_class_by_itself(
    found: list[tuple[float, ...]], iou_threshold: float, dtype: torch.dtype
) -> None:
    table = torch.tensor(found, dtype=torch.float64).reshape(-1, 6)
    given = table[:, :4].to(dtype), table[:, 4].to(dtype), table[:, 5].long(), iou_threshold
    assert class_wise_nms(*given).tolist() == one_by_one(*given).tolist()


@pytest.mark.parametrize(("classes", "boxes"), [(601, 1000), (80, 600), (3, 300), (1, 200)])
def test_many_classes_and_few_keep_the_same(classes: int, boxes: int) -> None:
    generator = torch.Generator().manual_seed(classes)
    corners = torch.rand(boxes, 2, generator=generator) * 60 - 20
    found = torch.cat([corners, corners + 1 + torch.rand(boxes, 2, generator=generator) * 60], dim=1)
    labels = (torch.rand(boxes, generator=generator) ** 3 * classes).long()  # some classes have many more
    scores = torch.rand(boxes, generator=generator).round(decimals=2)
    assert torch.equal(class_wise_nms(found, scores, labels, 0.3), one_by_one(found, scores, labels, 0.3))


def test_an_iou_that_rounds_to_the_threshold_is_compared_in_double_precision() -> None:
    """0.3 in single precision is more than 0.3, so that an IoU of it drops a box, as it does in torchvision."""
    boxes = torch.tensor([[0.0, 0, 10, 1], [0, 0, 3, 1]] * 2)
    labels, scores = torch.tensor([0, 0, 1, 1]), torch.tensor([0.9, 0.8, 0.7, 0.6])
    assert one_by_one(boxes, scores, labels, 0.3).tolist() == [0, 2]
    assert class_wise_nms(boxes, scores, labels, 0.3).tolist() == [0, 2]


def test_classes_of_few_boxes_need_no_call_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def counted(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
        calls.append(len(boxes))
        kept: Tensor = nms(boxes, scores, iou_threshold)
        return kept

    monkeypatch.setattr(postprocess, "nms", counted)
    labels = torch.cat([torch.arange(300).repeat(3), torch.full((50,), 7)])
    boxes = torch.rand(len(labels), 4) + torch.tensor([0, 0, 1, 1])
    class_wise_nms(boxes, torch.rand(len(labels)), labels, 0.5)
    assert calls == [53]
