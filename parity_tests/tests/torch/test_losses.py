"""The notebook's focal losses are those of the focal-loss package, in value and gradient.

The package computes its categorical loss in float32 alone, since it makes gamma a float32 number. It is judged in
float64 all the same: its own code runs on a `tf` whose float32 is float64.
"""

from collections.abc import Callable
from itertools import product
from types import SimpleNamespace
from typing import Any

import focal_loss
import numpy as np
import pytest
import tensorflow as tf
import torch
from focal_loss import _categorical_focal_loss as categorical_module
from numpy.typing import NDArray
from torch import Tensor

from parity_tests.rule.budgets import ISOLATED, float32_budget, own_errors, rounding_budget
from parity_tests.rule.compare import compare_values
from parity_tests.rule.record import Array, Where
from torch_retinanet import BinaryFocalLoss, InputError, SparseCategoricalFocalLoss

AVERAGE: dict[str, Any] = {"reduction": "average"}
Labels = NDArray[np.int64]
EXAMPLES, CLASSES = (2, 50), 7
KERAS_REDUCTION = {"mean": "sum_over_batch_size", "sum": "sum", "none": "none"}


class Float64Tensorflow:
    """tensorflow with float64 in the place of float32."""

    dtypes = SimpleNamespace(float32=tf.float64, int64=tf.int64, cast=tf.dtypes.cast)

    def __getattr__(self, name: str) -> Any:
        return getattr(tf, name)


@pytest.fixture
def package_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(categorical_module, "tf", Float64Tensorflow())


def keras_value_and_gradient(loss: Any, labels: Labels, predictions: Array) -> tuple[Array, Array]:
    inputs = tf.constant(predictions)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = loss(labels, inputs)
    return value.numpy(), tape.gradient(value, inputs).numpy()


def torch_value_and_gradient(
    loss: Callable[[Tensor, Tensor], Tensor], labels: Labels, predictions: Array
) -> tuple[Array, Array]:
    inputs = torch.from_numpy(predictions).requires_grad_()
    value = loss(inputs, torch.from_numpy(labels))
    (gradient,) = torch.autograd.grad(value.sum(), inputs)
    return value.detach().numpy(), gradient.numpy()


def assert_equal_within(units: int, reference: tuple[Array, Array], port: tuple[Array, Array]) -> None:
    for name, left, right in zip(("value", "gradient"), reference, port, strict=True):
        left, right = np.atleast_1d(left), np.atleast_1d(right)
        record = compare_values("losses", Where(dtype="float64"), name, left, right, rounding_budget(left, units))
        assert record.verdict == "equal", record


def categorical_data(*, from_logits: bool, raw: bool = False) -> tuple[Labels, Array]:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(*EXAMPLES, CLASSES)) * 3
    labels = rng.integers(0, CLASSES, EXAMPLES)
    exponents = np.exp(logits)
    return labels, logits if from_logits or raw else exponents / exponents.sum(-1, keepdims=True)


PER_CLASS = list(np.linspace(0.5, 3, CLASSES))


@pytest.mark.usefixtures("package_in_float64")
@pytest.mark.parametrize(
    ("gamma", "class_weight", "from_logits", "reduction"),
    list(product([0.0, 2.0, 1.5, PER_CLASS], [None, PER_CLASS], [True, False], ["mean", "sum", "none"])),
)
def test_the_categorical_loss_is_that_of_the_package(
    gamma: Any, class_weight: Any, from_logits: bool, reduction: Any
) -> None:
    labels, predictions = categorical_data(from_logits=from_logits)
    reference = focal_loss.SparseCategoricalFocalLoss(
        gamma, class_weight, from_logits, reduction=KERAS_REDUCTION[reduction], dtype="float64"
    )
    port = SparseCategoricalFocalLoss(gamma, class_weight=class_weight, from_logits=from_logits, reduction=reduction)
    assert_equal_within(
        ISOLATED,
        keras_value_and_gradient(reference, labels, predictions),
        torch_value_and_gradient(port, labels, predictions),
    )


