"""`retinanet-parity --weights FILE --data DATA`: what given weights find in annotated pictures, on both sides."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from parity_tests.cli import main
from parity_tests.retinanet import setup
from parity_tests.retinanet.inputs import random_variables
from parity_tests.retinanet.setup import start_run
from parity_tests.retinanet.torch_side import TorchDetectorSide
from parity_tests.retinanet.torch_surroundings import Config
from parity_tests.tests.support.data_sets import CLASSES, coco, write_coco
from parity_tests.tests.support.planted import narrowed
from torch_retinanet import RetinaNetDetector

BYTES = 128
"""How much larger pictures are in this preset than those that random weights are made for."""

RUNGS = ["--rungs", "detections", "metric", "--sizes", "64x64"]


@pytest.fixture
def of_narrow_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command compares has a sixteenth of the channels."""
    monkeypatch.setattr(setup, "start_run", lambda *given, **settings: narrowed(start_run(*given, **settings)))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector that finds something everywhere."""
    config = replace(Config.keras_io(num_classes=2), min_side=64, max_side=96, pad_multiple=32, anchor_scale=2.0)
    side = TorchDetectorSide(config, "float32")
    side.assign(random_variables({name: values.shape for name, values in side.parameters().items()}))
    detector = RetinaNetDetector(config, class_names=sorted(CLASSES))
    detector.model.load_state_dict(side.model.state_dict())
    with torch.no_grad():
        for parameter in detector.model.fpn.backbone.conv1.parameters():
            parameter /= BYTES
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    detector.save(path)
    return path


def run(weights: Path, data: Path, *more: str) -> int:
    return main(["--weights", str(weights), "--data", str(data), *RUNGS, *more])


def records(path: Path) -> dict[str, dict[str, Any]]:
    found = json.loads(path.read_text())["records"]
    return {f"{record['rung']} {record['name']}": record for record in found if record["case"].startswith("pictures")}


@pytest.mark.usefixtures("of_narrow_networks")
def test_both_sides_find_the_same_in_the_pictures(weights: Path, tmp_path: Path) -> None:
    assert run(weights, write_coco(tmp_path), "--json", str(tmp_path / "report.json")) == 0
    found = records(tmp_path / "report.json")
    assert {"detections det.set", "detections det.boxes", "detections det.scores", "metric map"} <= found.keys()
    assert {record["verdict"] for record in found.values()} == {"equal"}


@pytest.mark.usefixtures("of_narrow_networks")
def test_boxes_decoded_otherwise_are_seen(weights: Path, tmp_path: Path) -> None:
    override = ["--override", "anchor_scale=4"]
    assert run(weights, write_coco(tmp_path), *override, "--json", str(tmp_path / "report.json")) == 1
    assert records(tmp_path / "report.json")["detections det.set"]["verdict"] == "different"


def test_pictures_without_weights_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(write_coco(tmp_path))]) == 2
    assert "objects.json needs --weights, since random ones find nothing" in capsys.readouterr().err


def test_pictures_of_other_classes_are_refused(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = coco()
    for category in content["categories"]:
        category["name"] = f"another {category['name']}"
    assert run(weights, write_coco(tmp_path, content)) == 2
    assert "objects.json has no object of the classes of" in capsys.readouterr().err
