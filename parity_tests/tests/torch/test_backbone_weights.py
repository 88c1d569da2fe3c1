"""Trained backbones: the ImageNet file of `keras.applications`, torchvision's weights, and the conventions of both."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import keras
import numpy as np
import pytest
import torch
from torchvision.models import ResNet50_Weights, resnet50

from parity_tests.retinanet.keras_side import KerasDetectorSide
from parity_tests.rule.budgets import CASCADED, rounding_budget
from parity_tests.tests.support.keras_values import CLASSES
from parity_tests.tests.support.planted import taps_made_by
from torch_retinanet import (
    InputError,
    RetinaNet,
    RetinaNetConfig,
    cli,
    load_model,
    read_backbone,
    save_weights,
)
from torch_retinanet.weights.keras_names import keras_variables

IMAGES = np.random.default_rng(0).uniform(-1, 1, (2, 64, 96, 3)).astype("float32")


@pytest.mark.ci
def test_keras_reads_the_file_of_imagenet_weights_as_its_own_and_so_does_torch(imagenet_file: Path) -> None:
    reference = KerasDetectorSide("notebook", CLASSES, "float32")
    keras.applications.ResNet50(include_top=False, weights=str(imagenet_file), input_shape=(None, None, 3))
    reference.model.fpn.backbone.load_weights(imagenet_file)
    model = RetinaNet(RetinaNetConfig.notebook(CLASSES), backbone_weights=read_backbone(imagenet_file)).eval()
    read, written = keras_variables(model.state_dict()), reference.parameters()
    for name, values in written.items():
        assert not name.startswith("fpn/backbone/") or read[name].numpy().tobytes() == values.tobytes(), name
    taps = taps_made_by(reference, IMAGES)
    with torch.no_grad():
        levels = model.fpn.backbone(torch.from_numpy(IMAGES).permute(0, 3, 1, 2))
    for expected, level in zip((taps["c3"], taps["c4"], taps["c5"]), levels, strict=True):
        assert np.isfinite(expected).all()
        assert np.abs(level.permute(0, 2, 3, 1).numpy() - expected).max() <= rounding_budget(expected, CASCADED)


def test_converted_imagenet_weights_are_the_same(imagenet_file: Path, tmp_path: Path) -> None:
    assert cli.main(["convert", str(imagenet_file), str(tmp_path / "backbone.safetensors")]) == 0
    converted, original = read_backbone(tmp_path / "backbone.safetensors"), read_backbone(imagenet_file)
    assert converted.tensors.keys() == original.tensors.keys()
    assert all(torch.equal(value, converted.tensors[name]) for name, value in original.tensors.items())


def test_imagenet_weights_of_keras_are_refused_by_other_conventions(imagenet_file: Path) -> None:
    with pytest.raises(InputError, match=r"notop\.h5 needs stride_in='1x1', conv_bias=True, bn_eps=.*torchvision"):
        RetinaNet(RetinaNetConfig.torchvision(), backbone_weights=read_backbone(imagenet_file))


def test_parts_are_not_taken_for_one_another(imagenet_file: Path, tmp_path: Path) -> None:
    save_weights(RetinaNet(RetinaNetConfig.notebook(CLASSES)), tmp_path / "model.keras")
    with pytest.raises(InputError, match="holds a backbone alone"):
        load_model(imagenet_file)
    with pytest.raises(InputError, match="holds a whole model"):
        read_backbone(tmp_path / "model.keras")


@pytest.fixture
def torchvision_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torchvision's download folder, empty, on a machine without a network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def no_network(*arguments: object, **options: object) -> None:
        raise URLError("there is no network")

    monkeypatch.setattr("torch.hub.urlopen", no_network)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_torchvision_weights_fill_a_backbone_of_its_conventions(torchvision_cache: Path) -> None:
    trained = resnet50()
    torch.save(trained.state_dict(), torchvision_cache / ResNet50_Weights.IMAGENET1K_V2.url.rpartition("/")[2])
    model = RetinaNet(RetinaNetConfig.torchvision(), backbone_weights=ResNet50_Weights.IMAGENET1K_V2)
    block: Any = model.fpn.backbone.layer4[2]
    assert torch.equal(block.conv3.weight, trained.layer4[2].conv3.weight)


def test_a_pickle_in_the_place_of_torchvision_weights_is_not_opened(torchvision_cache: Path, tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
            return Path.touch, (tmp_path / "harmed",)

    torch.save({"conv1.weight": Harmful()}, torchvision_cache / ResNet50_Weights.IMAGENET1K_V2.url.rpartition("/")[2])
    with pytest.raises(InputError, match=r"the file of ResNet50_Weights\.IMAGENET1K_V2 is damaged"):
        RetinaNet(RetinaNetConfig.torchvision(), backbone_weights=ResNet50_Weights.IMAGENET1K_V2)
    assert not (tmp_path / "harmed").exists()


def test_half_a_download_is_named(torchvision_cache: Path) -> None:
    path = torchvision_cache / ResNet50_Weights.IMAGENET1K_V2.url.rpartition("/")[2]
    torch.save({"conv1.weight": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"the file of ResNet50_Weights\.IMAGENET1K_V2 is damaged"):
        RetinaNet(RetinaNetConfig.torchvision(), backbone_weights=ResNet50_Weights.IMAGENET1K_V2)


def test_torchvision_weights_without_a_network_end_in_a_sentence(torchvision_cache: Path) -> None:
    with pytest.raises(ConnectionError, match=r"IMAGENET1K_V1 cannot be downloaded: there is no network"):
        RetinaNet(RetinaNetConfig.torchvision(), backbone_weights=ResNet50_Weights.IMAGENET1K_V1)


def test_torchvision_weights_are_refused_by_other_conventions() -> None:
    with pytest.raises(InputError, match="IMAGENET1K_V1 needs stride_in='3x3', conv_bias=False, bn_eps=1e-05"):
        RetinaNet(RetinaNetConfig.notebook(), backbone_weights=ResNet50_Weights.IMAGENET1K_V1)


def test_weights_of_no_known_kind_are_refused() -> None:
    anything: Any = "imagenet"
    with pytest.raises(InputError, match="backbone_weights: 'imagenet' must be a ResNet50_Weights"):
        RetinaNet(RetinaNetConfig.notebook(), backbone_weights=anything)
