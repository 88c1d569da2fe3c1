"""What the keras.io example has around its network: anchors, targets, losses, preprocessing, detections."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from numpy.typing import NDArray

from keras_reference import (
    AnchorBox,
    DecodePredictions,
    InputError,
    LabelEncoder,
    RetinaNet,
    RetinaNetBoxLoss,
    RetinaNetClassificationLoss,
    RetinaNetConfig,
    RetinaNetLoss,
    compute_iou,
    convert_to_corners,
    convert_to_xywh,
    get_backbone,
    preprocess_data,
    random_flip_horizontal,
    resize_and_pad_image,
    swap_xy,
)
from keras_reference.boxes import decode_boxes, encode_boxes
from keras_reference.postprocess import combined_non_max_suppression
from keras_reference.preprocess import resize

Array = NDArray[Any]
PADDING = [1e-8] * 4
SQUARE = 72 + 3
"""The anchor of 32x32 at the centre (4,12): second row of P3 in a picture 64 wide, first scale of the second ratio."""


@pytest.fixture(params=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> Iterator[str]:
    """Keras in each precision."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(request.param)
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])


def numbers(value: Any, dtype: str) -> Array:
    """`value` as an array that must already have this precision."""
    array: Array = ops.convert_to_numpy(value)
    assert array.dtype == dtype
    return array


def rounding(dtype: str, units: int = 8) -> float:
    """Some units of rounding."""
    return units * float(np.finfo(dtype).eps)


def tensor(values: Any) -> Any:
    """`values` in the precision of Keras."""
    return ops.convert_to_tensor(np.asarray(values, keras.config.floatx()))


class TestBoxes:
    def test_corners_and_xywh_are_two_forms_of_a_box(self, dtype: str) -> None:
        corners, xywh = tensor([[2, 4, 10, 8]]), [[6, 6, 8, 4]]
        assert np.array_equal(numbers(convert_to_xywh(corners), dtype), xywh)
        assert np.array_equal(numbers(convert_to_corners(tensor(xywh)), dtype), corners)
        assert np.array_equal(numbers(swap_xy(corners), dtype), [[4, 2, 8, 10]])

    def test_overlap_is_intersection_over_union(self, dtype: str) -> None:
        boxes = tensor([[2, 2, 4, 4], [4, 2, 4, 4], [2, 2, 4, 2]])
        others = tensor([[2, 2, 4, 4], [20, 20, 4, 4]])
        expected = tensor([[1, 0], [1 / 3, 0], [0.5, 0]])
        assert np.allclose(numbers(compute_iou(boxes, others), dtype), expected, rtol=rounding(dtype), atol=0)

    def test_a_union_below_1e_8_counts_as_1e_8(self, dtype: str) -> None:
        boxes = tensor([PADDING, [3, 3, 0, 0]])
        assert np.allclose(numbers(compute_iou(boxes, boxes), dtype), tensor([[1e-8, 0], [0, 0]]), rtol=1e-6, atol=0)

    def test_what_is_encoded_is_decoded(self, dtype: str) -> None:
        boxes = tensor([[10, 20, 30, 40], [300, 7, 2, 900]])
        anchors = tensor([[12, 20, 32, 32], [100, 100, 45, 90]])
        offsets = encode_boxes(boxes, anchors)
        assert np.allclose(numbers(decode_boxes(offsets, anchors), dtype), boxes, rtol=rounding(dtype, 64), atol=0)
        expected = [(10 - 12) / 32 / 0.1, 0, np.log(30 / 32) / 0.2, np.log(40 / 32) / 0.2]
        assert np.allclose(numbers(offsets, dtype)[0], expected, rtol=rounding(dtype, 64))


