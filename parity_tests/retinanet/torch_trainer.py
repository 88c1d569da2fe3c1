"""The steps of `retinanet train` on the network of a side: the trainer itself, checkpoints and resuming included."""

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torchvision.transforms import v2

from parity_tests.retinanet.inputs import Batches, Scene
from parity_tests.retinanet.preparation import TRAINED_STRIDE, PictureSides
from parity_tests.retinanet.torch_surroundings import by_keras_name
from parity_tests.retinanet.trainer import BATCH, DRAWN_SEED, DRAWN_STEPS, DRAWS, EPOCHS, PICTURES, SHORT_SIDES, Plan
from parity_tests.rule.record import Array
from torch_retinanet import RetinaNet, RetinaNetConfig, RetinaNetDetector
from torch_retinanet.data.dataset import Batch, PictureDataset, SampleKey, Unreadable
from torch_retinanet.data.mixing import NO_MIXING, Labelled
from torch_retinanet.train import TrainConfig
from torch_retinanet.train.checkpoint import read_checkpoint, write_checkpoint
from torch_retinanet.train.sampler import EpochSampler
from torch_retinanet.train.train_step import TrainStep
from torch_retinanet.weights.keras_names import keras_name

Gradients = Callable[[int, int], Mapping[str, Tensor]]
"""By parameter, for the number of a step and of a batch within it."""


