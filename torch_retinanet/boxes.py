"""Boxes as pure functions on the last axis; mirrors `keras_reference/boxes.py`.

The order stands in the name: `xyxy` are the left, top, right and bottom edges in pixels.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torchvision.ops import box_convert

Coding = Literal["centre", "corner"]
"""What deltas shift: an anchor's centre and size, or its edges."""

Axes = Literal["xy", "yx"]
"""The order of two deltas of one kind."""


def box_iou(boxes_xyxy: Tensor, others_xyxy: Tensor) -> Tensor:
    """Intersection over union (...,G,N) of each of G boxes (...,G,4) with each of N (...,N,4); 0 where both are empty.

    As `torchvision.ops.box_iou`, with any axes before.
    """
    left, right = boxes_xyxy.unsqueeze(-2), others_xyxy.unsqueeze(-3)
    top_left = torch.maximum(left[..., :2], right[..., :2])
    bottom_right = torch.minimum(left[..., 2:], right[..., 2:])
    intersection = (bottom_right - top_left).clamp(min=0).prod(-1)
    union = box_area(left) + box_area(right) - intersection
    return torch.where(union > 0, intersection / union, 0)


def box_area(boxes_xyxy: Tensor) -> Tensor:
    """Areas (...) of boxes (...,4), in square pixels."""
    return (boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]).prod(-1)


def encode(
    boxes_xyxy: Tensor,
    anchors_xyxy: Tensor,
    variance: Sequence[float],
    *,
    coding: Coding = "centre",
    axes: Axes = "xy",
) -> Tensor:
    """The deltas (...,4) that take anchors to boxes.

    Shifts of the centre by x and y in widths and heights of the anchor, and the logarithms of the factors by which it
    grows, each divided by its variance. Source: Girshick et al. 2014 (arXiv 1311.2524), appendix C. With the coding
    `corner`, shifts of the four edges in widths and heights of the anchor (fizyr/keras-retinanet utils/anchors.py).
    With the axes `yx`, those along y come first (monai apps/detection/utils/box_coder.py); the variance is by x and y.
    """
    if axes == "yx":
        return swapped(encode(boxes_xyxy, anchors_xyxy, variance, coding=coding))
    if coding == "corner":
        return (boxes_xyxy - anchors_xyxy) / _sides(anchors_xyxy) / _like(variance, anchors_xyxy)
    boxes, anchors = (box_convert(b, "xyxy", "cxcywh") for b in (boxes_xyxy, anchors_xyxy))
    shifts = (boxes[..., :2] - anchors[..., :2]) / anchors[..., 2:]
    growth = (boxes[..., 2:] / anchors[..., 2:]).log()
    return torch.cat([shifts, growth], dim=-1) / _like(variance, shifts)


def decode(
    deltas: Tensor,
    anchors_xyxy: Tensor,
    variance: Sequence[float],
    *,
    largest_factor: float | None = None,
    smallest_factor: float | None = None,
    coding: Coding = "centre",
    axes: Axes = "xy",
) -> Tensor:
    """The boxes xyxy (...,4) to which deltas take anchors; a side grows by `largest_factor` at most.

    With the coding `corner` edges move, and nothing limits how far.
    """
    deltas = swapped(deltas) if axes == "yx" else deltas
    if coding == "corner":
        return anchors_xyxy + deltas * _like(variance, deltas) * _sides(anchors_xyxy)
    anchors = box_convert(anchors_xyxy, "xyxy", "cxcywh")
    scaled = deltas * _like(variance, deltas)
    shifts, growth = scaled[..., :2], scaled[..., 2:]
    if largest_factor is not None:
        growth = growth.clamp(max=math.log(largest_factor))
    if smallest_factor is not None:
        growth = growth.clamp(min=math.log(smallest_factor))
    centres = anchors[..., :2] + shifts * anchors[..., 2:]
    boxes: Tensor = box_convert(torch.cat([centres, growth.exp() * anchors[..., 2:]], dim=-1), "cxcywh", "xyxy")
    return boxes


def swapped(values: Tensor) -> Tensor:
    """Two pairs (...,4) by x and y as pairs by y and x, or back: boxes, or their deltas."""
    return values[..., [1, 0, 3, 2]]


def clip(boxes_xyxy: Tensor, height: float, width: float) -> Tensor:
    """Boxes (...,4) cut off at the border of a picture of `height` by `width` pixels."""
    limits = _like([width, height, width, height], boxes_xyxy)
    return torch.minimum(boxes_xyxy.clamp(min=0), limits)


def _sides(boxes_xyxy: Tensor) -> Tensor:
    """Width, height, width and height (...,4) of boxes."""
    sides = boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]
    return torch.cat([sides, sides], dim=-1)


def _like(values: Sequence[float], like: Tensor) -> Tensor:
    """Numbers as a tensor in the precision and place of another."""
    return torch.tensor(values, dtype=like.dtype, device=like.device)


def scaled(boxes_xyxy: Tensor, height: float, width: float, like: Tensor) -> Tensor:
    """Boxes (G,4) in a picture that has become so many times higher and wider, in the type of another tensor."""
    return boxes_xyxy.as_subclass(Tensor).to(like) * like.new_tensor([width, height, width, height])