class TestAnchors:
    def test_a_ratio_is_width_over_height_and_stands_outside_the_scales(self, dtype: str) -> None:
        first_cell = numbers(AnchorBox().get_anchors(64, 64), dtype)[:9]
        root, scales = np.sqrt(2), [1, 2 ** (1 / 3), 2 ** (2 / 3)]
        sizes = [(32 * w * s, 32 * h * s) for w, h in [(1 / root, root), (1, 1), (root, 1 / root)] for s in scales]
        assert np.array_equal(first_cell[:, :2], np.full((9, 2), 4.0))
        assert np.allclose(first_cell[:, 2:], sizes, rtol=rounding(dtype), atol=0)
        assert np.allclose(first_cell[6, 2] / first_cell[6, 3], 2)

    def test_cells_run_over_levels_rows_and_columns(self, dtype: str) -> None:
        cells = numbers(AnchorBox().get_anchors(32, 24), dtype)[::9]
        p3 = [[4 + 8 * column, 4 + 8 * row] for row in range(4) for column in range(3)]
        p4 = [[8, 8], [24, 8], [8, 24], [24, 24]]
        assert np.array_equal(cells[:, :2], [*p3, *p4, [16, 16], [32, 32], [64, 64]])
        assert np.allclose(cells[:, 2] * cells[:, 3], [32**2] * 12 + [64**2] * 4 + [128**2, 256**2, 512**2])

    @pytest.mark.parametrize(
        ("height", "width", "count"), [(128, 128, 3069), (896, 1408, 236313), (100, 60, 9 * (104 + 28 + 8 + 2 + 1))]
    )
    def test_a_side_that_is_begun_has_a_cell(self, height: int, width: int, count: int) -> None:
        assert AnchorBox().get_anchors(height, width).shape == (count, 4)

    def test_float64_is_exact(self) -> None:
        exact, rounded = AnchorBox("float64").get_anchors(96, 64), AnchorBox("float32").get_anchors(96, 64)
        assert np.array_equal(numbers(exact, "float64").astype("float32"), numbers(rounded, "float32"))
        assert numbers(exact, "float64")[0, 2] == 1024 / np.sqrt(1024 / 0.5)


