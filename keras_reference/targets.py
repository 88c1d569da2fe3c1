"""What the network is to predict at each anchor; mirrors `torch_retinanet/targets.py`.

Lin et al., Focal Loss for Dense Object Detection (2017), section 4, with the rules of the keras.io example: the best
object of an anchor is the first of highest overlap, and an object that is no anchor's best has no anchor.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_reference.anchors import ANCHOR_SCALE, ASPECT_RATIOS, MAX_LEVEL, MIN_LEVEL, SCALES, AnchorGenerator
from keras_reference.boxes import compute_iou, encode_boxes
from keras_reference.errors import InputError
from keras_reference.preprocess import normalise

POSITIVE_IOU = 0.5
"""An anchor that overlaps its best object this far, or further, stands for it."""

NEGATIVE_IOU = 0.4
"""One that overlaps it less than this stands for background; those between are ignored."""

BACKGROUND, IGNORED = -1.0, -2.0
"""What stands in place of a class."""


class LabelEncoder:
    """Pictures and their objects as what `RetinaNetLoss` takes, in the precision of Keras when this is made.

    Args:
        anchor_scale, anchor_scales, anchor_ratios, anchor_sizes, min_level, max_level: as for `AnchorGenerator`.
    """

    def __init__(
        self,
        anchor_scale: float = ANCHOR_SCALE,
        anchor_scales: Sequence[float] = SCALES,
        anchor_ratios: Sequence[float] = ASPECT_RATIOS,
        anchor_sizes: Sequence[float] = (),
        min_level: int = MIN_LEVEL,
        max_level: int = MAX_LEVEL,
    ) -> None:
        self.dtype = keras.config.floatx()
        of_cell = (anchor_scale, anchor_scales, anchor_ratios, anchor_sizes)
        self.anchor_box = AnchorGenerator(self.dtype, *of_cell, min_level=min_level, max_level=max_level)

    def encode_batch(self, batch_images: Any, gt_boxes: Any, cls_ids: Any) -> tuple[Any, Any]:
        """Pictures as the backbone takes them, and the labels of their anchors.

        Args:
            batch_images: (B,H,W,3), RGB from 0 to 255.
            gt_boxes: the objects (B,G,4) in xywh, in pixels of these pictures; rows that pad the batch are 1e-8
                throughout, and a picture without objects has such rows alone.
            cls_ids: their classes (B,G), counted from 0; -1 in rows that pad.

        Returns:
            Pictures (B,H,W,3), BGR less the mean of ImageNet (`keras.applications.resnet.preprocess_input`), and
            labels (B,N,5): four offsets from the anchor (`encode_boxes`), then the class, -1 for background, -2 for
            what is ignored. Offsets mean something where the class does.

        Raises:
            InputError: for objects without any row.
        """
        images, boxes, ids = (ops.convert_to_tensor(x, dtype=self.dtype) for x in (batch_images, gt_boxes, cls_ids))
        if boxes.shape[1] == 0:
            raise InputError(f"gt_boxes: shape {tuple(boxes.shape)} must have a row or more, if only of padding")
        height, width = ops.shape(images)[1:3]
        anchors = self.anchor_box.get_anchors(height, width)
        labels = ops.map(lambda objects: _encode_sample(anchors, *objects), (boxes, ids))
        return normalise(images), labels


def _encode_sample(anchors: Any, gt_boxes: Any, cls_ids: Any) -> Any:
    """Labels (N,5) of one picture, from its anchors (N,4) in xywh and its objects as in `LabelEncoder.encode_batch`."""
    iou = compute_iou(anchors, gt_boxes)  # (N,G)
    best, overlap = ops.argmax(iou, axis=1), ops.max(iou, axis=1)
    offsets = encode_boxes(ops.take(gt_boxes, best, axis=0), anchors)
    classes = ops.where(overlap >= POSITIVE_IOU, ops.take(cls_ids, best, axis=0), IGNORED)
    classes = ops.where(overlap < NEGATIVE_IOU, BACKGROUND, classes)
    return ops.concatenate([offsets, classes[:, None]], axis=-1)