@pytest.mark.usefixtures("package_in_float64")
def test_the_notebook_feeds_raw_outputs_as_probabilities() -> None:
    labels, predictions = categorical_data(from_logits=False, raw=True)
    assert (predictions < 0).any()
    assert (predictions > 1).any()
    reference = focal_loss.SparseCategoricalFocalLoss(gamma=2, dtype="float64")
    assert_equal_within(
        ISOLATED,
        keras_value_and_gradient(reference, labels, predictions),
        torch_value_and_gradient(SparseCategoricalFocalLoss(gamma=2), labels, predictions),
    )


def test_the_categorical_loss_is_that_of_the_package_as_it_is_in_float32() -> None:
    labels, predictions = categorical_data(from_logits=True)
    port = SparseCategoricalFocalLoss(gamma=2, from_logits=True, reduction="none")
    reference = focal_loss.SparseCategoricalFocalLoss(gamma=2, from_logits=True, reduction="none")
    single = predictions.astype(np.float32)
    exact = torch_value_and_gradient(port, labels, single.astype(np.float64))
    found = torch_value_and_gradient(port, labels, single)
    for left, right, true in zip(keras_value_and_gradient(reference, labels, single), found, exact, strict=True):
        budget = float32_budget(ISOLATED, left, own_errors(left, true, right, true))
        assert compare_values("losses", Where(dtype="float32"), "loss", left, right, budget).verdict == "equal"


def binary_data(*, from_logits: bool) -> tuple[Labels, Array]:
    rng = np.random.default_rng(1)
    logits = rng.normal(size=EXAMPLES) * 3
    return rng.integers(0, 2, EXAMPLES), logits if from_logits else 1 / (1 + np.exp(-logits))


@pytest.mark.parametrize(
    ("gamma", "pos_weight", "from_logits", "label_smoothing", "reduction"),
    list(product([0.0, 2.0, 1.5], [None, 0.25], [True, False], [None, 0.1], ["mean", "sum", "none"])),
)
def test_the_binary_loss_is_that_of_the_package(
    gamma: float, pos_weight: float | None, from_logits: bool, label_smoothing: float | None, reduction: Any
) -> None:
    labels, predictions = binary_data(from_logits=from_logits)
    options: dict[str, Any] = {
        "pos_weight": pos_weight,
        "from_logits": from_logits,
        "label_smoothing": label_smoothing,
    }
    reference = focal_loss.BinaryFocalLoss(gamma, **options, reduction=KERAS_REDUCTION[reduction], dtype="float64")
    port = BinaryFocalLoss(gamma, **options, reduction=reduction)
    assert_equal_within(
        ISOLATED,
        keras_value_and_gradient(reference, labels, predictions),
        torch_value_and_gradient(port, labels, predictions),
    )


@pytest.mark.parametrize("from_logits", [True, False])
def test_losses_stay_finite_where_predictions_are_certain(from_logits: bool) -> None:
    certain = torch.tensor([-100.0, 100.0]) if from_logits else torch.tensor([0.0, 1.0])
    predictions = certain.clone().requires_grad_()
    loss = BinaryFocalLoss(2, from_logits=from_logits)(predictions, torch.tensor([1, 0]))
    (gradient,) = torch.autograd.grad(loss, predictions)
    assert loss.isfinite()
    assert gradient.isfinite().all()


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: SparseCategoricalFocalLoss(-1), "gamma: -1 must not be negative"),
        (lambda: SparseCategoricalFocalLoss([1, float("nan")]), "gamma: "),
        (lambda: BinaryFocalLoss(2, pos_weight=-0.5), "pos_weight: -0.5 must not be negative"),
        (lambda: BinaryFocalLoss(2, label_smoothing=1.5), "label_smoothing: 1.5 must be from 0 to 1"),
        (lambda: BinaryFocalLoss(2, **AVERAGE), "reduction: 'average' must be"),
    ],
)
def test_wrong_arguments_are_named(build: Callable[[], object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        build()