class TestTargets:
    IMAGES = np.zeros((1, 64, 64, 3))

    def labels(self, boxes: Any, classes: Any, dtype: str) -> Array:
        labels = numbers(LabelEncoder().encode_batch(self.IMAGES, [boxes], [classes])[1], dtype)
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
    def test_overlap_decides_what_an_anchor_stands_for(self, box: list[float], expected: int, dtype: str) -> None:
        assert self.labels([box], [1], dtype)[SQUARE, 4] == expected

    def test_an_object_that_is_an_anchor_has_offsets_of_nothing(self, dtype: str) -> None:
        anchors = numbers(AnchorBox().get_anchors(64, 64), dtype)
        labels = self.labels(anchors[[SQUARE, 600]], [0, 1], dtype)
        assert np.array_equal(labels[[SQUARE, 600]], [[0, 0, 0, 0, 0], [0, 0, 0, 0, 1]])

    def test_a_picture_without_objects_is_background(self, dtype: str) -> None:
        labels = self.labels([PADDING, PADDING], [-1, -1], dtype)
        assert labels.shape == (774, 5)
        assert np.array_equal(labels[:, 4], np.full(774, -1))

    def test_padding_changes_no_label(self, dtype: str) -> None:
        alone = self.labels([[4, 12, 32, 32]], [1], dtype)
        padded = self.labels([[4, 12, 32, 32], PADDING], [1, -1], dtype)
        assert np.array_equal(alone[:, 4], padded[:, 4])
        assert np.array_equal(alone[alone[:, 4] >= 0], padded[alone[:, 4] >= 0])

    def test_of_equal_overlaps_the_first_object_wins(self, dtype: str) -> None:
        assert self.labels([[4, 12, 32, 32], [4, 12, 32, 32]], [1, 0], dtype)[SQUARE, 4] == 1

    def test_an_object_that_overlaps_no_anchor_enough_has_none(self, dtype: str) -> None:
        assert self.labels([[30, 30, 4, 4]], [0], dtype)[:, 4].max() == -1

    def test_a_batch_is_its_pictures_one_by_one(self, dtype: str) -> None:
        boxes = np.array([[[20, 20, 40, 30], PADDING], [[30, 40, 32, 32], [10, 10, 60, 64]]])
        ids = np.array([[0, -1], [1, 0]])
        _, labels = LabelEncoder().encode_batch(np.zeros((2, 64, 96, 3)), boxes, ids)
        alone = [LabelEncoder().encode_sample((64, 96), tensor(b), tensor(i)) for b, i in zip(boxes, ids, strict=True)]
        assert np.array_equal(numbers(labels, dtype), np.stack(alone))

    def test_pictures_become_bgr_less_the_mean_and_the_caller_keeps_his(self, dtype: str) -> None:
        pictures = np.tile(np.array([10.0, 20.0, 30.0], dtype), (1, 32, 32, 1))
        images, _ = LabelEncoder().encode_batch(pictures, [[PADDING]], [[-1]])
        assert np.allclose(numbers(images, dtype)[0, 0, 0], [30 - 103.939, 20 - 116.779, 10 - 123.68], rtol=1e-6)
        assert np.array_equal(pictures[0, 0, 0], [10, 20, 30])

    def test_it_works_in_a_data_set_of_open_shapes(self) -> None:
        batch = (
            np.zeros((2, 64, 64, 3), "float32"),
            np.tile(np.array([4, 12, 32, 32], "float32"), (2, 1, 1)),
            np.ones((2, 1)),
        )
        shapes = tuple(tf.TensorSpec([None] * array.ndim, array.dtype) for array in batch)
        encode = tf.function(LabelEncoder().encode_batch, input_signature=shapes)
        assert np.allclose(encode(*batch)[1], LabelEncoder().encode_batch(*batch)[1], rtol=1e-6, atol=1e-6)

    def test_a_picture_has_a_row(self) -> None:
        with pytest.raises(InputError, match=r"gt_boxes: shape \(1, 0, 4\) must have a row or more"):
            LabelEncoder().encode_batch(self.IMAGES, np.zeros((1, 0, 4)), np.zeros((1, 0)))


def sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def focal(score: float, truth: int, alpha: float = 0.25, gamma: float = 2.0) -> float:
    """Equation 5 of Lin et al. 2017."""
    pt, weight = (sigmoid(score), alpha) if truth else (1 - sigmoid(score), 1 - alpha)
    return float(weight * (1 - pt) ** gamma * -np.log(pt))


