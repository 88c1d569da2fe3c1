"""Faults of the trainer around its optimiser, and the case and name of the rung *training* at which each shows."""

from typing import Any

import pytest
import torch

from parity_tests.tests.support.port_faults import Fault, patch, result
from torch_retinanet.train.ema import MovingAverage
from torch_retinanet.train.train_step import TrainStep

STEM, LATER = "fpn/backbone/conv1_conv/kernel", "fpn/backbone/conv3_block1_1_conv/kernel"
GIVEN, COSINE, STEP, CONSTANT = "AdamW, one_cycle", "SGD, cosine", "SGD, step", "AdamW, constant"


def rate(change: Any) -> Fault:
    """The share of the rate at another step, or of a run of another length."""
    return patch(
        "torch_retinanet.train.train_step.rate_share",
        lambda make: lambda step, steps, **settings: make(*change(step, steps), **settings),
    )


def averaged(update: Any) -> Fault:
    """A moving average that is taken otherwise."""
    return lambda monkeypatch: monkeypatch.setattr(MovingAverage, "update", update)


def _average(kept: Any, *, statistics: bool = True) -> Any:
    @torch.no_grad()
    def update(self: Any, model: Any, step: int) -> None:
        decay = kept(self.decay, step)
        for name, value in model.state_dict().items():
            if value.is_floating_point() and (statistics or "running" not in name):
                self.tensors[name].lerp_(value, 1 - decay)

    return update


def optimizer(change: Any) -> Fault:
    """An optimiser with other groups."""

    def changed(make: Any) -> Any:
        def build(model: Any, config: Any) -> Any:
            built = make(model, config)
            change(built)
            return built

        return build

    return patch("torch_retinanet.train.train_step.build_optimizer", changed)


def groups(**settings: Any) -> Fault:
    """An optimiser with other settings."""
    return optimizer(lambda built: [group.update(settings) for group in built.param_groups])


def decay_of_all(built: Any) -> None:
    """Decay of biases and BatchNorm too."""
    for group in built.param_groups:
        group["weight_decay"] = max(other["weight_decay"] for other in built.param_groups)


def not_divided(make: Any) -> Any:
    """Gradients of several batches that are added up and not averaged."""
    return lambda self, batch, batches: make(self, batch, 1)


def clipped(**settings: Any) -> Any:
    """Gradients clipped by another norm."""

    def follow(self: Any, batch: Any) -> float:
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm or 1e9, **settings)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return float(norm)

    return follow


def clipped_after(self: Any, batch: Any) -> float:
    """Gradients clipped once the step has been taken."""
    self._optimizer.step()
    norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm or 1e9)
    self._optimizer.zero_grad()
    return float(norm)


def forgetting(part: str) -> Fault:
    """A run that is gone on from without a part of its checkpoint."""

    def plant(monkeypatch: pytest.MonkeyPatch) -> None:
        whole = TrainStep.restore

        def restore(self: Any, progress: Any, tensors: Any) -> None:
            known = self.average.tensors if self.average else {}
            whole(self, progress, tensors)
            if part == "average":
                self.average.tensors = known
            if part == "step":
                self.progress.step = 0

        monkeypatch.setattr(TrainStep, "restore", restore)

    return plant


def method(name: str, make: Any) -> Fault:
    """Another method of the trainer."""
    return lambda monkeypatch: monkeypatch.setattr(TrainStep, name, make)


def ramped(decay: float, step: int) -> float:
    """What the average keeps, as it is right."""
    return min(decay, (1 + step) / (10 + step))


def nothing_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """All layers train."""
    monkeypatch.setattr("torch_retinanet.detector.parts_to_freeze", lambda backbone, frozen: [])


def with_norms(make: Any) -> Any:
    """Every BatchNorm in evaluation mode as soon as some stage is frozen."""

    def train(detector: Any, mode: bool = True) -> Any:
        make(detector, mode)
        if detector._frozen.stages:
            for module in detector.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.eval()
        return detector

    return train


def from_the_start(make: Any) -> Any:
    """As many batches, but from the first one on."""
    return lambda self, first, end: make(self, 0, end - first)


def of_the_first(make: Any) -> Any:
    """Boxes of all pictures by the factor of the first."""

    def prepare(images: Any, config: Any) -> Any:
        prepared = make(images, config)
        return prepared._replace(scales=[prepared.scales[0]] * len(images))

    return prepare


def norms_alone(make: Any) -> Any:
    """Layers that are frozen, of which BatchNorm goes on to follow the batches."""
    return torch.nn.Module.train


