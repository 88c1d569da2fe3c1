"""The losses of a detector; mirrors `keras_reference/losses/detection.py`.

Lin et al., Focal Loss for Dense Object Detection (2017), sections 3.2 and 4.1: the focal loss of all class scores, and
a regression loss of the boxes of positive anchors, both divided by the number of positive anchors.
"""

import math
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import generalized_box_iou_loss

from torch_retinanet.boxes import decode
from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.losses.in_parts import Focal, FocalLosses, Right
from torch_retinanet.targets import IGNORED, Targets


class RetinaNetClassificationLoss(nn.Module):
    """The focal loss (...) of class logits (...,K), summed over the classes, or their mean.

    Written with logarithms of sigmoids alone, so that value and gradient are finite for any finite logit.

    Args:
        alpha: the weight of a score that should be one, that of the others being one minus it; `None` for no weights.
        gamma: the focusing exponent.
        epsilon: what probabilities are cut off by, and then grow by, before their logarithm.
        over_classes: whether losses of an anchor's classes are added, or averaged.
    """

    def __init__(
        self,
        alpha: float | None,
        gamma: float,
        *,
        margin: float = 0.0,
        epsilon: float = 0.0,
        over_classes: str = "sum",
    ) -> None:
        super().__init__()
        self.of_right, self.of_wrong = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)
        self.gamma, self.epsilon, self.over_classes = gamma, epsilon, over_classes
        self.limit = math.log((1 - margin) / margin) if margin else None

    def forward(self, logits: Tensor, classes: Tensor) -> Tensor:
        """`classes` (...) from 0 to K - 1; a negative one stands for none of them. Losses are in float32 at least."""
        if self.limit is not None:
            logits = logits.clamp(-self.limit, self.limit)
        losses = self._cut(logits, classes) if self.epsilon else self._plain(logits, classes)
        return losses if self.over_classes == "sum" else losses / logits.shape[-1]

    def _plain(self, logits: Tensor, classes: Tensor) -> Tensor:
        focal = Focal(self.gamma, self.of_right, self.of_wrong)
        losses: Tensor = FocalLosses.apply(logits.reshape(-1, logits.shape[-1]), classes.reshape(-1), focal)
        return losses.view(classes.shape)

    def _cut(self, logits: Tensor, classes: Tensor) -> Tensor:
        """The losses of probabilities that are cut off, where 1 - p is rounded as in Keras.

        The logarithm of a number near 1 has few digits in float32: another order of operations moves gradients by 2e-4.
        """
        right, precision = Right(classes), torch.promote_types(logits.dtype, torch.float32)
        logits = logits.to(precision)
        kept = logits.sigmoid().clamp(self.epsilon, 1 - self.epsilon)
        is_right = right.scaled(torch.ones_like(kept), 1.0, 0.0).bool()
        cut = (torch.where(is_right, kept, 1 - kept) + self.epsilon).log()
        towards = right.scaled(logits, 1.0, -1.0)
        terms = (self.gamma * F.logsigmoid(-towards)).exp() * cut
        return right.scaled(terms, -self.of_right, -self.of_wrong).sum(-1)


class RetinaNetBoxLoss(nn.Module):
    """The loss (...) of predicted deltas (...,4) against true ones, summed over the four, or their mean."""

    def __init__(self, config: RetinaNetConfig) -> None:
        super().__init__()
        self.kind, self.variance = config.box_loss, config.box_variance
        self.coding, self.axes = config.box_coding, config.delta_axes
        self.beta, self.of_four = config.smooth_l1_beta, config.box_loss_sum

    def forward(self, deltas: Tensor, true_deltas: Tensor, anchors_xyxy: Tensor) -> Tensor:
        """`anchors_xyxy` (...,4) turn deltas into boxes, which GIoU compares (Rezatofighi et al., arXiv 1902.09630)."""
        if self.kind == "giou":
            to_boxes = partial(
                decode, anchors_xyxy=anchors_xyxy, variance=self.variance, coding=self.coding, axes=self.axes
            )
            predicted, true = to_boxes(deltas, largest_factor=LARGEST_FACTOR), to_boxes(true_deltas)
            giou: Tensor = generalized_box_iou_loss(predicted, true)
            return giou
        if self.kind == "l1":
            losses = F.l1_loss(deltas, true_deltas, reduction="none")
        else:
            losses = F.smooth_l1_loss(deltas, true_deltas, reduction="none", beta=self.beta)
        return losses.sum(-1) if self.of_four == "sum" else losses.mean(-1)


LARGEST_FACTOR = 1000 / 16
"""How many times its anchor a box can be wide in GIoU, where the exponential could overflow (torchvision BoxCoder)."""


