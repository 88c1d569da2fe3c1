"""SGD, Adam and AdamW of torch, stepping in the conventions of torch or of Keras.

torch.optim computes every update; where Keras has another formula, its numbers are translated into those of torch's.
Read from keras 3.15.1 `src/optimizers`, with its TensorFlow backend, and from torch 2.14.1 `torch/optim`.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from torch_retinanet.conventions import check_value, convention
from torch_retinanet.errors import InputError

Kind = Literal["sgd", "adam", "adamw"]

BETAS = 0.9, 0.999
"""What Adam's two moments keep of their old value in a step, in both libraries."""


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """The settings and the conventions of one optimiser; start from `keras` or `torch`, and replace what differs.

    Attributes:
        kind: AdamW is Adam with decoupled weight decay.
        learning_rate: the rate of the first step.
        rate_changes: pairs of a boundary (a step, counted from 0) and the rate that follows it, in order.
        momentum: the share of the old momentum in the new one; for SGD alone.
        weight_decay: the weight of the parameters beside their gradient.
        clip_norm: what the norm of all gradients together is reduced to where it is larger; None never clips.

    Raises:
        InputError: for a value that its field does not know.
    """

    kind: Kind
    learning_rate: float
    rate_changes: tuple[tuple[int, float], ...] = ()
    momentum: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float | None = None

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
    clip_eps: float = convention(
        "What is added to the norm of all gradients before the clip norm is divided by it.",
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

    def __post_init__(self) -> None:
        for f in fields(self):
            if f.name == "kind" or f.metadata:
                check_value(f, getattr(self, f.name))
        _check_settings(self)
        if self.momentum and self.kind != "sgd":
            raise InputError(f"momentum: {self.momentum!r} must be 0 for kind={self.kind!r}")
        if self.kind == "adamw" and self.decay != "decoupled":
            raise InputError(f"decay: {self.decay!r} must be 'decoupled' for kind='adamw'")

    @classmethod
    def keras(cls, kind: Kind, learning_rate: float, **settings: Any) -> "OptimizerConfig":
        """`keras.optimizers` SGD, Adam or AdamW with `global_clipnorm` and `PiecewiseConstantDecay`.

        AdamW has a weight decay of 0.004 where none is given.
        """
        return cls(kind=kind, learning_rate=learning_rate, **(KERAS | _default_decay(kind, 0.004) | settings))

    @classmethod
    def torch(cls, kind: Kind, learning_rate: float, **settings: Any) -> "OptimizerConfig":
        """`torch.optim` SGD, Adam or AdamW with `clip_grad_norm_` and `MultiStepLR`.

        AdamW has a weight decay of 0.01 where none is given.
        """
        decay = {"decay": "decoupled" if kind == "adamw" else "in_gradient"}
        return cls(kind=kind, learning_rate=learning_rate, **(TORCH | decay | _default_decay(kind, 0.01) | settings))

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        first = 0 if self.boundary == "changes" else 1
        rates = [self.learning_rate, *(rate for boundary, rate in self.rate_changes if step >= boundary + first)]
        return self.constant(rates[-1]) if self.rate_changes else rates[-1]

    def constant(self, value: float) -> float:
        """A number as it enters those formulas that `constants` speaks of."""
        return torch.tensor(value, dtype=torch.float32).item() if self.constants == "float32" else value


KERAS: dict[str, Any] = {
    "momentum_rate": "when_stored",
    "eps": 1e-7,
    "eps_root": "raw",
    "bias_steps": "optimizer",
    "clip_eps": 0.0,
    "infinite_norm": "all_nan",
    "decay": "decoupled",
    "constants": "float32",
    "boundary": "keeps",
}

TORCH: dict[str, Any] = {
    "momentum_rate": "when_used",
    "eps": 1e-8,
    "eps_root": "corrected",
    "bias_steps": "parameter",
    "clip_eps": 1e-6,
    "infinite_norm": "zeros",
    "constants": "exact",
    "boundary": "changes",
}


class Optimizer:
    """Steps the parameters of a model in the conventions of a config.

    Args:
        parameters: names and parameters, as `model.named_parameters()` gives them.
        config: the optimiser.
    """

    def __init__(self, parameters: Iterable[tuple[str, Tensor]], config: OptimizerConfig) -> None:
        self.config = config
        self.steps = 0
        self._parameters = dict(parameters)
        groups = [{"params": [parameter]} for parameter in self._parameters.values()]
        decay = config.constant(config.weight_decay) if config.decay == "in_gradient" else 0.0
        self._torch: torch.optim.Optimizer
        if config.kind == "sgd":
            momentum = config.constant(config.momentum)
            self._torch = torch.optim.SGD(groups, lr=config.rate(0), momentum=momentum, weight_decay=decay)
        else:
            self._torch = torch.optim.Adam(groups, lr=config.rate(0), betas=BETAS, weight_decay=decay)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        self._torch.zero_grad()

    def step(self) -> None:
        """Clip the gradients in place and update the parameters that have one; the others stay as they are."""
        rate = self.config.rate(self.steps)
        self.steps += 1
        with torch.no_grad():
            self._clip()
            if self.config.decay == "decoupled":
                self._shrink(rate)
            for group in self._torch.param_groups:
                if self.config.kind == "sgd":
                    self._set_rate_of_sgd(group, rate)
                else:
                    self._set_rate_of_adam(group, rate)
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
        if self.config.kind != "sgd":
            return {name: state.get(key, torch.zeros_like(parameter)) for name, key in ADAM_SLOTS.items()}
        if not self.config.momentum:
            return {}
        momentum: Tensor = state.get("momentum_buffer", torch.zeros_like(parameter))
        return {"momentum": momentum * -rate if self.config.momentum_rate == "when_stored" else momentum}

    def _clip(self) -> None:
        gradients = [p.grad for p in self._parameters.values() if p.grad is not None]
        if self.config.clip_norm is None or not gradients:
            return
        norm = get_total_norm(gradients)
        scale = (self.config.clip_norm / (norm + self.config.clip_eps)).clamp(max=1.0)
        if self.config.infinite_norm == "all_nan":
            scale = scale + (norm - norm)  # inf - inf is NaN
        for gradient in gradients:
            gradient.mul_(scale.to(gradient.device))

    def _shrink(self, rate: float) -> None:
        factor = 1 - rate * self.config.constant(self.config.weight_decay)
        for parameter in self._parameters.values():
            if parameter.grad is not None:
                parameter.mul_(factor)

    def _set_rate_of_sgd(self, group: dict[str, Any], rate: float) -> None:
        """Torch keeps momentum / -rate: a stored momentum that outlives its rate is brought to the new one."""
        buffer = self._torch.state.get(group["params"][0], {}).get("momentum_buffer")
        if self.config.momentum_rate == "when_stored" and buffer is not None and rate != group["lr"]:
            buffer.mul_(group["lr"] / rate)
        group["lr"] = rate

    def _set_rate_of_adam(self, group: dict[str, Any], rate: float) -> None:
        """With these two, torch's lr / c1 m / (sqrt(v) / c2 + eps) is the update in the conventions of the config."""
        taken = int(self._torch.state.get(group["params"][0], {}).get("step", 0)) + 1
        c1, c2 = _corrections(BETAS, taken)
        betas = self.config.constant(BETAS[0]), self.config.constant(BETAS[1])
        k1, k2 = _corrections(betas, self.steps if self.config.bias_steps == "optimizer" else taken)
        group["lr"] = rate * ((k2 * c1) / (k1 * c2))
        group["eps"] = self.config.eps * ((1.0 if self.config.eps_root == "raw" else k2) / c2)


ADAM_SLOTS = {"m": "exp_avg", "v": "exp_avg_sq"}
"""Torch's names of Adam's moments."""


def _corrections(betas: tuple[float, float], steps: int) -> tuple[float, float]:
    """What the first moment, and the root of the second, are divided by to correct their start at zero."""
    return 1 - betas[0] ** steps, math.sqrt(1 - betas[1] ** steps)


def _default_decay(kind: Kind, decay: float) -> dict[str, float]:
    return {"weight_decay": decay} if kind == "adamw" else {}


def _check_settings(config: OptimizerConfig) -> None:
    if not _is_number(config.learning_rate) or config.learning_rate <= 0:
        raise InputError(f"learning_rate: {config.learning_rate!r} must be a number above 0")
    if not _are_changes(config.rate_changes):
        raise InputError(f"rate_changes: {config.rate_changes!r} must be pairs of a rising step and a rate above 0")
    if not _is_number(config.momentum) or not 0 <= config.momentum <= 1:
        raise InputError(f"momentum: {config.momentum!r} must be a number from 0 to 1")
    if not _is_number(config.weight_decay) or config.weight_decay < 0:
        raise InputError(f"weight_decay: {config.weight_decay!r} must be a number of at least 0")
    if config.clip_norm is not None and (not _is_number(config.clip_norm) or config.clip_norm <= 0):
        raise InputError(f"clip_norm: {config.clip_norm!r} must be a number above 0, or None")


def _are_changes(changes: Any) -> bool:
    """Whether these are pairs of a whole step from 0, rising, and a rate above 0."""
    if not isinstance(changes, tuple) or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in changes):
        return False
    steps = [step for step, _ in changes]
    if not all(isinstance(step, int) and _is_number(step) and step >= 0 for step in steps):
        return False
    return steps == sorted(set(steps)) and all(_is_number(rate) and rate > 0 for _, rate in changes)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
