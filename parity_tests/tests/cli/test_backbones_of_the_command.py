"""A run with another backbone is used by every command as any run is."""

import json
import sys
from pathlib import Path

import pytest

from parity_tests.tests.support.data_sets import write_digits
from torch_retinanet import RetinaNetConfig, RetinaNetDetector
from torch_retinanet.cli import main
from torch_retinanet.data.digits import Digits

SMALL = ["--width", "8", "--head-depth", "1", "--min-side", "64", "--max-side", "64", "--batch", "2", "--workers", "0"]


@pytest.mark.parametrize(
    "backbone", [pytest.param("resnext50_32x4d", marks=pytest.mark.slow), "timm/mobilenetv3_small_050"]
)
def test_a_run_has_its_backbone_by_name(backbone: str, tmp_path: Path) -> None:
    data, run = write_digits(tmp_path, Digits("train", length=2, size=(64, 64))), tmp_path / "run"
    assert main(["train", str(data), "--backbone", backbone, *SMALL, "--steps", "1", "--out", str(run)]) == 0
    assert main(["train", "--resume", str(run), "--steps", "2"]) == 0
    assert RetinaNetDetector.from_pretrained(run).config.backbone == backbone
    numbers = tmp_path / "numbers.json"
    assert main(["evaluate", str(run), str(data), "--json", str(numbers)]) == 0
    assert json.loads(numbers.read_text())
    assert (
        main(["detect", str(run), str(tmp_path / "0.png"), "--threshold", "0", "--out", str(tmp_path / "found")]) == 0
    )
    assert any((tmp_path / "found").iterdir())


def export_of(backbone: str, folder: Path) -> list[str]:
    config = RetinaNetConfig.torchvision(2, backbone=backbone, width=8, head_depth=1, min_side=64, max_side=64)
    RetinaNetDetector(config).save_pretrained(folder / "run")
    return ["export", str(folder / "run"), "--to", "torch-export", "--raw", "--out", str(folder / "model.pt2")]


@pytest.mark.slow
def test_it_is_exported(tmp_path: Path) -> None:
    assert main(export_of("timm/mobilenetv3_small_050", tmp_path)) == 0
    assert main(["verify", str(tmp_path / "model.pt2")]) == 0


def test_one_that_torch_cannot_trace_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(export_of("timm/resnet10t", tmp_path)) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(
        "retinanet: backbone: torch cannot trace the network for pictures of any size (Could not guard"
    )
    assert not [*tmp_path.glob("model*")]


def test_without_timm_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    data = write_digits(tmp_path, Digits("train", length=2, size=(64, 64)))
    assert main(["train", str(data), "--backbone", "timm/resnet18", *SMALL, "--out", str(tmp_path / "run")]) == 2
    assert "[timm]' brings it" in capsys.readouterr().err
