"""The focal loss of many logits with its gradient, part by part, so that each part stays in a processor's cache.

Lin et al., Focal Loss for Dense Object Detection (2017), section 3: -(1 - p)^gamma log p of each class, where p is the
probability of what is true of it: that the anchor has it, or that it has not.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

PART = {"cpu": 2**16}
"""Logits of a part, by the kind of device; others take all at once."""


class Focal(NamedTuple):
    """The exponent gamma, and the weights of the class that an anchor has and of each that it has not."""

    gamma: float
    of_right: float
    of_wrong: float


class Right:
    """Which logits (...,K) are of the class that their anchor has, by `classes` (...); a negative one is none."""

    def __init__(self, classes: Tensor) -> None:
        self.place, self.is_one = classes.clamp(min=0).unsqueeze(-1), (classes >= 0).unsqueeze(-1)

    def scaled(self, values: Tensor, of_right: float, of_wrong: float) -> Tensor:
        """Values (...,K) times one number where the class is right, and another where it is wrong."""
        chosen = values.gather(-1, self.place)
        by = torch.where(self.is_one, chosen.new_tensor(of_right), of_wrong)
        return (values * of_wrong).scatter(-1, self.place, chosen * by)

    def scale_(self, values: Tensor, of_right: float, of_wrong: float) -> Tensor:
        """The same, in place and without gradients."""
        chosen = values.gather(-1, self.place)
        chosen *= torch.where(self.is_one, chosen.new_tensor(of_right), of_wrong)
        return values.mul_(of_wrong).scatter_(-1, self.place, chosen)


class FocalLosses(torch.autograd.Function):
    """The losses (M,) of logits (M,K), summed over the classes, in float32 at least; `classes` (M,) may be negative.

    It cannot be differentiated again.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, classes: Tensor, focal: Focal) -> Tensor:
        precision = torch.promote_types(logits.dtype, torch.float32)
        losses = logits.new_empty(len(logits), dtype=precision)
        slopes = torch.empty_like(logits, dtype=precision) if ctx.needs_input_grad[0] else None
        for part in parts(logits):
            loss, slope = _part(logits[part].to(precision, copy=True), Right(classes[part]), focal)
            losses[part] = loss
            if slopes is not None:
                slopes[part] = slope
        ctx.save_for_backward(slopes)
        ctx.dtype = logits.dtype
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        [slopes] = ctx.saved_tensors
        found = torch.empty_like(slopes, dtype=ctx.dtype)
        for part in parts(slopes):
            torch.mul(slopes[part], grad[part, None], out=found[part])
        return found, None, None


def parts(logits: Tensor) -> list[slice]:
    """Rows of logits (M,K) that are computed together."""
    size = PART.get(logits.device.type, logits.numel())
    rows = len(logits) if torch.compiler.is_compiling() else max(1, size // max(1, logits.shape[1]))
    return [slice(start, start + rows) for start in range(0, len(logits), max(1, rows))]


def _part(logits: Tensor, right: Right, focal: Focal) -> tuple[Tensor, Tensor]:
    """Losses (m,) and what the gradient of each is by the logits (m,K), which are overwritten.

    With t the logit of p: log p = min(t, 0) - log(1 + exp(-|t|)), and log(1 - p) the same of -t. The gradient by t is
    (1 - p)^gamma (1 - p - gamma p log p), a sum of two terms of one sign, so that nothing is lost in it.
    """
    towards = right.scale_(logits, 1.0, -1.0)
    shared = _log1p_(towards.abs().neg_().exp_())
    log_p, q = towards.clamp(max=0).sub_(shared), towards.neg().sigmoid_()
    weight = q * q if focal.gamma == 2 else towards.neg().clamp_(max=0).sub_(shared).mul_(focal.gamma).exp_()
    slope = q.sub_(towards.sigmoid_().mul_(log_p).mul_(focal.gamma)).mul_(weight)
    loss = right.scale_(log_p.mul_(weight), -focal.of_right, -focal.of_wrong).sum(-1)
    return loss, right.scale_(slope, -focal.of_right, focal.of_wrong)


def _log1p_(x: Tensor) -> Tensor:
    """log(1 + x) of x from 0 to 1, in place, with what the sum rounds off; torch's own takes ten times as long."""
    u = x + 1
    lost = (u - 1).sub_(x).div_(u)
    return torch.log(u, out=x).sub_(lost)
