"""Detections of the Keras reference, held to TensorFlow's own suppression."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_reference import (
    DecodePredictions,
    InputError,
    LabelEncoder,
    convert_to_corners,
)
from keras_reference.postprocess import combined_non_max_suppression
from parity_tests.tests.support.keras_values import Array, numbers, rounding, tensor


def random_detections(seed: int, anchors: int = 200, classes: int = 3) -> tuple[Array, Array]:
    """Boxes (2,N,4) in corners that overlap a lot, and scores (2,N,K)."""
    rng = np.random.default_rng(seed)
    centres, sizes = rng.uniform(0, 60, (2, anchors, 2)), rng.uniform(10, 40, (2, anchors, 2))
    boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=-1)
    return boxes.astype("float32"), rng.uniform(0, 1, (2, anchors, classes)).astype("float32")


def detect(
    boxes: Any, scores: Any, threshold: float = 0.05, iou: float = 0.5, each: int = 100, total: int = 100
) -> Any:
    return combined_non_max_suppression(
        ops.convert_to_tensor(boxes),
        ops.convert_to_tensor(scores),
        confidence_threshold=threshold,
        nms_iou_threshold=iou,
        max_detections_per_class=each,
        max_detections=total,
    )


@pytest.mark.parametrize("limits", [(0.05, 0.5, 100, 100), (0.5, 0.3, 4, 9), (0.9, 0.7, 20, 7), (0.99, 0.5, 2, 50)])
@pytest.mark.parametrize("seed", range(5))
def test_it_detects_what_tensorflow_detects(limits: tuple[float, float, int, int], seed: int) -> None:
    boxes, scores = random_detections(seed)
    threshold, iou, each, total = limits
    found = detect(boxes, scores, *limits)
    expected = tf.image.combined_non_max_suppression(
        boxes[:, :, None], scores, each, total, iou, threshold, clip_boxes=False
    )
    assert np.array_equal(found["valid"], expected.valid_detections)
    assert np.array_equal(found["scores"], expected.nmsed_scores)
    assert np.array_equal(found["classes"], expected.nmsed_classes)
    assert np.array_equal(found["boxes"], expected.nmsed_boxes)


def test_a_score_must_be_higher_than_the_threshold() -> None:
    boxes = np.array([[[0, 0, 4, 4], [10, 10, 14, 14]]], "float32")
    found = detect(boxes, np.array([[[0.5], [0.75]]], "float32"), threshold=0.5, total=3)
    assert np.array_equal(found["valid"], [1])
    assert np.array_equal(found["scores"], [[0.75, 0, 0]])
    assert np.array_equal(found["boxes"], [[[10, 10, 14, 14], [0, 0, 0, 0], [0, 0, 0, 0]]])


@pytest.mark.parametrize(("iou", "stay"), [(0.5, 2), (0.49, 1)])
def test_an_overlap_of_exactly_the_threshold_stays(iou: float, stay: int) -> None:
    boxes = np.array([[[0, 0, 4, 4], [0, 0, 4, 2]]], "float32")
    assert detect(boxes, np.array([[[0.5], [0.75]]], "float32"), iou=iou)["valid"] == [stay]


def test_classes_do_not_suppress_each_other_and_the_first_comes_first() -> None:
    found = detect(np.full((1, 3, 4), [0.0, 0, 4, 4]), np.full((1, 3, 2), 0.5), total=3)
    assert np.array_equal(found["valid"], [2])
    assert np.array_equal(found["classes"], [[0, 1, 0]])


def test_of_equal_scores_the_first_anchor_stays() -> None:
    boxes = np.array([[[0, 0, 4, 4], [0, 0, 4, 3], [9, 9, 12, 12]]], "float64")
    assert np.array_equal(detect(boxes, np.full((1, 3, 1), 0.5))["boxes"][0, :2], boxes[0, [0, 2]])


def test_boxes_without_area_and_without_end_come_out_once() -> None:
    boxes = np.array([[[1, 1, 1, 1], [-np.inf, 0, np.inf, 4], [2, 2, 6, 6]]], "float32")
    assert detect(boxes, np.array([[[0.9], [0.8], [0.7]]], "float32"))["valid"] == [3]


def test_nothing_found_is_all_zero() -> None:
    found = detect(np.ones((2, 5, 4)), np.zeros((2, 5, 2)), total=4)
    assert {name: value.shape for name, value in found.items()} == {
        "boxes": (2, 4, 4),
        "scores": (2, 4),
        "classes": (2, 4),
        "valid": (2,),
    }
    assert not any(np.any(value) for value in found.values())


def test_encoded_objects_are_detected_where_they_are(dtype: str) -> None:
    images, boxes, ids = np.zeros((1, 64, 96, 3)), [[[30, 20, 40, 36], [60, 40, 33, 30]]], [[1, 0]]
    labels = numbers(LabelEncoder().encode_batch(images, boxes, ids)[1], dtype)
    scores = np.where(labels[..., 4:] == [0, 1], 3.0, -9.0)
    found = DecodePredictions()(tensor(images), tensor(np.concatenate([labels[..., :4], scores], axis=-1)))
    order = np.argsort(np.asarray(found["classes"])[0, :2])
    expected = np.asarray(convert_to_corners(tensor(boxes)))[0, ::-1]
    assert found["valid"] == [2]
    assert np.allclose(numbers(found["boxes"], dtype)[0, order], expected, rtol=rounding(dtype, 256))
    assert np.allclose(numbers(found["scores"], dtype)[0, :2], 1 / (1 + np.exp(-3)), rtol=rounding(dtype), atol=0)


def test_mixed_precision_leaves_detections_alone() -> None:
    images, predictions = np.zeros((1, 64, 64, 3), "float32"), random_detections(0, 774, 6)[1]
    found, mixed = (DecodePredictions(dtype=dtype)(images, predictions) for dtype in ("float32", "mixed_float16"))
    assert all(np.array_equal(found[name], mixed[name]) for name in found)


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"confidence_threshold": 1.5}, "confidence_threshold: 1.5 must be a number from 0 to 1"),
        ({"nms_iou_threshold": -0.1}, "nms_iou_threshold: -0.1 must be a number from 0 to 1"),
        ({"max_detections": 0}, "max_detections: 0 must be a whole number of at least 1"),
        ({"max_detections_per_class": 2.0}, "max_detections_per_class: 2.0 must be a whole number of at least 1"),
    ],
)
def test_limits_that_let_nothing_through_are_refused(limits: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        DecodePredictions(**limits)
