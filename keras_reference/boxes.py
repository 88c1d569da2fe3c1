"""Boxes in their two forms, how far they overlap, and their offsets from anchors; mirrors `torch_retinanet/boxes.py`.

"xywh" is centre x, centre y, width, height; "corners" is x1, y1, x2, y2; both in pixels. Source: the keras.io example,
whose names are kept; offsets as in Ren et al., Faster R-CNN (2015), section 3.1.2, divided by a variance.
"""

from typing import Any

from keras import ops

BOX_VARIANCE = (0.1, 0.1, 0.2, 0.2)
"""What the four offsets are divided by, so that the network predicts values of about 1."""


def swap_xy(boxes: Any) -> Any:
    """Boxes (...,4) with the columns of x and y exchanged: y1, x1, y2, x2 from x1, y1, x2, y2 and back."""
    return ops.take(boxes, [1, 0, 3, 2], axis=-1)


def convert_to_xywh(boxes: Any) -> Any:
    """Boxes (...,4) in corners as xywh."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return ops.concatenate([(low + high) / 2.0, high - low], axis=-1)


def convert_to_corners(boxes: Any) -> Any:
    """Boxes (...,4) in xywh as corners."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2.0
    return ops.concatenate([centre - half, centre + half], axis=-1)


def compute_iou(boxes1: Any, boxes2: Any) -> Any:
    """Intersection over union of every pair of boxes (N,4) and (M,4) in xywh: (N,M), from 0 to 1.

    A union below 1e-8 square pixels counts as 1e-8.
    """
    corners1, corners2 = convert_to_corners(boxes1)[:, None], convert_to_corners(boxes2)[None]
    low = ops.maximum(corners1[..., :2], corners2[..., :2])
    high = ops.minimum(corners1[..., 2:], corners2[..., 2:])
    sides = ops.maximum(high - low, 0.0)  # (N,M,2)
    intersection = sides[..., 0] * sides[..., 1]
    areas = (boxes1[:, 2] * boxes1[:, 3])[:, None] + (boxes2[:, 2] * boxes2[:, 3])[None]
    return ops.clip(intersection / ops.maximum(areas - intersection, 1e-8), 0.0, 1.0)


def encode_boxes(boxes: Any, anchors: Any) -> Any:
    """Offsets (...,4) of boxes from anchors, both (...,4) in xywh: by how much of its size an anchor moves, and the
    logarithm of how much it grows; divided by `BOX_VARIANCE`."""
    moves = (boxes[..., :2] - anchors[..., :2]) / anchors[..., 2:]
    growth = ops.log(boxes[..., 2:] / anchors[..., 2:])
    offsets = ops.concatenate([moves, growth], axis=-1)
    return offsets / ops.convert_to_tensor(BOX_VARIANCE, dtype=offsets.dtype)


def decode_boxes(offsets: Any, anchors: Any) -> Any:
    """Boxes (...,4) in xywh at these offsets from anchors (...,4) in xywh; what undoes `encode_boxes`.

    Nothing is clipped: neither the growth nor the boxes to the picture.
    """
    offsets = offsets * ops.convert_to_tensor(BOX_VARIANCE, dtype=offsets.dtype)
    centres = offsets[..., :2] * anchors[..., 2:] + anchors[..., :2]
    return ops.concatenate([centres, ops.exp(offsets[..., 2:]) * anchors[..., 2:]], axis=-1)
