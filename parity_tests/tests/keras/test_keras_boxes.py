"""Boxes and anchors of the Keras reference, as the keras.io example defines them."""

import numpy as np
import pytest

from keras_reference import (
    AnchorGenerator,
    compute_iou,
    convert_to_corners,
    convert_to_xywh,
    swap_xy,
)
from keras_reference.boxes import decode_boxes, encode_boxes
from parity_tests.tests.support.keras_values import PADDING, numbers, rounding, tensor


def test_corners_and_xywh_are_two_forms_of_a_box(dtype: str) -> None:
    corners, xywh = tensor([[2, 4, 10, 8]]), [[6, 6, 8, 4]]
    assert np.array_equal(numbers(convert_to_xywh(corners), dtype), xywh)
    assert np.array_equal(numbers(convert_to_corners(tensor(xywh)), dtype), corners)
    assert np.array_equal(numbers(swap_xy(corners), dtype), [[4, 2, 8, 10]])


def test_overlap_is_intersection_over_union(dtype: str) -> None:
    boxes = tensor([[2, 2, 4, 4], [4, 2, 4, 4], [2, 2, 4, 2]])
    others = tensor([[2, 2, 4, 4], [20, 20, 4, 4]])
    expected = tensor([[1, 0], [1 / 3, 0], [0.5, 0]])
    assert np.allclose(numbers(compute_iou(boxes, others), dtype), expected, rtol=rounding(dtype), atol=0)


def test_a_union_below_1e_8_counts_as_1e_8(dtype: str) -> None:
    boxes = tensor([PADDING, [3, 3, 0, 0]])
    assert np.allclose(numbers(compute_iou(boxes, boxes), dtype), tensor([[1e-8, 0], [0, 0]]), rtol=1e-6, atol=0)


def test_what_is_encoded_is_decoded(dtype: str) -> None:
    boxes = tensor([[10, 20, 30, 40], [300, 7, 2, 900]])
    anchors = tensor([[12, 20, 32, 32], [100, 100, 45, 90]])
    offsets = encode_boxes(boxes, anchors)
    assert np.allclose(numbers(decode_boxes(offsets, anchors), dtype), boxes, rtol=rounding(dtype, 64), atol=0)
    expected = [(10 - 12) / 32 / 0.1, 0, np.log(30 / 32) / 0.2, np.log(40 / 32) / 0.2]
    assert np.allclose(numbers(offsets, dtype)[0], expected, rtol=rounding(dtype, 64))


def test_a_ratio_is_width_over_height_and_stands_outside_the_scales(dtype: str) -> None:
    first_cell = numbers(AnchorGenerator().get_anchors(64, 64), dtype)[:9]
    root, scales = np.sqrt(2), [1, 2 ** (1 / 3), 2 ** (2 / 3)]
    sizes = [(32 * w * s, 32 * h * s) for w, h in [(1 / root, root), (1, 1), (root, 1 / root)] for s in scales]
    assert np.array_equal(first_cell[:, :2], np.full((9, 2), 4.0))
    assert np.allclose(first_cell[:, 2:], sizes, rtol=rounding(dtype), atol=0)
    assert np.allclose(first_cell[6, 2] / first_cell[6, 3], 2)


def test_cells_run_over_levels_rows_and_columns(dtype: str) -> None:
    cells = numbers(AnchorGenerator().get_anchors(32, 24), dtype)[::9]
    p3 = [[4 + 8 * column, 4 + 8 * row] for row in range(4) for column in range(3)]
    p4 = [[8, 8], [24, 8], [8, 24], [24, 24]]
    assert np.array_equal(cells[:, :2], [*p3, *p4, [16, 16], [32, 32], [64, 64]])
    assert np.allclose(cells[:, 2] * cells[:, 3], [32**2] * 12 + [64**2] * 4 + [128**2, 256**2, 512**2])


def test_anchors_of_another_scale_stand_in_the_same_places(dtype: str) -> None:
    anchors, half = (numbers(AnchorGenerator(anchor_scale=s).get_anchors(64, 96), dtype) for s in (4.0, 2.0))
    assert np.array_equal(half[:, :2], anchors[:, :2])
    assert np.allclose(half[:, 2:], anchors[:, 2:] / 2, rtol=rounding(dtype), atol=0)


@pytest.mark.parametrize(
    ("height", "width", "count"), [(128, 128, 3069), (896, 1408, 236313), (100, 60, 9 * (104 + 28 + 8 + 2 + 1))]
)
def test_a_side_that_is_begun_has_a_cell(height: int, width: int, count: int) -> None:
    assert AnchorGenerator().get_anchors(height, width).shape == (count, 4)


def test_float64_is_exact() -> None:
    exact, rounded = AnchorGenerator("float64").get_anchors(96, 64), AnchorGenerator("float32").get_anchors(96, 64)
    assert np.array_equal(numbers(exact, "float64").astype("float32"), numbers(rounded, "float32"))
    assert numbers(exact, "float64")[0, 2] == 1024 / np.sqrt(1024 / 0.5)
