"""What the keras.io example says that each anchor stands for."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_reference import (
    AnchorGenerator,
    InputError,
    LabelEncoder,
)
from parity_tests.tests.support.keras_values import PADDING, Array, numbers

SQUARE = 72 + 3
"""The anchor of 32x32 at the centre (4,12): second row of P3 in a picture 64 wide, first scale of the second ratio."""
IMAGES = np.zeros((1, 64, 64, 3))


def labels_of(boxes: Any, classes: Any, dtype: str) -> Array:
    labels = numbers(LabelEncoder().encode_batch(IMAGES, [boxes], [classes])[1], dtype)
    assert np.isfinite(labels).all()
    first: Array = labels[0]
    return first


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([4, 12, 32, 32], 1),  # the anchor itself
        ([-4, 12, 16, 32], 1),  # an overlap of exactly 1/2 stands for the object
        ([16, 12, 24, 32], -2),  # one of exactly 2/5 is ignored
        ([16.5, 12, 23, 32], -1),  # 480 / 1280 is background
    ],
)
def test_overlap_decides_what_an_anchor_stands_for(box: list[float], expected: int, dtype: str) -> None:
    assert labels_of([box], [1], dtype)[SQUARE, 4] == expected


def test_an_object_that_is_an_anchor_has_offsets_of_nothing(dtype: str) -> None:
    anchors = numbers(AnchorGenerator().get_anchors(64, 64), dtype)
    labels = labels_of(anchors[[SQUARE, 600]], [0, 1], dtype)
    assert np.array_equal(labels[[SQUARE, 600]], [[0, 0, 0, 0, 0], [0, 0, 0, 0, 1]])


def test_a_picture_without_objects_is_background(dtype: str) -> None:
    labels = labels_of([PADDING, PADDING], [-1, -1], dtype)
    assert labels.shape == (774, 5)
    assert np.array_equal(labels[:, 4], np.full(774, -1))


def test_padding_changes_no_label(dtype: str) -> None:
    alone = labels_of([[4, 12, 32, 32]], [1], dtype)
    padded = labels_of([[4, 12, 32, 32], PADDING], [1, -1], dtype)
    assert np.array_equal(alone[:, 4], padded[:, 4])
    assert np.array_equal(alone[alone[:, 4] >= 0], padded[alone[:, 4] >= 0])


def test_of_equal_overlaps_the_first_object_wins(dtype: str) -> None:
    assert labels_of([[4, 12, 32, 32], [4, 12, 32, 32]], [1, 0], dtype)[SQUARE, 4] == 1


def test_an_object_that_overlaps_no_anchor_enough_has_none(dtype: str) -> None:
    assert labels_of([[30, 30, 4, 4]], [0], dtype)[:, 4].max() == -1


def test_a_batch_is_its_pictures_one_by_one(dtype: str) -> None:
    boxes = np.array([[[20, 20, 40, 30], PADDING], [[30, 40, 32, 32], [10, 10, 60, 64]]])
    ids = np.array([[0, -1], [1, 0]])
    encode, pictures = LabelEncoder().encode_batch, np.zeros((2, 64, 96, 3))
    alone = [encode(pictures[i : i + 1], boxes[i : i + 1], ids[i : i + 1])[1] for i in range(2)]
    assert np.array_equal(numbers(encode(pictures, boxes, ids)[1], dtype), np.concatenate(alone))


def test_pictures_become_bgr_less_the_mean_and_the_caller_keeps_his(dtype: str) -> None:
    pictures = np.tile(np.array([10.0, 20.0, 30.0], dtype), (1, 32, 32, 1))
    images, _ = LabelEncoder().encode_batch(pictures, [[PADDING]], [[-1]])
    assert np.allclose(numbers(images, dtype)[0, 0, 0], [30 - 103.939, 20 - 116.779, 10 - 123.68], rtol=1e-6)
    assert np.array_equal(pictures[0, 0, 0], [10, 20, 30])


def test_it_works_in_a_data_set_of_open_shapes() -> None:
    batch = (
        np.zeros((2, 64, 64, 3), "float32"),
        np.tile(np.array([4, 12, 32, 32], "float32"), (2, 1, 1)),
        np.ones((2, 1)),
    )
    shapes = tuple(tf.TensorSpec([None] * array.ndim, array.dtype) for array in batch)
    encode = tf.function(LabelEncoder().encode_batch, input_signature=shapes)
    assert np.allclose(encode(*batch)[1], LabelEncoder().encode_batch(*batch)[1], rtol=1e-6, atol=1e-6)


def test_a_picture_has_a_row() -> None:
    with pytest.raises(InputError, match=r"gt_boxes: shape \(1, 0, 4\) must have a row or more"):
        LabelEncoder().encode_batch(IMAGES, np.zeros((1, 0, 4)), np.zeros((1, 0)))