OF_TESTS = ("resumed_after", "short_step")
"""What of a plan is no setting of a run."""


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
        settings = {name: value for name, value in plan._asdict().items() if name not in OF_TESTS}
        self.plan, self.network = plan, network
        self.settings = TrainConfig(data=Path(), **settings)
        self.config, self.clipped = config, list[float]()

    def given(self, gradients: Gradients) -> dict[str, Array]:
        """Weights, averages, and what was told of each step, with these gradients."""
        with torch.device("meta"):  # its own network is not the one that is trained
            detector = GivenLosses(self.config)
        detector.gradients = gradients
        nothing = [torch.zeros(3, 1, 1)]
        batches = [
            [Batch(nothing, [{"numbers": (step, batch)}], []) for batch in range(self.plan.batches(step))]
            + [Batch([], [], []) for _ in range(self.plan.accumulate - self.plan.batches(step))]
            for step in range(self.plan.steps)
        ]
        return self._trained(detector, batches, ("rate", "gradient_norm")) | self._around(detector)

    def _around(self, detector: RetinaNetDetector) -> dict[str, Array]:
        """What else a run has (`around_steps`)."""
        settings = replace(self.settings, steps=None, epochs=EPOCHS, batch=BATCH, ema=None, workers=0)
        training, again, other = (
            TrainStep(replace(settings, seed=seed), detector, PICTURES, Accelerator(cpu=True)) for seed in (0, 0, 1)
        )
        drawn = _order(training, 0)
        epochs = np.array(drawn[: PICTURES * EPOCHS], np.float64).reshape(EPOCHS, -1)
        told = (
            drawn[BATCH * self.plan.accumulate :] == _order(training, 1),
            list(epochs[0]) != list(epochs[1]),
            drawn != _order(other, 0),
            drawn == _order(again, 0),
        )
        return {
            "norm_follows": np.array([float(follows) for _, follows in sorted(_norms(detector))]),
            "steps": np.array([float(training.steps)]),
            "drawn": np.sort(epochs, axis=1).ravel(),
            "shared_out": np.sort([*_of_process(0), *_of_process(1)]),
            "draws": np.array(told, np.float64),
            "changes": np.array(_changes(), np.float64),
            "short_sides": self._short_sides(detector),
        }

    def _short_sides(self, detector: RetinaNetDetector) -> Array:
        """Those that steps draw, and how far that of the detector has moved."""
        settings = replace(self.settings, min_sides=SHORT_SIDES, seed=DRAWN_SEED, ema=None)
        training = TrainStep(settings, detector, PICTURES, Accelerator(cpu=True))
        before, sides = detector.config.min_side, []
        for training.progress.step in range(DRAWN_STEPS):
            with training._drawn_side():
                sides.append(float(detector.config.min_side))
        return np.array([*sides, detector.config.min_side - before])

    def on(self, scenes: Batches, sides: PictureSides) -> dict[str, Array]:
        """The same on pictures (1,H,W,3) from 0 to 255, by step, batch and picture, that are resized to `sides`."""
        small = replace(self.config, min_side=sides.least, max_side=sides.most, pad_multiple=TRAINED_STRIDE)
        with torch.device("meta"):
            detector = RetinaNetDetector(small)
        batches = [[_batch(pictures) for pictures in step] for step in scenes]
        return self._trained(detector, batches, ("rate", "gradient_norm", "loss"))

    def _trained(
        self, detector: RetinaNetDetector, batches: Sequence[Sequence[Batch]], told: Sequence[str]
    ) -> dict[str, Array]:
        detector.model = self.network
        try:
            detector.freeze(stages=self.settings.frozen_stages, norm=self.settings.frozen_norm)
            detector.eval()  # as an evaluation leaves it
            trained = _that_train(detector)
            training, steps = self._begun(detector), []
            for number, of_step in enumerate(batches):
                if number and number == self.plan.resumed_after:
                    training = self._resumed(training, detector)
                steps.append(training.step(of_step))
            weights = by_keras_name(detector.model.state_dict())
            average = {} if training.average is None else by_keras_name(training.weights())
        finally:
            detector.requires_grad_(True)
        lines = {name: np.array([step[name] for step in steps]) for name in told}
        lines |= {"trained": trained, "clipped_norm": np.array(self.clipped)}
        return lines | weights | {f"{name}@average": value for name, value in average.items()}

    def _begun(self, detector: RetinaNetDetector) -> TrainStep:
        training = TrainStep(self.settings, detector, self.plan.steps, Accelerator(cpu=True))
        training.optimizer.register_step_pre_hook(lambda optimizer, *_: self.clipped.append(_norm(optimizer)))
        return training

    def _resumed(self, training: TrainStep, detector: RetinaNetDetector) -> TrainStep:
        """The run as it goes on from a checkpoint, in a network that has forgotten everything."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "checkpoint.safetensors"
            write_checkpoint(path, training.progress, training.tensors())
            progress, tensors, _ = read_checkpoint(path)
        with torch.no_grad():
            for tensor in detector.model.state_dict().values():
                tensor.zero_()
        resumed = self._begun(detector)
        resumed.restore(progress, tensors)
        return resumed


class NumberedPictures(PictureDataset):
    """Pictures of which none can be read; each is called by its number."""

    def __init__(self) -> None:
        pass

    def __getitem__(self, draw: Any) -> Unreadable:
        return Unreadable(Path(str(draw.picture)), "")


def _order(training: TrainStep, first: int) -> list[int]:
    """The pictures of all batches that a run reads which has come to a step."""
    training.progress.step = first
    return [int(one.path.name) for batch in training.batches(NumberedPictures()) for one in batch.unreadable]


def _of_process(process: int) -> list[float]:
    """The pictures that one of two processes draws, of one in a batch, in as many steps as there are pictures."""
    sampler = EpochSampler(pictures=PICTURES, batch=1, process=process, processes=2)
    return [float(draw.picture) for batch in sampler.batches(0, PICTURES) for draw in batch]


class MirroredPictures(PictureDataset):
    """A picture whose left half is white, mirrored in one of two draws."""

    def __init__(self, seed: int) -> None:
        self.seed, self.transform, self.mixing = seed, v2.RandomHorizontalFlip(0.5), NO_MIXING

    def _read(self, index: int) -> Labelled:
        picture = torch.tensor([255, 0], dtype=torch.uint8).expand(3, 1, 2).clone()
        return Labelled(picture, torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))


def _changes() -> tuple[bool, bool, bool]:
    """What is told of changes (`around_steps`)."""
    drawn = _mirrored(MirroredPictures(0), range(DRAWS))
    again = _mirrored(MirroredPictures(0), reversed(range(DRAWS)))
    return len(set(drawn)) > 1, drawn != _mirrored(MirroredPictures(1), range(DRAWS)), drawn == again[::-1]


def _mirrored(pictures: PictureDataset, draws: Iterable[int]) -> list[bool]:
    """Whether the first picture is mirrored, at each draw."""
    images = [pictures[SampleKey(draw, 0)][0] for draw in draws]
    return [isinstance(image, Tensor) and not image[0, 0, 0] for image in images]


def _norm(optimizer: torch.optim.Optimizer) -> float:
    """The norm of the gradients that an optimiser is about to follow."""
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    return float(nn.utils.get_total_norm(gradients))


def _that_train(detector: RetinaNetDetector) -> Array:
    """For each weight by Keras name whether it has gradients (`closed_form`)."""
    named = ((str(keras_name(name)), p.requires_grad) for name, p in detector.model.named_parameters())
    return np.array([float(trains) for _, trains in sorted(named)])


def _norms(detector: RetinaNetDetector) -> list[tuple[str, bool]]:
    """The BatchNorm layers of the backbone by Keras name, and whether each follows the batches."""
    norms = ((name, m) for name, m in detector.model.named_modules() if isinstance(m, nn.BatchNorm2d))
    return [(str(keras_name(f"{name}.weight")).rpartition("/")[0], module.training) for name, module in norms]


def _batch(pictures: Sequence[Scene]) -> Batch:
    images = [torch.from_numpy(picture.images[0]).permute(2, 0, 1) / 255 for picture in pictures]
    targets = [
        {
            "boxes": torch.from_numpy(picture.boxes[0]),
            "labels": torch.from_numpy(np.asarray(picture.labels[0], np.int64)),
        }
        for picture in pictures
    ]
    return Batch(images, targets, [])
