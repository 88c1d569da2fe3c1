"""A small RetinaNet trained on digits, and what it does with a convention changed: what conventions cost.

Digits are small pictures: the lengths that a preset's conventions name, made for photos, are made smaller alike.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from parity_tests.retinanet.inputs import Size, moved_by_an_ulp
from parity_tests.retinanet.matching import Detections
from parity_tests.retinanet.side import Recipe
from parity_tests.retinanet.torch_side import keras_optimizer
from parity_tests.retinanet.torch_surroundings import Config
from torch_retinanet import RetinaNetDetector
from torch_retinanet.data.dataset import Batch
from torch_retinanet.data.digits import Digits, Split
from torch_retinanet.evaluate import coco_metrics

WIDTH = 64
"""Filters of the pyramid and the heads; the backbone is ResNet-50, which has every convention."""

SHRUNK = {"anchor_scale": 1 / 2, "min_side": 0.15, "max_side": 0.15}
"""What the lengths of a preset are multiplied by: sides of 800 and 1333 pixels become 120 and 200."""

TRAINED_IN: dict[str, Any] = {
    "bn_momentum": 0.1,
    "head_init": "he_prior",
    "box_loss": "giou",
    "loss_normaliser": "batch",
}
"""Conventions of training alone in which few steps lead far; the trained weights mean the same in any."""

SQUARE, WIDE = (154, 154), (120, 240)
"""Sizes of pictures: made smaller and padded, and so wide that the long side decides."""

BATCH, RATE = 8, 1e-3
"""Of the training of the model."""

TESTED = {SQUARE: 48, WIDE: 12}
"""How many test pictures of each size."""

DETECTED = 10
"""Pictures that go through the network together."""

LOSS_PICTURES = 8
"""Pictures whose loss is measured: the first ones with objects, and one without."""

STEPS, STEP_BATCH = 20, 2
"""Steps after which the loss is measured again, and pictures in each."""

RECIPES = {
    "sgd": Recipe("sgd", 1e-3, ((STEPS // 2, 3e-4),), momentum=0.9, weight_decay=1e-4, clip_norm=1.0),
    "adam": Recipe("adam", 1e-4, ((STEPS // 2, 3e-5),), weight_decay=1e-4, clip_norm=1.0),
}
"""How these steps are taken, in Keras' conventions."""

Sample = tuple[Tensor, dict[str, Any]]
Weights = Mapping[str, np.ndarray]
"""A state dict as arrays."""


def digits_config(config: Config) -> Config:
    """The config of the small model in the conventions of `config`."""
    lengths = {name: getattr(config, name) * share for name, share in SHRUNK.items()}
    sides = {name: round(lengths[name]) for name in ("min_side", "max_side")}
    return replace(config, num_classes=10, width=WIDTH, anchor_scale=lengths["anchor_scale"], **sides)


def train_digits(config: Config, steps: int, *, seed: int, report: Callable[[int], None]) -> dict[str, np.ndarray]:
    """The weights of the small model after so many steps; `report` hears of each."""
    from accelerate import Accelerator  # of the extra `train`

    from torch_retinanet.train import TrainConfig
    from torch_retinanet.train.train_step import TrainStep

    settings = TrainConfig(data=Path("digits"), out=Path("digits"), steps=steps, batch=BATCH, rate=RATE, seed=seed)
    detector = fresh_detector(replace(config, **TRAINED_IN), seed).to(memory_format=torch.channels_last)
    accelerator = Accelerator(cpu=True, mixed_precision="bf16")
    training = TrainStep(settings, detector, steps * BATCH, accelerator)
    for step in range(steps):
        report(step)
        samples = pictures("train", SQUARE, range(step * BATCH, (step + 1) * BATCH), seed)
        training.step([Batch([image for image, _ in samples], [target for _, target in samples], [])])
    return _arrays(detector.model.state_dict())