TRAINING_FAULTS: dict[str, tuple[str, Fault, str]] = {
    "a schedule a step late": (GIVEN, rate(lambda step, steps: (max(step - 1, 0), steps)), "rate"),
    "a schedule a step early": (COSINE, rate(lambda step, steps: (step + 1, steps)), "rate"),
    "a schedule of a longer run": (STEP, rate(lambda step, steps: (step, steps + 3)), "rate"),
    "no warm up": (CONSTANT, rate(lambda step, steps: (steps, steps)), "rate"),
    "an average a step off": (GIVEN, averaged(_average(lambda d, t: ramped(d, t + 1))), f"{STEM}@average"),
    "an average without its start": (GIVEN, averaged(_average(lambda d, t: d)), f"{STEM}@average"),
    "an average the wrong way round": (
        GIVEN,
        averaged(_average(lambda d, t: 1 - min(d, (1 + t) / (10 + t)))),
        f"{STEM}@average",
    ),
    "an average without statistics": (
        "pictures",
        averaged(_average(ramped, statistics=False)),
        "fpn/backbone/conv1_bn/moving_mean@average",
    ),
    "batches added up": (
        GIVEN,
        patch("torch_retinanet.train.train_step.TrainStep._add_gradients", not_divided),
        "gradient_norm",
    ),
    "decay of all variables": (GIVEN, optimizer(decay_of_all), "fpn/backbone/conv1_conv/bias"),
    "no decay": (
        COSINE,
        groups(weight_decay=0.0),
        "fpn/backbone/conv3_block1_1_conv/kernel",
    ),
    "a momentum of 0.8": (STEP, groups(momentum=0.8), STEM),
    "Nesterov's momentum": (
        COSINE,
        groups(nesterov=True),
        "fpn/backbone/conv3_block1_1_conv/kernel",
    ),
    "Keras' epsilon": (CONSTANT, groups(eps=1e-7), STEM),
    "clipped by the largest value": (CONSTANT, method("_follow", clipped(norm_type=float("inf"))), "gradient_norm"),
    "clipped by the norm of all where each has its own": (CONSTANT, method("_follow", clipped()), "clipped_norm"),
    "clipped after the step": (CONSTANT, method("_follow", clipped_after), "clipped_norm"),
    "a checkpoint without the optimiser": (
        GIVEN,
        lambda monkeypatch: monkeypatch.setattr("torch_retinanet.train.train_step.load_optimizer", lambda *given: None),
        STEM,
    ),
    "the last weights kept in place of the average": (
        *(COSINE, method("weights", lambda self: self.detector.model.state_dict()), f"{LATER}@average"),
    ),
    "a checkpoint without the average": (COSINE, forgetting("average"), "fpn/backbone/conv1_conv/kernel@average"),
    "a checkpoint that forgets its step": (GIVEN, forgetting("step"), "rate"),
    "frozen stages that train": (
        COSINE,
        nothing_frozen,
        "norm_follows",
    ),
    "frozen BatchNorm that goes on": (
        "frozen backbone",
        patch("torch_retinanet.detector.RetinaNetDetector.train", norms_alone),
        "gradient_norm",
    ),
    "all BatchNorm in evaluation with two stages": (
        *(COSINE, patch("torch_retinanet.detector.RetinaNetDetector.train", with_norms), "norm_follows"),
    ),
    "a resumed run that draws from the start": (
        GIVEN,
        patch("torch_retinanet.train.sampler.EpochSampler.batches", from_the_start),
        "draws",
    ),
    "the same order in every epoch": (
        GIVEN,
        patch("torch_retinanet.train.sampler._order", lambda make: lambda seed, epoch, count: make(seed, 0, count)),
        "draws",
    ),
    "the last step of a run left out": (
        *(
            GIVEN,
            patch("torch_retinanet.train.sampler.EpochSampler.steps", result(lambda steps: steps - 1)),
            "steps",
        ),
    ),
    "pictures drawn with others' numbers": (
        GIVEN,
        patch(
            "torch_retinanet.train.sampler._order",
            lambda make: lambda seed, epoch, pictures: make(seed, epoch, pictures) // 2,
        ),
        "drawn",
    ),
    "boxes that stay as they were": (
        "pictures",
        patch("torch_retinanet.detector.scaled", lambda make: lambda boxes, *scale_and_anchors: boxes),
        "gradient_norm",
    ),
    "boxes of a batch by its first picture's factor": (
        *("pictures", patch("torch_retinanet.detector.prepare", of_the_first), "gradient_norm"),
    ),
    "boxes by another factor": (
        "pictures",
        patch(
            "torch_retinanet.detector.scaled",
            lambda make: lambda boxes, height, width, anchors: make(boxes, height, 1.01 * width, anchors),
        ),
        "gradient_norm",
    ),
    "frozen BatchNorm with gradients": (
        "frozen BatchNorm",
        nothing_frozen,
        "trained",
    ),
}
"""Faults by what they are: case, how they are planted, and the name where they show."""
