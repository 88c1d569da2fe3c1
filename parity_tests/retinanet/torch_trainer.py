"""The steps of `retinanet train` on the network of a side: the trainer itself, checkpoints and resuming included."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from parity_tests.retinanet.inputs import Scene
from parity_tests.retinanet.preparation import TRAINED_STRIDE, PictureSides
from parity_tests.retinanet.trainer import BATCH, EPOCHS, PICTURES, Plan
from parity_tests.rule.record import Array
from torch_retinanet import RetinaNet, RetinaNetConfig, RetinaNetDetector
from torch_retinanet.data.dataset import Batch
from torch_retinanet.train import TrainConfig
from torch_retinanet.train.checkpoint import read_checkpoint, write_checkpoint
from torch_retinanet.train.loop import Training
from torch_retinanet.train.model import freeze
from torch_retinanet.weights.keras_names import keras_variables

Gradients = Callable[[int, int], Mapping[str, Tensor]]
"""By parameter, for the number of a step and of a batch within it."""


class GivenLosses(RetinaNetDetector):
    """A detector whose loss has the gradients that it is given; a batch's target tells its numbers."""

    gradients: Gradients

    def forward(self, images: Any, targets: Any = None) -> Any:
        given = self.gradients(*targets[0]["numbers"])
        named = ((name, p) for name, p in self.model.named_parameters() if p.requires_grad)
        return {"classification": torch.stack([(p * given[name]).sum() for name, p in named]).sum()}


class TorchTrainer:
    """The trainer around a network in the conventions of a config."""

    def __init__(self, config: RetinaNetConfig, network: RetinaNet, plan: Plan) -> None:
        settings = {name: value for name, value in plan._asdict().items() if name != "resumed_after"}
        self.plan, self.network = plan, network
        self.settings = TrainConfig(data=Path(), **settings)
        self.config = config

    def given(self, gradients: Gradients) -> dict[str, Array]:
        """Weights, averages, and what was told of each step, with these gradients."""
        with torch.device("meta"):  # its own network is not the one that is trained
            detector = GivenLosses(self.config)
        detector.gradients = gradients
        nothing = [torch.zeros(3, 1, 1)]
        batches = [
            [Batch(nothing, [{"numbers": (step, batch)}], []) for batch in range(self.plan.accumulate)]
            for step in range(self.plan.steps)
        ]
        return self._trained(detector, batches, ("rate", "gradient_norm")) | self._drawn(detector)

    def _drawn(self, detector: RetinaNetDetector) -> dict[str, Array]:
        """The steps of a run of epochs, and the pictures of each epoch in the order of their numbers."""
        settings = replace(self.settings, steps=None, epochs=EPOCHS, batch=BATCH, ema=None)
        training = Training(settings, detector, PICTURES, Accelerator(cpu=True))
        drawn = [draw.picture for batch in training.draws.batches(0, training.steps) for draw in batch]
        epochs = np.array(drawn[: PICTURES * EPOCHS], np.float64).reshape(EPOCHS, -1)
        return {"steps": np.array([float(training.steps)]), "drawn": np.sort(epochs, axis=1).ravel()}

    def on(self, scenes: Sequence[Sequence[Scene]], sides: PictureSides) -> dict[str, Array]:
        """The same on pictures (B,H,W,3) from 0 to 255, by step and batch, that are resized to `sides`."""
        small = replace(self.config, min_side=sides.least, max_side=sides.most, pad_multiple=TRAINED_STRIDE)
        with torch.device("meta"):
            detector = RetinaNetDetector(small)
        batches = [[_batch(scene) for scene in step] for step in scenes]
        return self._trained(detector, batches, ("rate", "gradient_norm", "loss"))

    def _trained(
        self, detector: RetinaNetDetector, batches: Sequence[Sequence[Batch]], told: Sequence[str]
    ) -> dict[str, Array]:
        detector.model = self.network
        try:
            freeze(detector, self.settings)
            training, steps = self._begun(detector), []
            for number, of_step in enumerate(batches):
                if number and number == self.plan.resumed_after:
                    training = self._resumed(training, detector)
                steps.append(training.step(of_step))
            weights = _arrays(detector.model.state_dict())
            average = {} if training.average is None else _arrays(training.average.tensors)
        finally:
            detector.requires_grad_(True)
        lines = {name: np.array([step[name] for step in steps]) for name in told}
        return lines | weights | {f"{name}@average": value for name, value in average.items()}

    def _begun(self, detector: RetinaNetDetector) -> Training:
        return Training(self.settings, detector, self.plan.steps, Accelerator(cpu=True))

    def _resumed(self, training: Training, detector: RetinaNetDetector) -> Training:
        """The run as it goes on from a checkpoint, in a network that has forgotten everything."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "checkpoint.safetensors"
            write_checkpoint(path, training.progress, training.tensors())
            progress, tensors = read_checkpoint(path)
        with torch.no_grad():
            for tensor in detector.model.state_dict().values():
                tensor.zero_()
        resumed = self._begun(detector)
        resumed.restore(progress, tensors)
        return resumed


def _batch(scene: Scene) -> Batch:
    images = [torch.from_numpy(image).permute(2, 0, 1) / 255 for image in scene.images]
    targets = [
        {"boxes": torch.from_numpy(boxes), "labels": torch.from_numpy(np.asarray(labels, np.int64))}
        for boxes, labels in zip(scene.boxes, scene.labels, strict=True)
    ]
    return Batch(images, targets, [])


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, Array]:
    return {name: value.numpy().copy() for name, value in keras_variables(tensors).items()}