class TestLosses:
    def test_classification_is_the_focal_loss_summed_over_classes(self, dtype: str) -> None:
        loss = RetinaNetClassificationLoss()(tensor([[0, 1, 0]]), tensor([[-2, 0.5, 3]]))
        expected = focal(-2, 0) + focal(0.5, 1) + focal(3, 0)
        assert np.allclose(numbers(loss, dtype), [expected], rtol=rounding(dtype, 64), atol=0)

    @pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 0.0), (0.9, 2.0), (0.5, 1.5)])
    def test_alpha_weighs_the_truth_and_gamma_what_is_easy(self, alpha: float, gamma: float, dtype: str) -> None:
        loss = RetinaNetClassificationLoss(alpha, gamma)(tensor([[1, 0]]), tensor([[0.3, 0.3]]))
        expected = focal(0.3, 1, alpha, gamma) + focal(0.3, 0, alpha, gamma)
        assert np.allclose(numbers(loss, dtype), [expected], rtol=rounding(dtype, 64), atol=0)

    def test_boxes_have_smooth_l1_summed_over_four(self, dtype: str) -> None:
        loss = RetinaNetBoxLoss()(tensor([[0, 0, 0, 0]]), tensor([[0.5, -1, 3, -0.25]]))
        assert np.array_equal(numbers(loss, dtype), [0.125 + 0.5 + 2.5 + 0.03125])

    def test_each_picture_is_divided_by_its_own_positives(self, dtype: str) -> None:
        # Anchors: class 1, class 0, background, ignored; of the second picture all are background.
        classes = [[1, 0, -1, -2], [-1, -1, -1, -1]]
        y_true = tensor([[[1, 0, 0, 0, cls] for cls in row] for row in classes])
        y_pred = tensor(np.tile([0.0, 2.0, 0.0, 0.0, 0.7, -0.4], (2, 4, 1)))
        loss = RetinaNetLoss(num_classes=2)
        terms = {name: numbers(term, dtype) for name, term in loss.terms(y_true, y_pred).items()}
        both = focal(0.7, 0) + focal(-0.4, 1) + focal(0.7, 1) + focal(-0.4, 0) + focal(0.7, 0) + focal(-0.4, 0)
        assert np.array_equal(terms["normaliser"], [2, 0])
        assert np.array_equal(terms["box"], [0.5 + 1.5, 0])
        assert np.allclose(terms["classification"], [both / 2, 0], rtol=rounding(dtype, 64), atol=0)
        assert np.allclose(numbers(loss(y_true, y_pred), dtype), (both / 2 + 2) / 2, rtol=rounding(dtype, 64), atol=0)

    def test_alpha_and_gamma_reach_the_classification(self) -> None:
        y_true, y_pred = tensor([[[0, 0, 0, 0, 0]]]), tensor([[[0, 0, 0, 0, 0.3]]])
        expected = focal(0.3, 1, 0.9, 1.0)
        assert np.allclose(RetinaNetLoss(1, alpha=0.9, gamma=1.0)(y_true, y_pred), expected, rtol=1e-5)

    @pytest.mark.parametrize("score", [1e4, -1e4])
    @pytest.mark.parametrize("cls", [0, -1])
    def test_large_scores_have_finite_values_and_slopes(self, score: float, cls: int, dtype: str) -> None:
        y_true, y_pred = (
            tensor([[[0, 0, 0, 0, cls], [0, 0, 0, 0, 0]]]),
            tf.Variable(tensor([[[1e4] * 4 + [score]] * 2])),
        )
        with tf.GradientTape() as tape:
            loss = RetinaNetLoss(1)(y_true, y_pred)
        slopes = numbers(tape.gradient(loss, y_pred), dtype)
        wrong = (score < 0) == (cls == 0)
        assert np.isfinite(numbers(loss, dtype))
        assert np.isfinite(slopes).all()
        assert np.isclose(abs(slopes[0, 0, 4]) * (1 + (cls == 0)), (0.25 if cls == 0 else 0.75) if wrong else 0)

    @pytest.mark.parametrize(
        ("y_true", "y_pred", "sentence"),
        [
            (np.zeros((2, 9, 4)), np.zeros((2, 9, 6)), r"y_true: shape \(2, 9, 4\) must be \(B,N,5\)"),
            (np.zeros((2, 9, 5)), np.zeros((2, 9, 7)), r"y_pred: shape \(2, 9, 7\) must be \(B,N,6\)"),
        ],
    )
    def test_other_shapes_are_refused(self, y_true: Array, y_pred: Array, sentence: str) -> None:
        with pytest.raises(InputError, match=sentence):
            RetinaNetLoss(2)(y_true, y_pred)


def flipping() -> np.random.Generator:
    """A generator whose first two draws flip."""
    return next(g(seed) for seed in range(100) if (g := np.random.default_rng)(seed).uniform(size=2).min() > 0.5)


