"""Boxes: equal to torchvision's functions, and true to what a box is."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import box_iou as torchvision_iou
from torchvision.ops import clip_boxes_to_image

from torch_retinanet.boxes import box_area, box_iou, clip, decode, encode, swapped
from torch_retinanet.postprocess import class_wise_nms

VARIANCE = (0.1, 0.1, 0.2, 0.2)


def random_boxes(count: int, *, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, dtype=torch.float64, generator=generator) * 100
    return torch.cat([corners, corners + 1 + torch.rand(count, 2, dtype=torch.float64, generator=generator) * 60], 1)


@st.composite
def boxes(draw: st.DrawFn) -> Tensor:
    left, top = (draw(st.floats(-1000, 1000)) for _ in range(2))
    width, height = (draw(st.floats(0.5, 1000)) for _ in range(2))
    return torch.tensor([[left, top, left + width, top + height]], dtype=torch.float64)


def test_iou_is_that_of_torchvision_with_any_axes_before() -> None:
    left, right = random_boxes(30), random_boxes(50, seed=1)
    torch.testing.assert_close(box_iou(left, right), torchvision_iou(left, right), rtol=1e-14, atol=0)
    batch = torch.stack([left, left.flip(0)])
    assert torch.equal(box_iou(batch, right)[1], box_iou(left.flip(0), right))


def test_iou_with_a_box_without_extent_is_zero_and_not_nan() -> None:
    nothing = torch.tensor([[5.0, 5, 5, 5]])
    assert box_iou(nothing, torch.tensor([[0.0, 0, 10, 10], [5, 5, 5, 5]])).tolist() == [[0, 0]]


@pytest.mark.parametrize("variance", [VARIANCE, (1.0, 1.0, 1.0, 1.0)])
def test_encoding_and_decoding_are_those_of_torchvision(variance: tuple[float, float, float, float]) -> None:
    boxes, anchors = random_boxes(40), random_boxes(40, seed=1)
    w = [1 / v for v in variance]
    coder = BoxCoder((w[0], w[1], w[2], w[3]))
    deltas = encode(boxes, anchors, variance)
    torch.testing.assert_close(deltas, coder.encode_single(boxes, anchors), rtol=1e-12, atol=1e-12)
    moved = deltas * 3
    ours = decode(moved, anchors, variance, largest_factor=1000 / 16)
    torch.testing.assert_close(ours, coder.decode_single(moved, anchors), rtol=1e-12, atol=1e-10)


def test_clipping_is_that_of_torchvision() -> None:
    boxes = random_boxes(40) - 50
    assert torch.equal(clip(boxes, 30, 60), clip_boxes_to_image(boxes, (30, 60)))


def test_a_delta_by_hand() -> None:
    """A box twice as wide as its anchor, a quarter of the anchor's width to the right and half its height up."""
    anchor, box = torch.tensor([[0.0, 0, 8, 4]]), torch.tensor([[-2.0, -2, 14, 2]])
    expected = torch.tensor([[0.25 / 0.1, -0.5 / 0.1, torch.log(torch.tensor(2.0)) / 0.2, 0]])
    torch.testing.assert_close(encode(box, anchor, VARIANCE), expected)


def test_deltas_along_y_first_are_the_others_in_another_order() -> None:
    boxes, anchors = random_boxes(40), random_boxes(40, seed=1)
    variance = (0.1, 0.3, 0.2, 0.5)
    deltas = encode(boxes, anchors, variance, axes="yx")
    assert torch.equal(deltas[:, [1, 0, 3, 2]], encode(boxes, anchors, variance))
    assert torch.equal(decode(deltas, anchors, variance, axes="yx"), decode(swapped(deltas), anchors, variance))


@given(boxes(), boxes())
def test_decoding_undoes_encoding(box: Tensor, anchor: Tensor) -> None:
    deltas = encode(box, anchor, VARIANCE)
    torch.testing.assert_close(decode(deltas, anchor, VARIANCE), box, rtol=1e-9, atol=1e-6)


@given(boxes())
def test_no_delta_is_the_anchor_itself(anchor: Tensor) -> None:
    zeros = torch.zeros(1, 4, dtype=torch.float64)
    torch.testing.assert_close(decode(zeros, anchor, VARIANCE), anchor, rtol=1e-12, atol=1e-9)


@given(boxes(), boxes(), st.floats(-100, 100))
def test_iou_is_symmetric_from_zero_to_one_and_moves_along(left: Tensor, right: Tensor, shift: float) -> None:
    iou = box_iou(left, right)
    assert torch.equal(iou, box_iou(right, left).T)
    assert 0 <= iou <= 1 + 1e-12
    torch.testing.assert_close(box_iou(left + shift, right + shift), iou, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(box_iou(left, left), torch.ones_like(iou))


@given(boxes(), st.integers(1, 500), st.integers(1, 500))
def test_a_clipped_box_lies_within_and_is_no_larger(box: Tensor, height: int, width: int) -> None:
    clipped = clip(box, height, width)
    assert (clipped >= 0).all()
    assert (clipped <= torch.tensor([width, height, width, height])).all()
    assert box_area(clipped) <= box_area(box) * (1 + 1e-12)
    assert torch.equal(clip(clipped, height, width), clipped)


def test_a_factor_without_limit_overflows_and_with_one_does_not() -> None:
    huge = torch.tensor([[0.0, 0, 5000, 5000]])
    anchor = torch.tensor([[0.0, 0, 8, 8]])
    assert not torch.isfinite(decode(huge, anchor, VARIANCE)).all()
    sides = decode(huge, anchor, VARIANCE, largest_factor=1000 / 16)
    torch.testing.assert_close(sides, torch.tensor([[-246.0, -246, 254, 254]]))


FAR_APART = torch.tensor([[400.0, 400, 500, 500], [-101, -101, -1, -1]])
NEAR = torch.tensor([[0.0, 0, 10, 10], [0, 2, 10, 12]])


@pytest.mark.parametrize("huge", [[], [[-3e8, -3e8, 3e8, 3e8]], [[-math.inf, 0, math.inf, 10]]])
def test_suppression_knows_its_classes_and_is_not_put_off_by_boxes_out_of_bounds(huge: list[list[float]]) -> None:
    boxes = torch.cat([FAR_APART, NEAR, torch.tensor(huge).reshape(-1, 4)])
    scores, labels = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5])[: len(boxes)], torch.tensor([0, 1, 0, 0, 1])[: len(boxes)]
    kept = class_wise_nms(boxes, scores, labels, 0.5).tolist()
    assert kept == [0, 1, 2, 4][: 3 + len(huge)], "the fourth overlaps the third, of its class, by two thirds"
