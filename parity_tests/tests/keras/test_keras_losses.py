"""The losses of the keras.io example, held to their formulas."""

import numpy as np
import pytest
import tensorflow as tf

from keras_reference import (
    InputError,
    RetinaNetBoxLoss,
    RetinaNetClassificationLoss,
    RetinaNetLoss,
)
from parity_tests.tests.support.keras_values import Array, numbers, rounding, tensor


def sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def focal(score: float, truth: int, alpha: float = 0.25, gamma: float = 2.0) -> float:
    """Equation 5 of Lin et al. 2017."""
    pt, weight = (sigmoid(score), alpha) if truth else (1 - sigmoid(score), 1 - alpha)
    return float(weight * (1 - pt) ** gamma * -np.log(pt))


def test_classification_is_the_focal_loss_summed_over_classes(dtype: str) -> None:
    loss = RetinaNetClassificationLoss()(tensor([[0, 1, 0]]), tensor([[-2, 0.5, 3]]))
    expected = focal(-2, 0) + focal(0.5, 1) + focal(3, 0)
    assert np.allclose(numbers(loss, dtype), [expected], rtol=rounding(dtype, 64), atol=0)


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 0.0), (0.9, 2.0), (0.5, 1.5)])
def test_alpha_weighs_the_truth_and_gamma_what_is_easy(alpha: float, gamma: float, dtype: str) -> None:
    loss = RetinaNetClassificationLoss(alpha, gamma)(tensor([[1, 0]]), tensor([[0.3, 0.3]]))
    expected = focal(0.3, 1, alpha, gamma) + focal(0.3, 0, alpha, gamma)
    assert np.allclose(numbers(loss, dtype), [expected], rtol=rounding(dtype, 64), atol=0)


def test_boxes_have_smooth_l1_summed_over_four(dtype: str) -> None:
    loss = RetinaNetBoxLoss()(tensor([[0, 0, 0, 0]]), tensor([[0.5, -1, 3, -0.25]]))
    assert np.array_equal(numbers(loss, dtype), [0.125 + 0.5 + 2.5 + 0.03125])


def test_each_picture_is_divided_by_its_own_positives(dtype: str) -> None:
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


def test_alpha_and_gamma_reach_the_classification() -> None:
    y_true, y_pred = tensor([[[0, 0, 0, 0, 0]]]), tensor([[[0, 0, 0, 0, 0.3]]])
    expected = focal(0.3, 1, 0.9, 1.0)
    assert np.allclose(RetinaNetLoss(1, alpha=0.9, gamma=1.0)(y_true, y_pred), expected, rtol=1e-5)


@pytest.mark.parametrize("score", [1e4, -1e4])
@pytest.mark.parametrize("cls", [0, -1])
def test_large_scores_have_finite_values_and_slopes(score: float, cls: int, dtype: str) -> None:
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
def test_other_shapes_are_refused(y_true: Array, y_pred: Array, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        RetinaNetLoss(2)(y_true, y_pred)