def fresh_detector(config: Config, seed: int) -> RetinaNetDetector:
    """A detector with fresh weights that follow from a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return RetinaNetDetector(config)


def pictures(split: Split, size: Size, indices: range, seed: int) -> list[Sample]:
    """Pictures of digits by their numbers."""
    data = Digits(split, length=indices[-1] + 1, size=size, seed=seed)
    return [data[i] for i in indices]


class DigitsModel:
    """Trained weights in any conventions that keep their shapes."""

    def __init__(self, weights: Weights, *, seed: int) -> None:
        self.weights, self.seed = weights, seed
        floating = {name: value for name, value in weights.items() if value.dtype.kind == "f"}
        self.moved = {**weights, **moved_by_an_ulp(floating, seed=seed, dtype="float32")}

    def detector(self, config: Config, *, moved: bool = False) -> RetinaNetDetector:
        """A detector with the trained weights, or with each moved to the next number."""
        detector, given = RetinaNetDetector(config), self.moved if moved else self.weights
        detector.model.load_state_dict({name: torch.from_numpy(np.asarray(value)) for name, value in given.items()})
        return detector.eval()

    @torch.no_grad()
    def detect(self, config: Config) -> list[Detections]:
        """What it finds in the test pictures, in their own pixels."""
        detector = self.detector(config)
        groups = (self.tested[i : i + DETECTED] for i in range(0, len(self.tested), DETECTED))
        found = [d for group in groups for d in detector([image for image, _ in group])]
        return [Detections(*(d[name].numpy() for name in ("boxes", "scores", "labels"))) for d in found]

    def mean_precision(self, found: Sequence[Detections]) -> float:
        """COCO's mAP of detections in the test pictures."""
        plain = [{name: torch.from_numpy(value) for name, value in d._asdict().items()} for d in found]
        return coco_metrics(plain, [target for _, target in self.tested])["map"]

    def loss(self, config: Config, *, moved: bool = False) -> float:
        """The loss of some test pictures in float64, BatchNorm in inference mode."""
        return _loss(self.detector(config, moved=moved), self.measured)

    def loss_after_steps(
        self,
        config: Config,
        recipe: str,
        optimizer_overrides: Mapping[str, Any],
        *,
        fresh: bool = False,
        moved: bool = False,
    ) -> float:
        """The same loss after 20 steps of training in float32, from the trained weights or from fresh ones.

        From fresh weights it is that of the last step, BatchNorm in training mode: its statistics are of no use yet.
        """
        detector = fresh_detector(config, self.seed) if fresh else self.detector(config, moved=moved)
        optimizer = keras_optimizer(detector.train().model, RECIPES[recipe], optimizer_overrides)
        loss = torch.zeros(())
        for samples in self.steps:
            loss = torch.stack([*detector(*_as_fed(samples, torch.float32)).values()]).sum()
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
        return float(loss.detach()) if fresh else _loss(detector, self.measured)

    @cached_property
    def tested(self) -> list[Sample]:
        """The pictures in which it detects."""
        return [sample for size, count in TESTED.items() for sample in pictures("test", size, range(count), self.seed)]

    @cached_property
    def measured(self) -> list[Sample]:
        """The pictures whose loss is measured."""
        square = self.tested[: TESTED[SQUARE]]
        without = [sample for sample in square if not len(sample[1]["labels"])]
        return [*[sample for sample in square if len(sample[1]["labels"])][: LOSS_PICTURES - 1], *without[:1]]

    @cached_property
    def steps(self) -> list[list[Sample]]:
        """The batches of the 20 steps."""
        samples = pictures("train", SQUARE, range(STEPS * STEP_BATCH), self.seed)
        return [samples[i : i + STEP_BATCH] for i in range(0, len(samples), STEP_BATCH)]


@torch.no_grad()
def _loss(detector: RetinaNetDetector, samples: Sequence[Sample]) -> float:
    detector.double().train()
    detector.model.eval()
    return float(torch.stack([*detector(*_as_fed(samples, torch.float64)).values()]).sum())


def _as_fed(samples: Sequence[Sample], dtype: torch.dtype) -> tuple[list[Tensor], list[dict[str, Any]]]:
    """Pictures from 0 to 1, and their targets."""
    return [image.to(dtype) / 255 for image, _ in samples], [target for _, target in samples]


def _arrays(state: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    return {name: value.detach().contiguous().numpy() for name, value in state.items()}
