"""Conventions changed at inference on a user's own weights and pictures: what each costs there."""

from pathlib import Path
from typing import Any

import pytest
import torch

from parity_tests import cli
from parity_tests.report import read_json
from parity_tests.tests.support.data_sets import write_pictures
from parity_tests.tests.support.detectors import SMALL, detector
from torch_retinanet import RetinaNetDetector
from torch_retinanet.model import RetinaNet

CONFIG = SMALL.changed(num_classes=1, width=8, min_side=64, max_side=96)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of random weights, and two pictures whose objects are the best that it finds: as it is, none is lost."""
    folder = tmp_path_factory.mktemp("own")
    made = detector(CONFIG).float()
    made.class_names = ("thing",)
    made.save_pretrained(folder / "model.safetensors")
    write_pictures(folder, ("a.png", "b.png"), (96, 64))
    lines = []
    for name in ("a.png", "b.png"):
        found = made.predict(folder / name)[0]["boxes"][:3]
        lines += [f"{name},{','.join(f'{edge:.6f}' for edge in box)},thing" for box in found.tolist()]
    (folder / "objects.csv").write_text("\n".join(lines) + "\n")
    return folder


def ablate(folder: Path, *more: str) -> int:
    given = ["--weights", str(folder / "model.safetensors"), "--data", str(folder / "objects.csv")]
    return cli.main(["ablate", *given, *more])


def test_it_measures_what_conventions_cost_on_pictures_of_ones_own(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    names = ["stem_padding", "box_variance", "clip_detections", "p6_source"]
    assert ablate(folder, "--conventions", *names, "--json", str(tmp_path / "own.json")) == 0
    ablation = read_json(tmp_path / "own.json").ablation
    assert ablation is not None
    rows = {row["convention"]: row for row in ablation["rows"]}
    assert list(rows) == ["box_variance", "clip_detections", "stem_padding"]
    assert ablation["model"]["mAP on 2 pictures"] > 0.3
    assert rows["box_variance"]["detections"] > 0.1
    assert rows["stem_padding"]["map"] < rows["box_variance"]["map"] < 0
    assert rows["clip_detections"]["map"] == pytest.approx(0, abs=1e-6)
    assert ablation["left_out"] == {"p6_source=c5": "the network then has other parameters"}
    shown = capsys.readouterr().out
    assert "detections changed" in shown
    assert "loss after 20 steps" not in shown
    assert "3 conventions changed, one at a time, in 3 overrides, on 2 pictures; " in shown


def test_a_changed_convention_detects_as_a_detector_with_it_does(folder: Path, tmp_path: Path) -> None:
    """The network is remembered from one convention to the next, and none is left out or lent to another picture."""
    runs: list[RetinaNet] = []
    whole = RetinaNet.forward
    with pytest.MonkeyPatch.context() as patch:

        def counted(self: RetinaNet, *given: Any, **more: Any) -> Any:
            runs.append(self)
            return whole(self, *given, **more)

        patch.setattr(RetinaNet, "forward", counted)
        names = ["nms_iou", "score_threshold", "p7_relu"]
        assert ablate(folder, "--conventions", *names, "--json", str(tmp_path / "own.json")) == 0
    ablation = read_json(tmp_path / "own.json").ablation
    assert ablation is not None
    assert len(runs) == 2 * (1 + 2), "once as it is, and with either other value of p7_relu, of each picture"
    changed = RetinaNetDetector.from_pretrained(folder / "model.safetensors", score_threshold=0.5)
    kept = [len(changed.predict(folder / name)[0]["scores"]) for name in ("a.png", "b.png")]
    as_it_is = RetinaNetDetector.from_pretrained(folder / "model.safetensors")
    every = [len(as_it_is.predict(folder / name)[0]["scores"]) for name in ("a.png", "b.png")]
    [row] = [row for row in ablation["rows"] if row["convention"] == "score_threshold"]
    assert row["detections"] == pytest.approx(1 - sum(kept) / sum(every))
    assert torch.tensor(every).min() > 0


def test_a_convention_is_changed_to_the_value_that_is_stated(folder: Path, tmp_path: Path) -> None:
    stated = ["nms_iou=0.45", "pixel_mean=0,0,0"]
    assert ablate(folder, "--conventions", *stated, "--json", str(tmp_path / "own.json")) == 0
    ablation = read_json(tmp_path / "own.json").ablation
    assert ablation is not None
    assert [f"{row['convention']}={row['to']}" for row in ablation["rows"]] == stated


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--weights", "model.safetensors"], "--weights: model.safetensors needs --data"),
        (["--data", "objects.csv"], "--data: objects.csv needs --weights"),
        (
            ["--preset", "monai"],
            "--preset: 'monai' must be one of notebook, keras_io, torchvision, or go with --weights",
        ),
        (["--split", "test"], "--split: does not go with digits; leave it out"),
    ],
)
def test_options_that_do_not_go_together_are_named(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["ablate", *words]) == 2
    assert capsys.readouterr().err == f"retinanet-parity: {sentence}\n"


def test_what_cannot_be_measured_is_one_sentence(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ablate(folder, "--conventions", "match_iou") == 2
    said = "--conventions: 'match_iou' must be one that acts on detections and can be changed"
    assert capsys.readouterr().err == f"retinanet-parity: {said}\n"
    assert ablate(folder, "--conventions", "nms_iou=2") == 2
    assert "nms_iou: 2.0 must be a number from 0 to 1" in capsys.readouterr().err
    assert ablate(folder, "--preset", "monai") == 2
    assert "monai" in capsys.readouterr().err
    assert ablate(folder, "--steps", "3") == 2
    assert "--steps: does not go with --weights" in capsys.readouterr().err
    assert cli.main(["ablate", "--weights", str(folder / "none.safetensors"), "--data", str(folder)]) == 2
    assert "none.safetensors" in capsys.readouterr().err
