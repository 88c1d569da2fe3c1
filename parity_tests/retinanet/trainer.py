"""What `retinanet train` does in a step, told without a framework: the settings, and a closed form of all that follows.

The closed form is written from the formulas of the papers and of torch's documentation, and shares no code with the
trainer. Needs numpy alone.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from parity_tests.rule.record import Array

BETAS, EPS, MOMENTUM, CLIP_EPS = (0.9, 0.999), 1e-8, 0.9, 1e-6
"""Of AdamW and SGD as `torch.optim` has them, and what `clip_grad_norm_` adds to the norm."""

ONE_CYCLE = 1 / 25, 1e-4 / 25
"""The first and the last rate of one cycle, as shares of the largest (Smith and Topin 2017; torch's `OneCycleLR`)."""

STAGES = ("conv1_", "conv2_", "conv3_", "conv4_", "conv5_")
"""How the layers of the backbone's five stages begin."""

BACKBONE = "fpn/backbone/"


class Plan(NamedTuple):
    """Settings of a run, by the names of `retinanet train`; and after which step it is ended, and resumed.

    In `short_step`, counted from 0, where it is not 0, none of the last batch's pictures can be read.
    """

    optimizer: str
    schedule: str
    steps: int
    accumulate: int = 1
    rate: float = 1e-2
    warm_up: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    clip_scope: str = "global"
    ema: float | None = None
    frozen_stages: int = 0
    frozen_norm: bool = False
    resumed_after: int = 0
    backbone_rate: float = 1.0
    short_step: int = 0

    def batches(self, step: int) -> int:
        """How many batches of a step have pictures."""
        return self.accumulate - int(0 < step == self.short_step)

    @property
    def norm_follows(self) -> bool:
        """Whether BatchNorm runs in training mode: not where the whole backbone is frozen, the heads have none."""
        return not self.frozen_norm and self.frozen_stages < len(STAGES)

    def follows(self, layer: str) -> bool:
        """Whether a BatchNorm of the backbone follows the batches."""
        return not self.frozen_norm and not layer.removeprefix(BACKBONE).startswith(STAGES[: self.frozen_stages])

    def trains(self, name: str) -> bool:
        """Whether a variable has a gradient."""
        layer = name.removeprefix(BACKBONE)
        in_backbone = layer != name
        frozen = in_backbone and layer.startswith(STAGES[: self.frozen_stages])
        norm = in_backbone and "_bn/" in name
        return not frozen and not (norm and self.frozen_norm) and "/moving_" not in name


SHORT_SIDES, DRAWN_SEED, DRAWN_STEPS = (64, 80, 96, 128), 5, 12
"""Short sides that each step draws one of, the seed of such a run, and how many steps are looked at."""

PICTURES, EPOCHS, BATCH = 7, 2, 2
"""Of a run whose order of pictures is looked at: an epoch ends within a batch."""

DRAWS = 12
"""How often a picture is drawn to see that it is changed anew: that all are alike has a chance of 1 in 2,000."""


def around_steps(plan: Plan, norms: Sequence[str]) -> dict[str, Array]:
    """What else a run has, whatever its gradients.

    Args:
        plan: the settings.
        norms: the BatchNorm layers of the backbone by Keras name, in the order of their names.

    Returns:
        `norm_follows`, 1 for each layer that follows the batches. `steps` of a run of epochs. `drawn`, the pictures of
        each epoch in the order of their numbers: all of them, once. `shared_out`, those that two processes draw of two
        epochs: all of them, twice. `draws`, four times 1: a run that is gone on from draws what it would have drawn;
        another epoch, and another seed, draw in another order; the same seed does not.
        `changes`, three times 1: a picture is changed anew at each draw, and with another seed; the same draw changes
        it alike, whatever was drawn in between.
        `short_sides`, that of each step, and 0, which is what the side of the config has moved by afterwards.
    """
    steps = math.ceil(PICTURES * EPOCHS / (BATCH * plan.accumulate))
    return {
        "norm_follows": np.array([float(plan.follows(layer)) for layer in norms]),
        "steps": np.array([float(steps)]),
        "drawn": np.tile(np.arange(PICTURES, dtype=np.float64), EPOCHS),
        "shared_out": np.repeat(np.arange(PICTURES, dtype=np.float64), 2),
        "draws": np.ones(4),
        "changes": np.ones(3),
        "short_sides": np.array([*(_short_side(step) for step in range(DRAWN_STEPS)), 0.0]),
    }


def _short_side(step: int) -> float:
    """That which a step draws: from the seed and its number alone, so that a run that is gone on from draws alike."""
    return float(np.random.default_rng([DRAWN_SEED, step]).choice(SHORT_SIDES))


TOLD = ("rate", "gradient_norm", "clipped_norm", "loss")
"""What is told of each step; a loss where there is one."""


class BatchGradients(NamedTuple):
    """What a batch gives: its loss, where there is one, and gradients by variable."""

    loss: float | None
    gradients: Mapping[str, Array]


Back = Callable[[Mapping[str, Array], int, int], BatchGradients]
"""What a batch gives from weights, by the number of the step and of the batch within it."""


def drawn_gradients(shapes: Mapping[str, tuple[int, ...]], step: int, batch: int) -> dict[str, Array]:
    """Noise in place of gradients, of another size in each variable, as gradients are."""
    rng = np.random.default_rng([step, batch])
    return {name: rng.normal(0, 10 ** rng.uniform(-4, -1), shapes[name]) for name in sorted(shapes)}


def closed_form(
    plan: Plan, weights: Mapping[str, Array], back: Back, statistics: Callable[[], Mapping[str, Array]]
) -> dict[str, Array]:
    """The rate, norms and loss of each step; weights and averages. `clipped_norm` is of what the optimiser is given.

    `trained` is 1 for each weight that has gradients, in the order of their names.

    Args:
        plan: the settings.
        weights: the first values of all variables, statistics among them.
        back: the losses and gradients.
        statistics: those that the batches so far have left, where BatchNorm follows them.
    """
    now: dict[str, Array] = {name: value.astype(np.float64) for name, value in weights.items()}
    average, slots, told = dict(now), dict[str, Array](), list[tuple[float, ...]]()
    for step in range(plan.steps):
        found = [back(now, step, batch) for batch in range(plan.batches(step))]
        gradients = {name: _mean([f.gradients[name] for f in found]) for name in now if plan.trains(name)}
        norm, rate = _norm(gradients), plan.rate * rate_share(plan, step)
        clipped = {name: gradient * _shrunk(plan, gradient, norm) for name, gradient in gradients.items()}
        for name, gradient in clipped.items():
            own = rate * (plan.backbone_rate if name.startswith(BACKBONE) else 1.0)
            now[name] = _moved(plan, name, now[name], gradient, own, step, slots)
        now |= statistics()
        if plan.ema is not None:
            kept = min(plan.ema, (1 + step) / (10 + step))
            average = {name: kept * average[name] + (1 - kept) * value for name, value in now.items()}
        losses = [f.loss for f in found if f.loss is not None]
        told.append((rate, norm, _norm(clipped), *([sum(losses) / len(losses)] if losses else [])))
    named = dict(zip(TOLD, map(np.array, zip(*told, strict=True)), strict=False))
    trained = np.array([float(plan.trains(name)) for name in sorted(weights) if "/moving_" not in name])
    averages = {} if plan.ema is None else {f"{name}@average": value for name, value in average.items()}
    return {"trained": trained} | named | now | averages


def rate_share(plan: Plan, step: int) -> float:
    """What of the largest rate a step has, counted from 0."""
    rise = plan.warm_up * plan.steps
    if plan.schedule == "one_cycle":
        peak, last = max(rise - 1, 0), plan.steps - 1
        if step < peak:
            return _between(ONE_CYCLE[0], 1, step / peak)
        return _between(1, ONE_CYCLE[1], (step - peak) / max(1, last - peak))
    if step < rise:
        return (step + 1) / (rise + 1)
    if plan.schedule == "step":
        return 0.1 ** ((3 * step >= 2 * plan.steps) + (9 * step >= 8 * plan.steps))
    return _between(1, 0, (step - rise) / max(1, plan.steps - rise)) if plan.schedule == "cosine" else 1.0


def _between(start: float, end: float, share: float) -> float:
    """Along half a cosine."""
    return end + (start - end) * math.cos(math.pi * share / 2) ** 2


def _mean(batches: Sequence[Array]) -> Array:
    mean: Array = np.sum(batches, axis=0) / len(batches)
    return mean


def _norm(gradients: Mapping[str, Array]) -> float:
    return math.sqrt(math.fsum(float(np.square(gradient).sum()) for gradient in gradients.values()))


def _shrunk(plan: Plan, gradient: Array, norm: float) -> float:
    """What clipping multiplies a gradient by, where all of them together have a norm."""
    length = norm if plan.clip_scope == "global" else _norm({"": gradient})
    return min(1.0, plan.clip_norm / (length + CLIP_EPS)) if plan.clip_norm else 1.0


def _moved(
    plan: Plan, name: str, value: Array, gradient: Array, rate: float, step: int, slots: dict[str, Array]
) -> Array:
    """A variable after a step; kernels decay, and no others."""
    decay = plan.weight_decay if name.endswith("/kernel") else 0.0
    if plan.optimizer == "sgd":
        gradient = gradient + decay * value
        slots[name] = gradient if step == 0 else MOMENTUM * slots[name] + gradient
        return value - rate * slots[name]
    nothing = np.zeros_like(value)
    for slot, beta, new in zip(("m", "v"), BETAS, (gradient, gradient**2), strict=True):
        slots[name + slot] = beta * slots.get(name + slot, nothing) + (1 - beta) * new
    mean, variance = (slots[name + s] / (1 - beta ** (step + 1)) for s, beta in zip(("m", "v"), BETAS, strict=True))
    moved: Array = value * (1 - rate * decay) - rate * mean / (np.sqrt(variance) + EPS)
    return moved
