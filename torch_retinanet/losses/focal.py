"""The notebook's focal losses, equal to the `focal-loss` package's; mirrors `keras_reference/losses/focal.py`.

Lin et al., Focal Loss for Dense Object Detection (2017), section 3. The convention of probabilities is that of
focal-loss 0.0.7: they are cut off at 1e-7, and need not add up to one.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from torch_retinanet.errors import InputError

EPSILON = 1e-7
"""Where probabilities are cut off before a logarithm (`keras.config.epsilon`)."""

Reduction = Literal["mean", "sum", "none"]


def sparse_categorical_focal_loss(
    predictions: Tensor,
    labels: Tensor,
    gamma: float | Tensor,
    *,
    class_weight: Tensor | None = None,
    from_logits: bool = False,
) -> Tensor:
    """-(1 - p)^gamma log(p) of each example, with p the probability of its label.

    Args:
        predictions: probabilities or logits (...,K).
        labels: whole numbers (...) from 0 to K - 1.
        gamma: the focusing parameter, one for all or one for each class (K,).
        class_weight: a factor for each class (K,).
        from_logits: whether `predictions` are logits.

    Returns:
        The loss of each example (...).

    Source: focal_loss/_categorical_focal_loss.py of focal-loss 0.0.7.
    """
    labels = labels.long()
    logits = predictions if from_logits else predictions.clamp(EPSILON, 1 - EPSILON).log()
    probabilities = predictions.softmax(-1) if from_logits else predictions
    cross_entropy = -_of_label(logits.log_softmax(-1), labels)
    loss = (1 - _of_label(probabilities, labels)) ** _per_class(gamma, labels) * cross_entropy
    return loss if class_weight is None else loss * class_weight[labels]


def binary_focal_loss(
    predictions: Tensor,
    labels: Tensor,
    gamma: float,
    *,
    pos_weight: float | None = None,
    from_logits: bool = False,
    label_smoothing: float | None = None,
) -> Tensor:
    """-alpha (1 - p)^gamma log(p) of each positive example, -p^gamma log(1 - p) of each negative one.

    Args:
        predictions: probabilities or logits of the positive class, broadcast against `labels`.
        labels: 0 or 1.
        gamma: the focusing parameter.
        pos_weight: alpha, a factor for positive examples.
        from_logits: whether `predictions` are logits.
        label_smoothing: from 0 to 1, how far labels move towards one half.

    Returns:
        The loss of each example.

    Source: focal_loss/_binary_focal_loss.py of focal-loss 0.0.7.
    """
    if from_logits:
        p, q = predictions.sigmoid(), 1 - predictions.sigmoid()
        log_p, log_q = F.logsigmoid(predictions), F.logsigmoid(-predictions)
    else:
        p, q = predictions.clamp(min=EPSILON), (1 - predictions).clamp(min=EPSILON)
        log_p, log_q = p.log(), q.log()
    alpha = 1.0 if pos_weight is None else pos_weight
    positive, negative = -alpha * q**gamma * log_p, -(p**gamma) * log_q
    if label_smoothing is None:
        return torch.where(labels.bool(), positive, negative)
    targets = (1 - label_smoothing) * labels.to(predictions.dtype) + label_smoothing * 0.5
    return targets * positive + (1 - targets) * negative


class SparseCategoricalFocalLoss(nn.Module):
    """`sparse_categorical_focal_loss`, averaged, summed or left as it is.

    Called as torch's losses are, predictions first.

    Raises:
        InputError: for a negative `gamma`, or an unknown `reduction`.
    """

    gamma: Tensor
    class_weight: Tensor | None

    def __init__(
        self,
        gamma: float | Sequence[float],
        *,
        class_weight: Sequence[float] | None = None,
        from_logits: bool = False,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        self.register_buffer("gamma", _checked_gamma(gamma), persistent=False)
        weight = None if class_weight is None else torch.as_tensor(class_weight, dtype=torch.float64)
        self.register_buffer("class_weight", weight, persistent=False)
        self.from_logits = from_logits
        self.reduction = _checked_reduction(reduction)

    def forward(self, predictions: Tensor, labels: Tensor) -> Tensor:
        weight = None if self.class_weight is None else self.class_weight.to(predictions)
        loss = sparse_categorical_focal_loss(
            predictions, labels, self.gamma.to(predictions), class_weight=weight, from_logits=self.from_logits
        )
        return _reduce(loss, self.reduction)


class BinaryFocalLoss(nn.Module):
    """`binary_focal_loss`, averaged, summed or left as it is.

    Called as torch's losses are, predictions first.

    Raises:
        InputError: for a negative `gamma` or `pos_weight`, a `label_smoothing` outside 0 to 1, an unknown `reduction`.
    """

    def __init__(
        self,
        gamma: float,
        *,
        pos_weight: float | None = None,
        from_logits: bool = False,
        label_smoothing: float | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        if pos_weight is not None and not pos_weight >= 0:
            raise InputError(f"pos_weight: {pos_weight!r} must not be negative")
        if label_smoothing is not None and not 0 <= label_smoothing <= 1:
            raise InputError(f"label_smoothing: {label_smoothing!r} must be from 0 to 1")
        self.gamma = float(_checked_gamma(gamma))
        self.pos_weight, self.label_smoothing = pos_weight, label_smoothing
        self.from_logits = from_logits
        self.reduction = _checked_reduction(reduction)

    def forward(self, predictions: Tensor, labels: Tensor) -> Tensor:
        loss = binary_focal_loss(
            predictions,
            labels,
            self.gamma,
            pos_weight=self.pos_weight,
            from_logits=self.from_logits,
            label_smoothing=self.label_smoothing,
        )
        return _reduce(loss, self.reduction)


def _of_label(values: Tensor, labels: Tensor) -> Tensor:
    return values.gather(-1, labels.unsqueeze(-1)).squeeze(-1)


def _per_class(gamma: float | Tensor, labels: Tensor) -> float | Tensor:
    return gamma[labels] if isinstance(gamma, Tensor) and gamma.ndim == 1 else gamma


def _reduce(loss: Tensor, reduction: Reduction) -> Tensor:
    if reduction == "none":
        return loss
    return loss.mean() if reduction == "mean" else loss.sum()


def _checked_gamma(gamma: float | Sequence[float]) -> Tensor:
    values = torch.as_tensor(gamma, dtype=torch.float64)
    if values.ndim > 1 or not (values >= 0).all():
        raise InputError(f"gamma: {gamma!r} must not be negative, one number or one for each class")
    return values


def _checked_reduction(reduction: Reduction) -> Reduction:
    if reduction not in ("mean", "sum", "none"):
        raise InputError(f"reduction: {reduction!r} must be 'mean', 'sum' or 'none'")
    return reduction
