"""Backbones that are no ResNet of torchvision: timm's, and those that users register; other levels and channels."""

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from parity_tests.tests.support.detectors import SMALL, noise
from torch_retinanet import (
    InputError,
    RetinaNet,
    RetinaNetConfig,
    RetinaNetDetector,
    cli,
    load_model,
    register_backbone,
)
from torch_retinanet.config import backbones

TARGET = {"boxes": torch.tensor([[8.0, 8.0, 40.0, 40.0]]), "labels": torch.tensor([0])}


class OwnBackbone(nn.Module):
    """Maps at strides 8, 16 and 32, and before them 4 where asked for."""

    def __init__(self, config: RetinaNetConfig) -> None:
        super().__init__()
        self.first = nn.Conv2d(config.in_channels, 8, kernel_size=4, stride=4)
        self.rest = nn.ModuleList(nn.Conv2d(8, 8, kernel_size=2, stride=2) for _ in range(3))
        self.min_level = config.min_level
        self.widths = (8,) * (6 - config.min_level)

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = [self.first(images)]
        for conv in self.rest:
            maps.append(conv(maps[-1]))
        return maps[self.min_level - 2 :]


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(backbones, "_REGISTERED", {})
    register_backbone("own", OwnBackbone)
    return "own"


def small(**changes: Any) -> RetinaNetConfig:
    return SMALL.changed(width=8, head_depth=1, min_side=64, max_side=96, **changes)


@pytest.mark.parametrize("backbone", ["own", "timm/resnet18", "timm/mobilenetv3_small_050", "timm/mambaout_femto"])
@pytest.mark.parametrize("min_level", [2, 3])
def test_a_detector_trains_detects_is_saved_and_loaded(backbone: str, min_level: int, own: str, tmp_path: Path) -> None:
    detector = RetinaNetDetector(small(backbone=backbone, min_level=min_level))
    sum(detector([noise(3, 64, 96)], [TARGET]).values()).backward()
    assert all(parameter.grad is not None for parameter in detector.model.fpn.parameters())
    detector.save_pretrained(tmp_path / "folder")
    again = RetinaNetDetector.from_pretrained(tmp_path / "folder", score_threshold=0.0)
    assert (again.config.backbone, again.config.min_level) == (backbone, min_level)
    detector.config = detector.config.changed(score_threshold=0.0)
    found, expected = again.predict(noise(3, 64, 96)), detector.predict(noise(3, 64, 96))
    assert len(found[0]["boxes"]) > 0
    torch.testing.assert_close(found, expected)


def test_maps_of_any_module_are_taken_as_a_backbone(own: str) -> None:
    taps: dict[str, Tensor] = {}
    model = RetinaNet(small(), backbone=OwnBackbone(small()))
    model(noise(1, 3, 64, 96), taps)
    assert [taps[name].shape[1:] for name in ("c3", "c4", "c5")] == [(8, 8, 12), (8, 4, 6), (8, 2, 3)]
    with pytest.raises(InputError, match=r"backbone: its widths \(8, 8, 8\) must be the channels of C2 to C5, as min_"):
        RetinaNet(small(min_level=2), backbone=OwnBackbone(small()))


class Cut(OwnBackbone):
    """Maps that lack a row."""

    def forward(self, images: Tensor) -> list[Tensor]:
        return [values[..., 1:, :] for values in super().forward(images)]


def test_maps_of_other_sides_are_refused() -> None:
    model = RetinaNet(small(), backbone=Cut(small()))
    with pytest.raises(
        InputError, match=r"its C3 has sides \(7, 12\), and of images of \(64, 96\) must have \(8, 12\)"
    ):
        model(noise(1, 3, 64, 96))


