"""SGD, Adam and AdamW of the port on the ladder: torch.optim's formulas, brought into Keras' conventions.

torch.optim computes every update. Where Keras has another formula, its numbers are translated into those of torch's.
They were read from keras 3.15.1 `src/optimizers`, with its TensorFlow backend, and from torch 2.14.1 `torch/optim`.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from parity_tests.retinanet.side import Recipe
from torch_retinanet.config.fields import convention

BETAS = 0.9, 0.999
"""What Adam's two moments keep of their old value in a step, in both libraries."""


@dataclass(frozen=True, kw_only=True)
class OptimizerConventions:
    """The conventions of an optimiser; start from `KERAS`, and replace what is changed."""

    momentum_rate: Literal["when_stored", "when_used"] = convention(
        "When SGD's gradient is multiplied by the rate: when it enters the momentum, so that a new rate leaves the old "
        "momentum as it is, or when the momentum is used, so that a new rate acts on all of it.",
        "keras sgd.py update_step; torch/optim/sgd.py _single_tensor_sgd",
        acts_on="training",
    )
    eps: float = convention(
        "What Adam adds to the root of its second moment.",
        "keras adam.py epsilon (1e-7); torch/optim/adam.py eps (1e-8)",
        acts_on="training",
    )
    eps_root: Literal["raw", "corrected"] = convention(
        "The root that eps is added to: that of the second moment as it is stored, or that of the one corrected for "
        "its start at zero.",
        "keras adam.py update_step (the paper's epsilon hat); torch/optim/adam.py _single_tensor_adam",
        acts_on="training",
    )
    bias_steps: Literal["optimizer", "parameter"] = convention(
        "The steps that Adam's correction for the start at zero counts: all of the optimiser's, or those in which the "
        "parameter had a gradient.",
        "keras adam.py (self.iterations); torch/optim/adam.py (state['step'])",
        acts_on="training",
    )
    clip_scope: Literal["global", "parameter"] = convention(
        "Whose norm the clip norm limits: that of all gradients together, or of each parameter's own.",
        "keras base_optimizer.py global_clipnorm, torch/nn/utils/clip_grad.py clip_grad_norm_ (global); keras "
        "base_optimizer.py clipnorm, as in fizyr/keras-retinanet bin/train.py (parameter)",
        acts_on="training",
    )
    clip_eps: float = convention(
        "What is added to a norm of gradients before the clip norm is divided by it.",
        "keras base_optimizer.py clip_by_global_norm (0); torch/nn/utils/clip_grad.py (1e-6)",
        acts_on="training",
    )
    infinite_norm: Literal["all_nan", "zeros"] = convention(
        "What clipping makes of gradients whose norm is infinite: all become NaN, or the infinite ones NaN and the "
        "others zero.",
        "keras base_optimizer.py clip_by_global_norm; torch/nn/utils/clip_grad.py",
        acts_on="training",
    )
    decay: Literal["decoupled", "in_gradient"] = convention(
        "Where weight decay acts: on the parameters, times the rate and before the update, or as a part of the "
        "gradient, added after clipping. AdamW has the first by definition; to SGD without momentum they are the same.",
        "keras backend/tensorflow/optimizer.py _apply_weight_decay; torch/optim/sgd.py, adam.py (weight_decay)",
        acts_on="training",
    )
    constants: Literal["float32", "exact"] = convention(
        "Whether momentum, weight decay, the rates of a schedule, and the betas in Adam's correction for the start at "
        "zero are rounded to float32. All other numbers are exact: a rate that never changes, the clip norm, eps, and "
        "the betas of the moments.",
        "keras backend/tensorflow/core.py cast (tf.cast of a Python number); torch keeps Python numbers",
        acts_on="training",
    )
    boundary: Literal["keeps", "changes"] = convention(
        "The rate of the step, counted from 0, whose number is a boundary: still the one before, or the next.",
        "keras learning_rate_schedule.py PiecewiseConstantDecay; torch/optim/lr_scheduler.py MultiStepLR",
        acts_on="training",
    )

    def constant(self, value: float) -> float:
        """A number as it enters those formulas that `constants` speaks of."""
        return torch.tensor(value, dtype=torch.float32).item() if self.constants == "float32" else value

    def rate(self, recipe: Recipe, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        first = 0 if self.boundary == "changes" else 1
        rates = [recipe.rate, *(rate for boundary, rate in recipe.rate_changes if step >= boundary + first)]
        return self.constant(rates[-1]) if recipe.rate_changes else rates[-1]


KERAS = OptimizerConventions(
    momentum_rate="when_stored",
    eps=1e-7,
    eps_root="raw",
    bias_steps="optimizer",
    clip_scope="global",
    clip_eps=0.0,
    infinite_norm="all_nan",
    decay="decoupled",
    constants="float32",
    boundary="keeps",
)
"""Those of `keras.optimizers`, with `global_clipnorm` and `PiecewiseConstantDecay`."""


class Optimizer:
    """Steps the parameters of a model as a recipe says, in some conventions.

    Args:
        parameters: names and parameters, as `model.named_parameters()` gives them.
        recipe: the kind of optimiser, and its settings.
        conventions: those of Keras, or with some of them changed.
    """

    def __init__(
        self, parameters: Iterable[tuple[str, Tensor]], recipe: Recipe, conventions: OptimizerConventions
    ) -> None:
        self.recipe, self.conventions = recipe, conventions
        self.steps = 0
        self._parameters = dict(parameters)
        self._decoupled = recipe.kind == "adamw" or conventions.decay == "decoupled"
        groups = [{"params": [parameter]} for parameter in self._parameters.values()]
        rate = conventions.rate(recipe, 0)
        decay = 0.0 if self._decoupled else conventions.constant(recipe.weight_decay)
        self._torch: torch.optim.Optimizer
        if recipe.kind == "sgd":
            self._torch = torch.optim.SGD(groups, rate, conventions.constant(recipe.momentum), weight_decay=decay)
        else:
            self._torch = torch.optim.Adam(groups, rate, BETAS, weight_decay=decay)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        self._torch.zero_grad()

    def step(self) -> None:
        """Clip the gradients in place and update the parameters that have one; the others stay as they are."""
        rate = self.conventions.rate(self.recipe, self.steps)
        self.steps += 1
        set_rate = self._set_rate_of_sgd if self.recipe.kind == "sgd" else self._set_rate_of_adam
        with torch.no_grad():
            self._clip()
            if self._decoupled:
                self._shrink(rate)
            for group in self._torch.param_groups:
                set_rate(group, rate)
        self._torch.step()

    def slots(self) -> dict[str, dict[str, Tensor]]:
        """What the optimiser remembers of each parameter, by name, in the shape of that parameter.

        Returns:
            `momentum` for SGD with momentum; `m` and `v`, the moments as stored, for Adam; zeros before the first
            gradient. A momentum stored with its rate has Keras' sign: it is what was added to the parameter.
        """
        return {
            name: self._slots(parameter, group["lr"])
            for (name, parameter), group in zip(self._parameters.items(), self._torch.param_groups, strict=True)
        }

    def _slots(self, parameter: Tensor, rate: float) -> dict[str, Tensor]:
        state = self._torch.state.get(parameter, {})
        if self.recipe.kind != "sgd":
            return {name: state.get(key, torch.zeros_like(parameter)) for name, key in ADAM_SLOTS.items()}
        if not self.recipe.momentum:
            return {}
        momentum: Tensor = state.get("momentum_buffer", torch.zeros_like(parameter))
        return {"momentum": momentum * -rate if self.conventions.momentum_rate == "when_stored" else momentum}

    def _clip(self) -> None:
        gradients = [p.grad for p in self._parameters.values() if p.grad is not None]
        if self.recipe.clip_norm is None or not gradients:
            return
        together = [gradients] if self.conventions.clip_scope == "global" else [[gradient] for gradient in gradients]
        for part in together:
            self._shorten(part, self.recipe.clip_norm)

    def _shorten(self, gradients: list[Tensor], limit: float) -> None:
        """Gradients whose norm together is `limit` at most."""
        norm = get_total_norm(gradients)
        scale = (limit / (norm + self.conventions.clip_eps)).clamp(max=1.0)
        if self.conventions.infinite_norm == "all_nan":
            scale = scale + (norm - norm)  # inf - inf is NaN
        for gradient in gradients:
            gradient.mul_(scale.to(gradient.device))

    def _shrink(self, rate: float) -> None:
        factor = 1 - rate * self.conventions.constant(self.recipe.weight_decay)
        for parameter in self._parameters.values():
            if parameter.grad is not None:
                parameter.mul_(factor)

    def _set_rate_of_sgd(self, group: dict[str, Any], rate: float) -> None:
        """Torch keeps momentum / -rate: a stored momentum that outlives its rate is brought to the new one."""
        buffer = self._torch.state.get(group["params"][0], {}).get("momentum_buffer")
        if self.conventions.momentum_rate == "when_stored" and buffer is not None and rate != group["lr"]:
            buffer.mul_(group["lr"] / rate)
        group["lr"] = rate

    def _set_rate_of_adam(self, group: dict[str, Any], rate: float) -> None:
        """With these two, torch's lr / c1 m / (sqrt(v) / c2 + eps) is the update in these conventions."""
        taken = int(self._torch.state.get(group["params"][0], {}).get("step", 0)) + 1
        c1, c2 = _corrections(BETAS, taken)
        betas = self.conventions.constant(BETAS[0]), self.conventions.constant(BETAS[1])
        k1, k2 = _corrections(betas, self.steps if self.conventions.bias_steps == "optimizer" else taken)
        group["lr"] = rate * ((k2 * c1) / (k1 * c2))
        group["eps"] = self.conventions.eps * ((1.0 if self.conventions.eps_root == "raw" else k2) / c2)


ADAM_SLOTS = {"m": "exp_avg", "v": "exp_avg_sq"}
"""Torch's names of Adam's moments."""


def _corrections(betas: tuple[float, float], steps: int) -> tuple[float, float]:
    """What the first moment, and the root of the second, are divided by to correct their start at zero."""
    return 1 - betas[0] ** steps, math.sqrt(1 - betas[1] ** steps)
