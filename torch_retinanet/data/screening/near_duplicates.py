"""Boxes that lie nearly on one another."""

from typing import NamedTuple

import numpy as np

from torch_retinanet.data.annotations import Floats, Ints

ROUNDING = 1e-9
"""The share by which a reach is longer, for what is lost in sums."""


class NearDuplicate(NamedTuple):
    """Two boxes by their indices, and their intersection over union."""

    earlier: int
    later: int
    iou: float


def near_duplicates(boxes: Floats, groups: Ints, least: float, *, labels: Ints | None = None) -> list[NearDuplicate]:
    """For each of the boxes (T,4) xyxy the one before it in its group (T,) with an IoU of `least` or more, if any.

    With `labels` (T,) only boxes of different labels count.

    Boxes are sorted by their left edges, and each is compared with the next, then the one after it, and so on, as long
    as the left edges are near enough: two boxes of IoU t are no more than 1 - t of the first one's width apart.
    """
    order = np.lexsort((boxes[:, 0], groups))
    ordered, group = boxes[order], groups[order]
    reach = ordered[:, 0] + (1 - least) * (ordered[:, 2] - ordered[:, 0]) * (1 + ROUNDING)
    first, found, shift = np.arange(len(order) - 1), dict[int, NearDuplicate](), 0
    while len(first):
        shift += 1
        first = first[first + shift < len(order)]
        second = first + shift
        near = (group[second] == group[first]) & (ordered[second, 0] <= reach[first])
        first, second = first[near], second[near]
        iou = _iou(ordered[first], ordered[second])
        counts = labels is None or labels[order[first]] != labels[order[second]]
        for i in np.flatnonzero((iou >= least) & counts).tolist():
            earlier, later = sorted((int(order[first[i]]), int(order[second[i]])))
            found.setdefault(later, NearDuplicate(earlier, later, float(iou[i])))
    return list(found.values())


def _iou(boxes: Floats, others: Floats) -> Floats:
    """Intersection over union (N,) of N pairs of boxes with an extent."""
    low, high = np.maximum(boxes[:, :2], others[:, :2]), np.minimum(boxes[:, 2:], others[:, 2:])
    intersection = (high - low).clip(min=0).prod(axis=1)
    areas = [(each[:, 2:] - each[:, :2]).prod(axis=1) for each in (boxes, others)]
    iou: Floats = intersection / (areas[0] + areas[1] - intersection)
    return iou
