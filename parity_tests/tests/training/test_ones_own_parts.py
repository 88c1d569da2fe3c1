"""A loss, transforms and a detector of one's own, in a run of the trainer."""

import multiprocessing
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from parity_tests.tests.support.data_sets import write_digits
from torch_retinanet import InputError, RetinaNetConfig, RetinaNetDetector, RetinaNetLoss
from torch_retinanet.data.dataset import collate
from torch_retinanet.data.digits import Digits
from torch_retinanet.preprocess import prepare
from torch_retinanet.targets import Targets
from torch_retinanet.train import TrainConfig, Trainer
from torch_retinanet.train.data import build_dataset
from torch_retinanet.train.train_step import TrainStep


class Halved(nn.Module):
    """A loss of one's own."""

    def __init__(self, config: RetinaNetConfig) -> None:
        super().__init__()
        self.whole = RetinaNetLoss(config)

    def forward(self, logits: Tensor, deltas: Tensor, targets: Targets, anchors_xyxy: Tensor) -> dict[str, Tensor]:
        return {name: loss / 2 for name, loss in self.whole(logits, deltas, targets, anchors_xyxy).items()}


class Counted(nn.Module):
    """Transforms of one's own."""

    def __init__(self) -> None:
        super().__init__()
        self.calls, self.resize = 0, v2.Resize(64)

    def forward(self, *sample: Any) -> Any:
        self.calls += 1
        return self.resize(*sample)


class Filled(nn.Module):
    """Transforms that fill the boxes, the labels or the picture with a value."""

    def __init__(self, name: str, value: float) -> None:
        super().__init__()
        self.name, self.value, self.resize = name, value, v2.Resize(64)

    def forward(self, *sample: Any) -> Any:
        image, target = self.resize(*sample)
        image = torch.full_like(image, self.value, dtype=torch.float32) if self.name == "image" else image
        return image, {n: torch.full_like(v, self.value) if n == self.name else v for n, v in target.items()}


class Centred(nn.Module):
    """Transforms that give boxes by their centres."""

    def forward(self, image: Any, target: dict[str, Any]) -> Any:
        return image, target | {"boxes": v2.ConvertBoundingBoxFormat("CXCYWH")(target["boxes"])}


class TestWhatIsOnesOwn:
    """`Trainer` takes paths as text, a detector, a loss and transforms of one's own."""

    @pytest.fixture
    def settings(self, tmp_path: Path) -> TrainConfig:
        data = write_digits(tmp_path, Digits("train", length=4, size=(64, 64)))
        sizes: dict[str, Any] = {"backbone": "resnet18", "width": 16, "head_depth": 1, "min_side": 64, "max_side": 64}
        return TrainConfig(data=str(data), out=str(tmp_path / "run"), steps=1, batch=2, workers=0, **sizes)

    def losses(self, settings: TrainConfig, **own: Any) -> list[float]:
        Trainer(settings, **own).fit()
        rows = (Path(settings.out) / "metrics.csv").read_text().splitlines()
        place = rows[0].split(",").index("loss")
        return [float(row.split(",")[place]) for row in rows[1:]]

    def test_it_says_how_far_it_is_as_the_command_does(
        self, settings: TrainConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        clock = iter(range(0, 1000, 25))
        monkeypatch.setattr("torch_retinanet.data.progress.time", SimpleNamespace(monotonic=lambda: next(clock)))
        Trainer(replace(settings, steps=6, save_every=3)).fit()
        shown = re.findall(r"training: step (\d) of 6, loss [\d.]+, [\d.]+ pictures/s", capsys.readouterr().err)
        assert shown == ["1", "3", "6"], "the first, one after a minute, and the last"

    def test_a_loss(self, settings: TrainConfig, tmp_path: Path) -> None:
        whole = self.losses(settings)
        config = settings.model_config(10)
        halved = Halved(config)
        for i, own in enumerate((halved, lambda *given: halved(*given))):
            found = self.losses(replace(settings, out=tmp_path / f"own{i}"), loss=own)
            assert found == pytest.approx([loss / 2 for loss in whole], rel=1e-4)

    def test_transforms(self, settings: TrainConfig) -> None:
        counted = Counted()
        self.losses(settings, transform=counted)
        assert counted.calls == 2

    @pytest.mark.parametrize(
        ("name", "value", "sentence"),
        [
            ("boxes", float("nan"), r"targets\[0\]: box 0 is \[nan, .*\], and all numbers must be finite"),
            ("boxes", 0.0, r"targets\[0\]: box 0 is \[0.0, 0.0, 0.0, 0.0\], and x1 < x2 and y1 < y2 must hold"),
            ("labels", 10, r"targets\[0\]: label 0 is 10 and must be from 0 to 9"),
            ("image", 2.0, r"images\[0\]: floating values from 2 to 2 must be from 0 to 1"),
        ],
    )
    @pytest.mark.parametrize("workers", [0, 1])
    def test_what_transforms_must_not_leave(
        self,
        workers: int,
        name: str,
        value: float,
        sentence: str,
        settings: TrainConfig,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Found where a batch is put together: once it is on a device, a look at it would wait for that."""
        monkeypatch.setattr(TrainStep, "step", lambda *_: pytest.fail("the batch has reached the step"))
        with pytest.raises(InputError, match=f"^{sentence}$") as refused:
            Trainer(replace(settings, workers=workers), transform=Filled(name, value)).fit()
        assert multiprocessing.active_children() == [], f"though {refused} is still held"

    def test_boxes_may_be_left_in_another_format(self, settings: TrainConfig) -> None:
        trainer = Trainer(settings)
        centred = build_dataset(trainer.annotations, settings, trainer.training.detector.config, transform=Centred())
        [expected] = [torch.from_numpy(trainer.annotations.objects(0).boxes).float()]
        torch.testing.assert_close(collate([centred[0]]).targets[0]["boxes"], expected)

    def test_a_detector(self, settings: TrainConfig) -> None:
        own = RetinaNetDetector(settings.model_config(10))
        trainer = Trainer(settings, detector=own)
        assert trainer.training.detector is own
        assert own.class_names == tuple(trainer.annotations.classes)

    def test_a_detector_of_other_classes_is_refused(self, settings: TrainConfig) -> None:
        with pytest.raises(InputError, match=r"detector: it has 3 classes, and .* has 10"):
            Trainer(settings, detector=RetinaNetDetector(settings.model_config(3)))

    def test_a_file_of_a_backbone_that_is_not_there_is_refused_with_what_may_be_given(
        self, settings: TrainConfig, tmp_path: Path
    ) -> None:
        sentence = (
            r"^backbone_weights: 'none' must be 'imagenet', or a file that is there; leave it out for random values"
        )
        with pytest.raises(InputError, match=sentence):
            Trainer(replace(settings, backbone_weights="none", out=tmp_path / "run"))
        assert not (tmp_path / "run").exists()

    def test_each_step_draws_its_picture_size_from_the_seed(
        self, settings: TrainConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        seen: list[int] = []
        monkeypatch.setattr("torch_retinanet.detector.prepare", lambda images, config: noted(images, config))

        def noted(images: Any, config: RetinaNetConfig) -> Any:
            seen.append(config.min_side)
            return prepare(images, config)

        for number in (1, 2):
            run = replace(settings, steps=6, min_sides=(32, 64, 96), out=tmp_path / f"run{number}")
            trainer = Trainer(run)
            trainer.fit()
            assert trainer.training.detector.config.min_side == 64
        assert seen[:6] == seen[6:]
        assert len({*seen}) > 1
        assert {*seen} <= {32, 64, 96}