def test_a_file_with_a_backbone_that_nobody_registered_says_so(
    own: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    RetinaNetDetector(small(backbone=own)).save_pretrained(tmp_path / "own.safetensors")
    monkeypatch.setattr(backbones, "_REGISTERED", {})
    with pytest.raises(InputError, match=r"backbone: 'own' must be one of .*, or what register_backbone made known"):
        load_model(tmp_path / "own.safetensors")
    entry = EntryPoint("own", f"{OwnBackbone.__module__}:OwnBackbone", backbones.ENTRY_POINTS)
    monkeypatch.setattr(backbones, "entry_points", lambda group, name: [entry] if name == "own" else [])
    assert cli.main(["convert", str(tmp_path / "own.safetensors")]) == 0
    assert "backbone='own'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("backbone", "sentence"),
    [
        ("timm/no_such_net", "backbone: timm has no network 'no_such_net'"),
        ("timm/vit_tiny_patch16_224", "backbone: .*vit_tiny_patch16_224"),
        ("timm/swin_tiny_patch4_window7_224", r"backbone: .* of timm takes pictures of \(224, 224\) alone"),
        ("timm/", "backbone: 'timm/' must be one of 'resnet18', "),
        ("timm/hf-hub:owner/net", "backbone: 'timm/hf-hub:owner/net' must be one of "),
        ("timm/local-dir:/folder", "backbone: 'timm/local-dir:/folder' must be one of "),
        ("resnext50", r"; did you mean resnext50_32x4d\?"),
        ("ResNet50", r"; did you mean resnet50\?"),
        ("vgg16", "backbone: 'vgg16' must be one of 'resnet18', "),
    ],
)
def test_what_is_no_backbone_is_named(backbone: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        RetinaNetDetector(small(backbone=backbone))


def test_names_of_torchvision_and_timm_are_taken() -> None:
    for name in ("resnet50", "timm/mine"):
        with pytest.raises(InputError, match=f"name: '{name}' is taken by a network of "):
            register_backbone(name, OwnBackbone)


def test_stages_of_another_backbone_cannot_be_frozen_and_its_norm_can(own: str) -> None:
    detector = RetinaNetDetector(small(backbone="timm/resnet18"))
    with pytest.raises(InputError, match="frozen_stages: 2 must be from 0 to 0 of TimmBackbone, which has no stages"):
        detector.freeze(stages=2)
    detector.freeze(norm=True)
    norms = [module for module in detector.model.fpn.backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert not any(norm.training or norm.weight.requires_grad for norm in norms)


@pytest.mark.parametrize("channels", [1, 4])
def test_pictures_have_the_channels_of_the_config(channels: int, tmp_path: Path) -> None:
    scale: dict[str, Any] = {"pixel_mean": (100.0,) * channels, "pixel_std": (50.0,) * channels}
    detector = RetinaNetDetector(small(in_channels=channels, score_threshold=0.0, **scale)).eval()
    picture = noise(channels, 64, 80)
    expected = detector([picture.mul(255).round() / 255])
    torch.testing.assert_close(detector.predict(picture), expected)
    torch.testing.assert_close(detector.predict(picture.permute(1, 2, 0).numpy()), expected)
    with pytest.raises(InputError, match=rf"images\[0\]: shape \(3, 64, 80\) must be \({channels},H,W\)"):
        detector([noise(3, 64, 80)])
    colours = (noise(3, 64, 80).permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    if channels == 1:
        assert len(detector.predict(colours)) == 1
    else:
        with pytest.raises(InputError, match=r"pictures\[0\]: source: of shape \(64, 80, 3\) must be an array"):
            detector.predict(colours)


def test_a_level_has_the_size_of_its_anchors_in_pixels() -> None:
    config = small(anchor_sizes=(10, 20, 40, 80), min_level=2, max_level=5, anchor_rounding="none")
    detector = RetinaNetDetector(config)
    anchors = detector.anchors.get_anchors(32, 32)
    counts = detector.anchors.anchors_per_level(32, 32)
    assert counts == [9 * cells for cells in (64, 16, 4, 1)]
    areas = [(level[:, 2:] - level[:, :2]).prod(dim=1).min().sqrt().item() for level in torch.split(anchors, counts)]
    assert areas == pytest.approx([10, 20, 40, 80])
