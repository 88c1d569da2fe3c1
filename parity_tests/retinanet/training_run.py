"""A run of `retinanet train`, and the same one in the Keras reference: its pictures, first weights and optimiser.

The torch side is what the command runs. The Keras side pads the same pictures, and does all that follows by its own:
labels, network, loss, and AdamW or SGD of `keras.optimizers`, set to take the step that torch's takes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from parity_tests.ladder.perturbation import moved_by_rounding
from parity_tests.retinanet.anchors import changed_anchors
from parity_tests.retinanet.frameworks import keras, keras_precision
from parity_tests.retinanet.inputs import Scene
from parity_tests.retinanet.keras_side import KerasDetectorSide
from parity_tests.rule.record import Array
from parity_tests.sides.torch_tensors import DTYPES
from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.data.dataset import Batch, collate
from torch_retinanet.data.progress import track
from torch_retinanet.preprocess import padded_size, resized_size
from torch_retinanet.train import TrainConfig
from torch_retinanet.train.data import build_dataset, read_data
from torch_retinanet.train.model import build_detector
from torch_retinanet.train.sampler import EpochSampler
from torch_retinanet.train.schedule import rate_share
from torch_retinanet.train.train_step import TrainStep
from torch_retinanet.weights.keras_names import keras_variables

BETAS, EPS, MOMENTUM, CLIP_EPS = (0.9, 0.999), 1e-8, 0.9, 1e-6
"""Of the command's AdamW, of its SGD, and what torch's clipping adds to the norm."""

WITHOUT_DECAY = ["bias", "gamma", "beta"]
"""Parts of the names of the variables that do not decay."""


class TrainingRun:
    """The first steps of a run, in either framework.

    Args:
        config: of a run of so many `steps`, from a preset that has a Keras reference.
        steps: how many of them are taken.
    """

    def __init__(self, config: TrainConfig, steps: int) -> None:
        self.config = replace(config, ema=None, precision="no")
        self.annotations, _ = read_data(config)
        self.conventions = config.model_config(len(self.annotations.classes))
        dataset = build_dataset(self.annotations, config, self.conventions)
        draws = EpochSampler(pictures=len(dataset), batch=config.batch, seed=config.seed).batches(0, steps)
        self._keras = cache(self._build_keras)
        self.batches = [collate([dataset[draw] for draw in batch]) for batch in draws]

    def port(self, dtype: str) -> Array:
        """The loss at each step of the command's run."""
        training = self._training(dtype)
        batches = track(self.batches, total=len(self.batches), words=f"torch, {dtype}")
        return np.array([training.step([_pictures_as(batch, dtype)])["loss"] for batch in batches])

    def reference(self, dtype: str, *, moved: int | None = None) -> Array:
        """The loss at each step of the Keras reference, from the same weights, or from those moved by rounding."""
        side = self._keras(dtype)
        state = self._training("float32").detector.model.state_dict()
        variables: Mapping[str, Array] = {name: value.numpy() for name, value in keras_variables(state).items()}
        side.assign(variables if moved is None else moved_by_rounding(variables, seed=moved))
        with keras_precision(dtype):
            optimizer = self._optimizer(dtype)
            batches = track(self.batches, total=len(self.batches), words=f"Keras, {dtype}")
            return np.array([self._step(side, optimizer, batch) for batch in batches])

    def _build_keras(self, dtype: str) -> KerasDetectorSide:
        conventions, preset = self.conventions, self.config.preset
        assert preset is not None, "the run is one of a preset with a Keras reference"
        return KerasDetectorSide(
            preset,
            conventions.num_classes,
            dtype,
            anchors=changed_anchors(conventions, RetinaNetConfig.preset(preset)),
            width=conventions.width,
        )

    def _optimizer(self, dtype: str) -> "keras.optimizers.Optimizer":
        """Keras' own; it would round Python numbers to float32 on their way to float64, and so gets tensors there."""
        if self.config.optimizer == "sgd":
            return keras.optimizers.SGD(momentum=MOMENTUM)
        optimizer = keras.optimizers.AdamW(weight_decay=self.config.weight_decay, beta_1=BETAS[0], beta_2=BETAS[1])
        optimizer.exclude_from_weight_decay(var_names=WITHOUT_DECAY)
        if dtype == "float64":
            for name in ("beta_1", "beta_2", "weight_decay"):
                setattr(optimizer, name, _exact(getattr(optimizer, name)))
        return optimizer

    def _training(self, dtype: str) -> TrainStep:
        detector = build_detector(self.config, self.annotations.classes).to(DTYPES[dtype])
        return TrainStep(self.config, detector, len(self.annotations.pictures), Accelerator())

    def _step(self, side: KerasDetectorSide, optimizer: "keras.optimizers.Optimizer", batch: Batch) -> float:
        """A step of the reference; gives its loss."""
        self._set_to_torch(optimizer, int(optimizer.iterations))
        loss, gradients = side.training.gradients(*side.encode(self._padded(batch)), training=True)
        variables, gradients = side.model.trainable_variables, self._clipped(gradients)
        if self.config.optimizer == "sgd":
            gradients = [self._decayed(*pair) for pair in zip(gradients, variables, strict=True)]
        optimizer.apply(gradients, variables)
        return float(loss)

    def _set_to_torch(self, optimizer: "keras.optimizers.Optimizer", step: int) -> None:
        """Give Keras' optimiser the numbers with which a step, counted from 0, is the one that torch's takes."""
        rate, before = self._rate(step), self._rate(max(step - 1, 0))
        optimizer.learning_rate = rate
        if self.config.optimizer == "sgd":
            optimizer.momentum = _exact(MOMENTUM * rate / before)  # Keras' momentum keeps the rate that it had
        else:
            optimizer.epsilon = EPS * float(np.sqrt(1 - BETAS[1] ** (step + 1)))  # added before the correction

    def _rate(self, step: int) -> float:
        config = self.config
        assert config.steps is not None, "the schedule of the run is known"
        return config.rate * rate_share(step, config.steps, schedule=config.schedule, warm_up=config.warm_up)

    def _decayed(self, gradient: Any, variable: "keras.Variable") -> Any:
        """A gradient with the decay of its variable in it, as SGD of torch has it."""
        decays = not any(part in variable.name for part in WITHOUT_DECAY)
        return gradient + self.config.weight_decay * variable if decays else gradient

    def _clipped(self, gradients: Sequence[object]) -> list[object]:
        norm = keras.ops.sqrt(sum(keras.ops.sum(keras.ops.square(gradient)) for gradient in gradients))
        scale = keras.ops.minimum(self.config.clip_norm / (norm + CLIP_EPS), 1.0)
        return [gradient * scale for gradient in gradients]

    def _padded(self, batch: Batch) -> Scene:
        """Pictures from 0 to 255, red first, padded as the conventions say, and their boxes and labels."""
        sizes = [resized_size((image.shape[-2], image.shape[-1]), self.conventions) for image in batch.images]
        height, width = padded_size(sizes, self.conventions)
        images = np.zeros((len(batch.images), height, width, 3), np.float32)
        for padded, image in zip(images, batch.images, strict=True):
            padded[: image.shape[1], : image.shape[2]] = image.permute(1, 2, 0).numpy()
        boxes = [target["boxes"].as_subclass(torch.Tensor).double().numpy() for target in batch.targets]
        return Scene(images, boxes, [target["labels"].numpy() for target in batch.targets])


def _exact(value: float) -> object:
    return keras.ops.convert_to_tensor(np.float64(value))


def _pictures_as(batch: Batch, dtype: str) -> Batch:
    """Pictures of bytes as numbers from 0 to 1 of a type, in which boxes and anchors are then computed too."""
    return batch._replace(images=[image.as_subclass(torch.Tensor).to(DTYPES[dtype]) / 255 for image in batch.images])
