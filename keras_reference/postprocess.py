"""From what the network predicts to detections; mirrors `torch_retinanet/postprocess.py`.

Lin et al., Focal Loss for Dense Object Detection (2017), section 4, with the rules of the keras.io example, which are
those of `tf.image.combined_non_max_suppression`: each class for itself, nothing clipped to the picture.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_reference.anchors import ANCHOR_SCALE, ASPECT_RATIOS, MAX_LEVEL, MIN_LEVEL, SCALES, AnchorGenerator
from keras_reference.boxes import convert_to_corners, decode_boxes
from keras_reference.errors import InputError


@keras.saving.register_keras_serializable(package="keras_reference")
class DecodePredictions(keras.layers.Layer):
    """Images (B,H,W,3) and predictions (B,N,4+K) to the best detections of each image, best first.

    Gives `boxes` (B,M,4) in corners, in pixels of the images; `scores` (B,M); `classes` (B,M) in int32, counted from 0;
    and `valid` (B,) in int32, how many of the M there are. The rest is 0. M is `max_detections`.

    Args:
        confidence_threshold: a score must be higher than this.
        nms_iou_threshold: of two detections of one class that overlap further than this the better one stays; of equal
            scores that of the first anchor.
        max_detections_per_class: how many stay of each class.
        max_detections: how many stay of all classes; of equal scores that of the first class.
        anchor_scale, anchor_scales, anchor_ratios, anchor_sizes, min_level, max_level: as for `AnchorGenerator`.

    Raises:
        InputError: for thresholds that are not from 0 to 1, and numbers of detections below 1.
    """

    def __init__(
        self,
        confidence_threshold: float = 0.05,
        nms_iou_threshold: float = 0.5,
        max_detections_per_class: int = 100,
        max_detections: int = 100,
        anchor_scale: float = ANCHOR_SCALE,
        anchor_scales: Sequence[float] = SCALES,
        anchor_ratios: Sequence[float] = ASPECT_RATIOS,
        anchor_sizes: Sequence[float] = (),
        min_level: int = MIN_LEVEL,
        max_level: int = MAX_LEVEL,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.limits: dict[str, Any] = {
            "confidence_threshold": confidence_threshold,
            "nms_iou_threshold": nms_iou_threshold,
            "max_detections_per_class": max_detections_per_class,
            "max_detections": max_detections,
        }
        check_limits(self.limits)
        of_cell = (anchor_scale, anchor_scales, anchor_ratios, anchor_sizes)
        self.anchor_box = AnchorGenerator(self.variable_dtype, *of_cell, min_level=min_level, max_level=max_level)

    def call(self, images: Any, predictions: Any) -> dict[str, Any]:
        predictions = ops.cast(predictions, self.variable_dtype)
        _, height, width, _ = ops.shape(images)
        anchors = self.anchor_box.get_anchors(height, width)
        boxes = convert_to_corners(decode_boxes(predictions[..., :4], anchors))
        return combined_non_max_suppression(boxes, ops.sigmoid(predictions[..., 4:]), **self.limits)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.limits, **self.anchor_box.get_config()}


def check_limits(limits: dict[str, Any]) -> None:
    """Refuse thresholds that no score or overlap could pass, and detections that are none."""
    for name, value in limits.items():
        if name.endswith("threshold") and not 0 <= value <= 1:
            raise InputError(f"{name}: {value!r} must be a number from 0 to 1")
        if name.startswith("max") and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise InputError(f"{name}: {value!r} must be a whole number of at least 1")


def combined_non_max_suppression(
    boxes: Any,
    scores: Any,
    *,
    confidence_threshold: float,
    nms_iou_threshold: float,
    max_detections_per_class: int,
    max_detections: int,
) -> dict[str, Any]:
    """The detections that `DecodePredictions` gives, from boxes (B,N,4) in corners and scores (B,N,K) from 0 to 1."""
    scores = ops.transpose(ops.where(scores > confidence_threshold, scores, 0.0), (0, 2, 1))  # (B,K,N)
    best, best_scores = class_wise_nms(boxes, scores, nms_iou_threshold, max_detections_per_class)
    missing = [[0, 0], [0, max(0, max_detections - best.shape[1])]]
    scores, places = ops.top_k(ops.pad(best_scores, missing), max_detections)
    anchors = ops.take_along_axis(ops.pad(best, missing), places, axis=1)
    found = scores > 0.0
    return {
        "boxes": ops.where(found[..., None], ops.take_along_axis(boxes, anchors[..., None], axis=1), 0.0),
        "scores": scores,
        "classes": ops.where(found, ops.cast(places // max_detections_per_class, "int32"), 0),
        "valid": ops.sum(ops.cast(found, "int32"), axis=1),
    }


def class_wise_nms(boxes: Any, scores: Any, iou_threshold: float, most: int) -> tuple[Any, Any]:
    """The anchors that stay, and their scores, class after class: both (B,K*most); a score of 0 where none is left.

    All classes of all images take their best anchor in turn and drop what overlaps it, until nothing is left.
    """
    batch, classes, anchors = ops.shape(scores)
    numbers = ops.arange(anchors, dtype="int32")

    def is_any_left(turn: Any, scores: Any, *_: Any) -> Any:
        return ops.any(scores > 0.0)

    def take_best(turn: Any, scores: Any, best: Any, best_scores: Any) -> tuple[Any, Any, Any, Any]:
        anchor = ops.cast(ops.argmax(scores, axis=-1), "int32")[..., None]  # (B,K,1)
        now = ops.arange(most, dtype="int32") == turn
        best = ops.where(now, anchor, best)
        best_scores = ops.where(now, ops.max(scores, axis=-1, keepdims=True), best_scores)
        taken = ops.take_along_axis(boxes, anchor, axis=1)  # (B,K,4)
        dropped = (overlaps(taken, boxes) > iou_threshold) | (numbers == anchor)
        return turn + 1, ops.where(dropped, 0.0, scores), best, best_scores

    none = ops.zeros((batch, classes, most), "int32")
    start = (0, scores, none, ops.cast(none, scores.dtype))
    _, _, best, best_scores = ops.while_loop(is_any_left, take_best, start, maximum_iterations=most)
    return ops.reshape(best, (batch, classes * most)), ops.reshape(best_scores, (batch, classes * most))


def overlaps(boxes1: Any, boxes2: Any) -> Any:
    """Intersection over union (B,K,N) of each pair of boxes (B,K,4) and (B,N,4) in corners."""
    left, top, right, bottom = (boxes1[..., i, None] for i in range(4))
    left2, top2, right2, bottom2 = (boxes2[:, None, :, i] for i in range(4))
    widths = ops.maximum(ops.minimum(right, right2) - ops.maximum(left, left2), 0.0)
    heights = ops.maximum(ops.minimum(bottom, bottom2) - ops.maximum(top, top2), 0.0)
    intersection = widths * heights
    areas = (right - left) * (bottom - top) + (right2 - left2) * (bottom2 - top2)
    return intersection / (areas - intersection)