class TestPreprocessing:
    def test_two_flips_change_nothing(self, dtype: str) -> None:
        image, boxes = tensor(np.arange(24).reshape(2, 4, 3)), tensor([[0.125, 0.25, 0.5, 0.75]])
        rng = flipping()
        once = random_flip_horizontal(image, boxes, rng)
        assert np.array_equal(numbers(once[0], dtype), np.asarray(image)[:, ::-1])
        assert np.array_equal(numbers(once[1], dtype), [[0.5, 0.25, 0.875, 0.75]])
        for flipped, original in zip(random_flip_horizontal(*once, rng), (image, boxes), strict=True):
            assert np.array_equal(numbers(flipped, dtype), original)

    def test_one_draw_in_two_flips(self) -> None:
        rng, image, boxes = np.random.default_rng(0), tensor([[[1, 1, 1], [0, 0, 0]]]), tensor([[0, 0, 1, 1]])
        draws = [random_flip_horizontal(image, boxes, rng)[0] is image for _ in range(200)]
        assert 80 < sum(draws) < 120

    @pytest.mark.parametrize(
        ("sides", "limits", "resized", "padded"),
        [
            ((60, 90), (80, 133), (80, 120), (128, 128)),
            ((60, 120), (80, 133), (66, 133), (128, 256)),  # the longer side decides; 66.5 is cut
            ((120, 60), (80, 133), (133, 66), (256, 128)),
            ((64, 64), (128, 256), (128, 128), (128, 128)),  # whole strides stay
            ((100, 100), (30, 60), (30, 30), (128, 128)),
            ((100, 317), (800, 1333), (420, 1333), (512, 1408)),  # in float64 the width is 1332.9999999999998
        ],
    )
    def test_sizes(self, sides: Any, limits: Any, resized: Any, padded: Any, dtype: str) -> None:
        picture = np.full((*sides, 3), 7, "uint8")
        image, shape, ratio = resize_and_pad_image(picture, limits[0], limits[1], jitter=None)
        values = numbers(image, dtype)
        assert values.shape == (*padded, 3)
        expected = np.zeros((*padded, 3))
        expected[: resized[0], : resized[1]] = 7
        assert np.allclose(values, expected, rtol=rounding(dtype), atol=0)
        assert tuple(map(int, shape)) == resized
        assert shape == tuple(float(np.float32(ratio) * np.float32(side)) for side in sides)

    def test_jitter_draws_the_shorter_side(self) -> None:
        draws = [
            resize_and_pad_image(np.zeros((10, 12, 3)), 1, jitter=(20, 40), rng=np.random.default_rng(seed))[1]
            for seed in range(20)
        ]
        assert len(set(draws)) == 20
        assert all(20 <= height < 40 and width == pytest.approx(1.2 * height) for height, width in draws)
        assert draws[0][0] == np.float32(np.float32(np.random.default_rng(0).uniform(20, 40)) / 10) * np.float32(10)

    @pytest.mark.parametrize("size", [(9, 23), (30, 40), (11, 17), (1, 1)])
    def test_resizing_is_that_of_keras(self, size: tuple[int, int]) -> None:
        image = tensor(np.random.default_rng(0).uniform(0, 255, (11, 17, 3)))
        assert np.allclose(resize(image, size), keras.ops.image.resize(image, size), rtol=0, atol=255 * 40 * 2**-23)

    def test_resizing_in_float64_is_exact(self, dtype: str) -> None:
        ramp = np.tile(np.arange(8.0)[None, :, None], (4, 1, 3))
        centres = (np.arange(24) + 0.5) / 3 - 0.5
        expected = np.clip(centres, 0, 7)[None, :, None] + np.zeros((8, 1, 3))
        assert np.allclose(numbers(resize(tensor(ramp), (8, 24)), dtype), expected, rtol=0, atol=rounding(dtype, 16))

    def test_a_sample_is_flipped_scaled_and_padded(self, dtype: str) -> None:
        picture = np.tile(np.linspace(0, 255, 12).astype("uint8")[None, :, None], (10, 1, 3))
        objects = {"bbox": np.array([[0.125, 0.25, 0.5, 0.75]], "float32"), "label": np.array([5])}
        image, boxes, classes = preprocess_data({"image": picture, "objects": objects}, flipping())
        _, (height, width), _ = resize_and_pad_image(picture, rng=after_one_draw(flipping()))
        expected = [0.5 * width, 0.3125 * height, 0.5 * width, 0.375 * height]
        values = numbers(image, dtype)
        assert np.allclose(numbers(boxes, dtype), [expected], rtol=rounding(dtype), atol=0)
        assert np.array_equal(numbers(classes, "int32"), [5])
        assert values[0, 0, 0] > values[0, int(width) - 1, 0]
        assert not values[int(height) :].any()
        assert not values[:, int(width) :].any()
        assert all(side % 128 == 0 for side in values.shape[:2])

    def test_wrong_arguments_are_refused(self) -> None:
        with pytest.raises(InputError, match=r"image: shape \(8, 8\) must be \(H,W,3\)"):
            resize_and_pad_image(np.zeros((8, 8)), jitter=None)
        with pytest.raises(InputError, match="rng: None must be a numpy Generator"):
            resize_and_pad_image(np.zeros((8, 8, 3)))