FIRST_AVERAGE, MOMENTUM = 100.0, 0.9
"""Where the moving average of positive anchors begins, and what of it a step keeps (detectron2 retinanet.py)."""

EPSILON = float(torch.finfo(torch.float32).eps)
"""What is added to the divisor where each picture counts (mmdetection losses/utils.py weight_reduce_loss)."""


class LossSums(NamedTuple):
    """The losses of each picture before they are divided.

    Attributes:
        classification: (B,) the focal loss summed over all anchors that are not ignored.
        box: (B,) the box loss summed over the positive anchors.
        normaliser: (B,) how many anchors are positive.
        counted: (B,) how many are not ignored.
    """

    classification: Tensor
    box: Tensor
    normaliser: Tensor
    counted: Tensor


class RetinaNetLoss(nn.Module):
    """The two losses of a batch, in the conventions of a config, each a single number.

    Attributes:
        positives: the moving average of positive anchors of a batch, which steps in training mode move; `None` before
            the first. It is no buffer, as it is made where the first batch is.
    """

    def __init__(self, config: RetinaNetConfig) -> None:
        super().__init__()
        self.config = config
        self.classification = RetinaNetClassificationLoss(
            config.focal_alpha if config.focal_balance else None,
            config.focal_gamma,
            margin=config.probability_margin,
            epsilon=config.log_epsilon,
            over_classes=config.class_loss_sum,
        )
        self.box = RetinaNetBoxLoss(config)
        self.positives: Tensor | None = None

    def forward(self, logits: Tensor, deltas: Tensor, targets: Targets, anchors_xyxy: Tensor) -> dict[str, Tensor]:
        """Losses by torchvision's names, of logits (B,N,K) and deltas (B,N,4) on anchors (N,4)."""
        terms = self.sums(logits, deltas, targets, anchors_xyxy)
        if self.config.loss_normaliser in ("batch_each", "batch_and_one", "moving_average"):
            divisor = self._divisor(terms.normaliser.to(terms.box.dtype))
            return {
                "classification": terms.classification.sum() / divisor,
                "bbox_regression": terms.box.sum() / divisor,
            }
        if self.config.loss_normaliser == "batch_all":
            return {
                "classification": terms.classification.sum() / terms.counted.sum().clamp(min=1),
                "bbox_regression": terms.box.sum() / terms.normaliser.sum().clamp(min=1),
            }
        return {
            "classification": self._divide(terms.classification, terms.normaliser, self.config.empty_loss == "sum"),
            "bbox_regression": self._divide(terms.box, terms.normaliser, False),
        }

    def sums(self, logits: Tensor, deltas: Tensor, targets: Targets, anchors_xyxy: Tensor) -> LossSums:
        """What `forward` divides; in single precision at least."""
        deltas = deltas.to(torch.promote_types(deltas.dtype, torch.float32))
        ignored = targets.classes == IGNORED
        classification = self.classification(logits, targets.classes).masked_fill(ignored, 0)
        picture, anchor = targets.positive.nonzero(as_tuple=True)
        of_positive = self.box(deltas[picture, anchor], targets.deltas[picture, anchor], anchors_xyxy[anchor])
        box = of_positive.new_zeros(len(deltas)).index_add(0, picture, of_positive)
        return LossSums(classification.sum(1), box * self.config.box_loss_weight, targets.normaliser, (~ignored).sum(1))

    @torch.no_grad()
    def _divisor(self, normaliser: Tensor) -> Tensor:
        """What both losses of a batch are divided by, where that is never zero."""
        if self.config.loss_normaliser == "batch_each":
            return normaliser.clamp(min=1).sum() + EPSILON
        if self.config.loss_normaliser == "batch_and_one":
            return normaliser.sum() + 1
        found = normaliser.sum().clamp(min=1)
        before = torch.full_like(found, FIRST_AVERAGE) if self.positives is None else self.positives.to(found)
        average = MOMENTUM * before + (1 - MOMENTUM) * found
        if self.training:
            self.positives = average
        return average

    def _divide(self, sums: Tensor, normaliser: Tensor, keep_empty: bool) -> Tensor:
        """The mean over pictures of what each has an anchor, or of the batch; without any, the sum itself or zero."""
        if self.config.loss_normaliser == "batch":
            sums, normaliser = sums.sum(0, keepdim=True), normaliser.sum(0, keepdim=True)
        share = sums / normaliser.clamp(min=1)
        counted = share if keep_empty else torch.where(normaliser > 0, share, 0)
        return counted.sum() / max(1, len(counted))
