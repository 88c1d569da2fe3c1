"""From the network's outputs to detections; mirrors `keras_reference/postprocess.py`.

Lin et al., Focal Loss for Dense Object Detection (2017), section 4.1, inference.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import nms

from torch_retinanet.boxes import clip, decode
from torch_retinanet.config import RetinaNetConfig

FACTORS: dict[str, dict[str, float]] = {
    "none": {},
    "1000/16": {"largest_factor": 1000 / 16},
    "1000/16_both": {"largest_factor": 1000 / 16, "smallest_factor": 16 / 1000},
}
"""How many times its anchor a decoded box can be wide or high, by the convention `box_clamp`."""

FEW = 16
"""Boxes of a class up to which it can go through NMS together with others."""


def class_wise_nms(boxes_xyxy: Tensor, scores: Tensor, labels: Tensor, iou_threshold: float) -> Tensor:
    """Indices of the boxes (M,4) that no better one of their class overlaps further than the threshold, best first.

    Of equal scores the first class comes first, and of one class the first box.

    Class by class: `torchvision.ops.batched_nms` moves the classes apart instead, by offsets that boxes below zero
    undo and in which those of a huge one are rounded away, and where nothing is clipped there are both. Few classes
    with many boxes go through `nms` one by one, and many with few all at once.
    """
    order = scores.sort(descending=True, stable=True).indices
    order = order[labels[order].sort(stable=True).indices]  # class by class, best first
    boxes_xyxy, ordered = boxes_xyxy[order], scores[order]
    counts = torch.unique_consecutive(labels[order], return_counts=True)[1]
    sizes = counts.tolist()
    rounds = sum(size > i for i, size in enumerate(sorted(sizes, reverse=True)[:FEW]))  # no more than classes
    keep = torch.zeros_like(order, dtype=torch.bool)
    for end, size in zip(accumulate(sizes), sizes, strict=True):
        if size > rounds:
            own = slice(end - size, end)
            keep[nms(boxes_xyxy[own], ordered[own], iou_threshold) + own.start] = True
    small = (counts <= rounds).repeat_interleave(counts)
    keep[small] = nms_in_rounds(boxes_xyxy[small], counts[counts <= rounds], iou_threshold)
    kept = order[keep]
    return kept[scores[kept].sort(descending=True, stable=True).indices]


def nms_in_rounds(boxes_xyxy: Tensor, counts: Tensor, iou_threshold: float) -> Tensor:
    """Which boxes (M,4) stay (M,), that lie class by class, best first, so many of each class.

    In a round the next box of each class drops those behind it, if it stays itself. The arithmetic is that of
    `torchvision.ops.nms` on a CPU, to the comparison in double precision.
    """
    first = (counts.cumsum(0) - counts).repeat_interleave(counts)
    place = torch.arange(len(first), device=first.device)
    left, top, right, bottom = boxes_xyxy.t().contiguous()
    area, keep = (right - left) * (bottom - top), torch.ones_like(place, dtype=torch.bool)
    for turn in range(int(counts.max()) - 1 if len(counts) else 0):
        better = (first + turn).clamp(max=len(place) - 1)
        width = (torch.minimum(right, right[better]) - torch.maximum(left, left[better])).clamp(min=0)
        height = (torch.minimum(bottom, bottom[better]) - torch.maximum(top, top[better])).clamp(min=0)
        shared = width * height
        iou = shared / (area[better] + area - shared)
        keep &= ~((place > better) & keep[better] & (iou.double() > iou_threshold))
    return keep


def all_class_nms(boxes_xyxy: Tensor, scores: Tensor, labels: Tensor, iou_threshold: float) -> Tensor:
    """The same, where a box is dropped for a better one of any class; of equal scores the first class stays."""
    order = torch.argsort(labels, stable=True)
    order = order[scores[order].sort(descending=True, stable=True).indices]
    keep = order[nms(boxes_xyxy[order], scores[order], iou_threshold)]
    return keep[scores[keep].sort(descending=True, stable=True).indices]


def one_class_nms(boxes_xyxy: Tensor, scores: Tensor, labels: Tensor, iou_threshold: float) -> Tensor:
    """The same of boxes that have one class each; of equal scores the first box stays, as `tf.image` has it."""
    order = scores.sort(descending=True, stable=True).indices
    return order[nms(boxes_xyxy[order], scores[order], iou_threshold).sort().values]


def best_class_nms(boxes_xyxy: Tensor, scores: Tensor, labels: Tensor, iou_threshold: float) -> Tensor:
    """The same in KerasHub's rules, of boxes that have one class each: an IoU of the threshold itself drops a box, of
    equal scores the last box comes first, and one without an edge beyond zero drops others but is not kept.

    Source: keras-hub 0.32.0 layers/modeling/non_max_supression.py.
    """
    order = torch.arange(len(scores) - 1, -1, -1, device=scores.device)
    order = order[scores[order].sort(descending=True, stable=True).indices]
    return _kept_in_order(boxes_xyxy, scores, order, iou_threshold)


def best_first_nms(boxes_xyxy: Tensor, scores: Tensor, labels: Tensor, iou_threshold: float) -> Tensor:
    """The same, but of equal scores the first box comes first (tf.image.non_max_suppression_padded)."""
    order = scores.sort(descending=True, stable=True).indices
    return _kept_in_order(boxes_xyxy, scores, order, iou_threshold)


def _kept_in_order(boxes_xyxy: Tensor, scores: Tensor, order: Tensor, iou_threshold: float) -> Tensor:
    """Which boxes stay, of those in this order, where an IoU of the threshold drops, and an edge must be above zero."""
    below = np.nextafter(torch.tensor(iou_threshold, dtype=boxes_xyxy.dtype).numpy(), 0)  # a GPU has it in float32
    keep = order[nms(boxes_xyxy[order], scores[order], float(below))]
    rank = torch.empty_like(order).scatter(0, order, torch.arange(len(order), device=order.device))
    keep = keep[rank[keep].sort().indices]
    return keep[(boxes_xyxy[keep] > 0).any(dim=1)]


def suppression(config: RetinaNetConfig) -> Callable[[Tensor, Tensor, Tensor, float], Tensor]:
    """What drops boxes for better ones, by the convention `nms_classes`."""
    found = {
        **{"each": class_wise_nms, "all": all_class_nms, "one": one_class_nms},
        **{"best": best_class_nms, "best_first": best_first_nms},
    }
    return found[config.nms_classes]


def clip_own_edges(boxes_xyxy: Tensor, height: float, width: float) -> Tensor:
    """Boxes (...,4) whose left and top are 0 at least, and whose right and bottom lie in the picture."""
    low, high = boxes_xyxy[..., :2].clamp(min=0), boxes_xyxy[..., 2:]
    return torch.cat([low, torch.minimum(high, high.new_tensor([width, height]))], dim=-1)


def clipped_detections(found: dict[str, Tensor], height: float, width: float) -> dict[str, Tensor]:
    """Detections cut off at the border of a picture of `height` by `width`, without those of which nothing is left."""
    boxes = clip(found["boxes"], height, width)
    left = _are_left(boxes)
    return {name: values[left] for name, values in (found | {"boxes": boxes}).items()}


def _are_left(boxes_xyxy: Tensor) -> Tensor:
    """Which boxes (M,4) have an extent (M,)."""
    return (boxes_xyxy[:, 2:] > boxes_xyxy[:, :2]).all(dim=1)


def _have_a_pixel(boxes_xyxy: Tensor) -> Tensor:
    """Which boxes (M,4) are a pixel wide and high at least (M,); monai data/box_utils.py spatial_crop_boxes."""
    return (boxes_xyxy[:, 2:] >= boxes_xyxy[:, :2] + 1).all(dim=1)


class DecodePredictions:
    """Turns logits and deltas into detections, in the conventions of a config."""

    def __init__(self, config: RetinaNetConfig) -> None:
        self.config = config

    def __call__(
        self,
        logits: Tensor,
        deltas: Tensor,
        anchors_xyxy: Tensor,
        anchors_per_level: Sequence[int],
        sizes: Sequence[tuple[int, int]],
    ) -> list[dict[str, Tensor]]:
        """Detections of each picture, best first.

        Args:
            logits: (B,N,K).
            deltas: (B,N,4).
            anchors_xyxy: (N,4) in pixels of the batch.
            anchors_per_level: how the N anchors divide among the levels.
            sizes: height and width of each picture within the batch, where boxes are clipped.

        Returns:
            For each picture `boxes` (M,4) xyxy in pixels of the batch, `scores` (M,) and `labels` (M,).
        """
        pictures = zip(logits, deltas, sizes, strict=True)
        return [self._detect(*picture, anchors_xyxy, anchors_per_level) for picture in pictures]

    def _detect(
        self,
        logits: Tensor,
        deltas: Tensor,
        size: tuple[int, int],
        anchors_xyxy: Tensor,
        anchors_per_level: Sequence[int],
    ) -> dict[str, Tensor]:
        config = self.config
        anchor, labels, scores = self._candidates(logits, anchors_per_level)
        boxes = self.decoded(deltas[anchor], anchors_xyxy[anchor], size)
        if config.empty_boxes != "kept":
            left = _are_left(boxes) if config.empty_boxes == "dropped" else _have_a_pixel(boxes)
            boxes, scores, labels = boxes[left], scores[left], labels[left]
        keep = suppression(config)(boxes, scores, labels, config.nms_iou)
        keep = keep[: config.detections_per_picture or None]
        return {"boxes": boxes[keep], "scores": scores[keep], "labels": labels[keep]}

    def decoded(self, deltas: Tensor, anchors_xyxy: Tensor, size: tuple[int, int]) -> Tensor:
        """Boxes (M,4) xyxy of deltas (M,4) and their anchors (M,4), cut off at the border as the config says."""
        config, factors = self.config, FACTORS[self.config.box_clamp]
        coding, axes = config.box_coding, config.delta_axes
        boxes = decode(deltas, anchors_xyxy, config.box_variance, coding=coding, axes=axes, **factors)
        if not config.clip_boxes:
            return boxes
        return (clip if config.clip_edges == "all" else clip_own_edges)(boxes, *self.border(size))

    def border(self, size: tuple[int, int]) -> tuple[int, int]:
        """The largest y and x of a box that is cut off, by the height and width of a picture."""
        height, width = size
        return (height - 1, width - 1) if self.config.clip_border == "last_pixel" else size

    def _candidates(self, logits: Tensor, anchors_per_level: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Anchor, class and score of all (M,) above the threshold, the best of each level."""
        level_start, found = 0, []
        for of_logits in torch.split(logits, list(anchors_per_level)):
            level = of_logits.sigmoid()
            shown = level > self.config.score_threshold
            if self.config.first_class == "none":
                shown[:, 0] = False
            if self.config.nms_classes in ("one", "best", "best_first"):
                shown &= torch.zeros_like(shown).scatter(1, level.argmax(1, keepdim=True), True)
            anchor, label = shown.nonzero(as_tuple=True)
            of_level = level[anchor, label]
            if 0 < self.config.topk_per_level < len(of_level):
                best = of_level.topk(self.config.topk_per_level).indices
                anchor, label, of_level = anchor[best], label[best], of_level[best]
            found.append((anchor + level_start, label, of_level))
            level_start += len(level)
        anchors, labels, values = (torch.cat(parts) for parts in zip(*found, strict=True))
        if 0 < self.config.topk_per_class < len(values):
            best = _best_of_classes(labels, values, self.config.topk_per_class)
            return anchors[best], labels[best], values[best]
        return anchors, labels, values


def _best_of_classes(labels: Tensor, scores: Tensor, most: int) -> Tensor:
    """Places of the `most` best scores (M,) of each label, in their order; of equal ones the first."""
    places = [(labels == label).nonzero().squeeze(1) for label in torch.unique(labels)]
    best = [place[scores[place].sort(descending=True, stable=True).indices[:most]] for place in places]
    return torch.cat(best).sort().values