def after_one_draw(rng: np.random.Generator) -> np.random.Generator:
    rng.uniform()
    return rng


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


class TestDetections:
    @pytest.mark.parametrize("limits", [(0.05, 0.5, 100, 100), (0.5, 0.3, 4, 9), (0.9, 0.7, 20, 7), (0.99, 0.5, 2, 50)])
    @pytest.mark.parametrize("seed", range(5))
    def test_it_detects_what_tensorflow_detects(self, limits: tuple[float, float, int, int], seed: int) -> None:
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

    def test_a_score_must_be_higher_than_the_threshold(self) -> None:
        boxes = np.array([[[0, 0, 4, 4], [10, 10, 14, 14]]], "float32")
        found = detect(boxes, np.array([[[0.5], [0.75]]], "float32"), threshold=0.5, total=3)
        assert np.array_equal(found["valid"], [1])
        assert np.array_equal(found["scores"], [[0.75, 0, 0]])
        assert np.array_equal(found["boxes"], [[[10, 10, 14, 14], [0, 0, 0, 0], [0, 0, 0, 0]]])

    @pytest.mark.parametrize(("iou", "stay"), [(0.5, 2), (0.49, 1)])
    def test_an_overlap_of_exactly_the_threshold_stays(self, iou: float, stay: int) -> None:
        boxes = np.array([[[0, 0, 4, 4], [0, 0, 4, 2]]], "float32")
        assert detect(boxes, np.array([[[0.5], [0.75]]], "float32"), iou=iou)["valid"] == [stay]

    def test_classes_do_not_suppress_each_other_and_the_first_comes_first(self) -> None:
        found = detect(np.full((1, 3, 4), [0.0, 0, 4, 4]), np.full((1, 3, 2), 0.5), total=3)
        assert np.array_equal(found["valid"], [2])
        assert np.array_equal(found["classes"], [[0, 1, 0]])

    def test_of_equal_scores_the_first_anchor_stays(self) -> None:
        boxes = np.array([[[0, 0, 4, 4], [0, 0, 4, 3], [9, 9, 12, 12]]], "float64")
        assert np.array_equal(detect(boxes, np.full((1, 3, 1), 0.5))["boxes"][0, :2], boxes[0, [0, 2]])

    def test_boxes_without_area_and_without_end_come_out_once(self) -> None:
        boxes = np.array([[[1, 1, 1, 1], [-np.inf, 0, np.inf, 4], [2, 2, 6, 6]]], "float32")
        assert detect(boxes, np.array([[[0.9], [0.8], [0.7]]], "float32"))["valid"] == [3]

    def test_nothing_found_is_all_zero(self) -> None:
        found = detect(np.ones((2, 5, 4)), np.zeros((2, 5, 2)), total=4)
        assert {name: value.shape for name, value in found.items()} == {
            "boxes": (2, 4, 4),
            "scores": (2, 4),
            "classes": (2, 4),
            "valid": (2,),
        }
        assert not any(np.any(value) for value in found.values())

    def test_encoded_objects_are_detected_where_they_are(self, dtype: str) -> None:
        images, boxes, ids = np.zeros((1, 64, 96, 3)), [[[30, 20, 40, 36], [60, 40, 33, 30]]], [[1, 0]]
        labels = numbers(LabelEncoder().encode_batch(images, boxes, ids)[1], dtype)
        scores = np.where(labels[..., 4:] == [0, 1], 3.0, -9.0)
        found = DecodePredictions()(tensor(images), tensor(np.concatenate([labels[..., :4], scores], axis=-1)))
        order = np.argsort(np.asarray(found["classes"])[0, :2])
        expected = np.asarray(convert_to_corners(tensor(boxes)))[0, ::-1]
        assert found["valid"] == [2]
        assert np.allclose(numbers(found["boxes"], dtype)[0, order], expected, rtol=rounding(dtype, 256))
        assert np.allclose(numbers(found["scores"], dtype)[0, :2], sigmoid(3), rtol=rounding(dtype), atol=0)

    def test_mixed_precision_leaves_detections_alone(self) -> None:
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
    def test_limits_that_let_nothing_through_are_refused(self, limits: dict[str, Any], sentence: str) -> None:
        with pytest.raises(InputError, match=sentence):
            DecodePredictions(**limits)


@pytest.fixture(scope="module")
def trained() -> RetinaNet:
    """Two steps as the example trains, on pictures of 64x64 with two classes."""
    rng = np.random.default_rng(0)
    boxes = np.array([[[20, 20, 30, 30], [40, 40, 32, 20]], [[30, 30, 60, 50], PADDING]] * 2)
    ids = np.array([[0, 1], [1, -1]] * 2)
    images, labels = LabelEncoder().encode_batch(rng.uniform(0, 255, (4, 64, 64, 3)), boxes, ids)
    model = RetinaNet(RetinaNetConfig.keras_io(2), get_backbone((None, None, 3)))
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1], [2.5e-6, 6.25e-4])
    model.compile(loss=RetinaNetLoss(2), optimizer=keras.optimizers.SGD(schedule, momentum=0.9))
    history = model.fit(images, labels, batch_size=2, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert int(model.optimizer.iterations) == 2
    return model


IMAGES = np.random.default_rng(1).uniform(-100, 100, (2, 64, 96, 3)).astype("float32")


def test_it_trains_predicts_and_detects(trained: RetinaNet) -> None:
    predictions = trained.predict(IMAGES, verbose=0)
    found = DecodePredictions(confidence_threshold=0.0, max_detections=20)(IMAGES, predictions)
    assert predictions.shape == (2, 9 * (96 + 24 + 6 + 2 + 1), 6)
    assert np.array_equal(found["valid"], [20, 20])
    assert np.isfinite(found["boxes"]).all()


def test_network_and_detections_are_one_model_for_pictures_of_any_size(trained: RetinaNet) -> None:
    image = keras.Input((None, None, 3))
    decode = DecodePredictions(confidence_threshold=0.005, max_detections=20)
    inference = keras.Model(inputs=image, outputs=decode(image, trained(image, training=False)))
    for images in (IMAGES, IMAGES[:1, :, :64]):
        expected = decode(images, trained(images, training=False))
        found = inference.predict(images, verbose=0)
        assert found["boxes"].shape == (len(images), 20, 4)
        assert np.array_equal(found["valid"], expected["valid"])
        assert np.allclose(found["boxes"], expected["boxes"], rtol=1e-3, atol=1e-3)


def test_it_is_saved_and_loaded_in_safe_mode_with_its_training(trained: RetinaNet, tmp_path: Path) -> None:
    trained.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.config == trained.config
    assert isinstance(loaded.loss, RetinaNetLoss)
    assert loaded.loss.get_config() == trained.loss.get_config()
    assert np.array_equal(loaded(IMAGES), trained(IMAGES))


def test_the_layer_of_detections_is_saved_with_its_limits() -> None:
    layer = DecodePredictions(confidence_threshold=0.25, max_detections=7)
    loaded = keras.layers.deserialize(keras.layers.serialize(layer))
    assert loaded.get_config() == layer.get_config()
