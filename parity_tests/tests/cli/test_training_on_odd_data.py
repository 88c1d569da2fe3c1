"""`retinanet train` on data without anything to learn, or with what is taken for granted; and runs made longer."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from parity_tests.tests.support.data_sets import (
    SIZE,
    voc_object,
    voc_xml,
    write_coco,
    write_kitti,
    write_voc,
    write_yolo,
)
from torch_retinanet.cli import main
from torch_retinanet.errors import InputError
from torch_retinanet.files import only_writer
from torch_retinanet.train import Trainer, settings_of

MODEL = ["--backbone", "resnet18", "--width", "16", "--head-depth", "1", "--min-side", "64", "--max-side", "64"]
SHORT = ["--steps", "1", "--batch", "1", "--workers", "0"]


def train(data: Path, out: Path, *flags: str) -> int:
    return main(["train", str(data), "--out", str(out), *MODEL, *SHORT, *flags])


def all_crowds(folder: Path) -> Path:
    path = write_coco(folder)
    path.write_text(path.read_text().replace('"iscrowd": 0', '"iscrowd": 1'))
    return path


def all_difficult(folder: Path) -> Path:
    path = write_voc(folder)
    (path / "ImageSets" / "Main" / "val.txt").unlink()
    for name in "abc":
        xml = voc_xml(f"{name}.png", voc_object("cat", (2, 3, 30, 33), difficult=1))
        (path / "Annotations" / f"{name}.xml").write_text(xml)
    return path


def all_dont_care(folder: Path) -> Path:
    path = write_kitti(folder)
    for file in (path / "label_2").iterdir():
        file.write_text(file.read_text().replace("cat", "DontCare").replace("dog", "DontCare"))
    return path


@pytest.mark.parametrize("writer", [all_crowds, all_difficult, all_dont_care], ids=lambda writer: writer.__name__)
def test_data_whose_objects_are_all_ignored_is_refused(
    writer: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(writer)
    data = writer(tmp_path / "data")
    assert main(["inspect", str(data)]) == 1
    assert train(data, tmp_path / "run") == 2
    assert f"data: {data} has no object to train on: all " in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_data_without_a_picture_is_refused_with_the_most_frequent_reasons(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_coco(tmp_path)
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").unlink()
    (tmp_path / "c.png").write_bytes(b"no picture")
    assert train(data, tmp_path / "run") == 2
    reasons = "most frequent: missing picture (2), unreadable picture (1); `retinanet inspect` lists them"
    assert capsys.readouterr().err == f"retinanet: data: {data} has no picture to train on; {reasons}\n"


def test_pictures_without_a_label_file_are_said_and_refused_by_strict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_yolo(tmp_path / "data")
    (data / "labels" / "c.txt").unlink()
    assert train(data, tmp_path / "strict", "--strict") == 2
    assert "pictures without a label file: 1, as 'c.png'; with strict nothing may be taken" in capsys.readouterr().err
    assert train(data, tmp_path / "run") == 0
    assert capsys.readouterr().err.count("pictures without a label file: 1, as 'c.png'; they are background") == 1
    with (tmp_path / "run" / "problems.csv").open() as file:
        assert [row["assumption"] for row in csv.DictReader(file)] == ["True"]
    assert train(data, tmp_path / "labelled", "--labelled-only", "--strict") == 0


def test_a_file_of_slivers_is_not_trained_on_in_silence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_coco(tmp_path)
    content = data.read_text()
    data.write_text(content.replace("28, 30]", "2, 30]").replace("40, 20]", "40, 2]").replace("16, 32]", "2, 2]"))
    assert train(data, tmp_path / "run", "--boxes", "xywh") == 0
    assert f"retinanet: {data}: 3 of 5 objects have a side below 3 pixels; `retinanet browse" in capsys.readouterr().err


def test_pictures_to_evaluate_on_that_are_trained_on_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train_data, val_data = write_coco(tmp_path / "train"), write_coco(tmp_path / "val")
    assert train(train_data, tmp_path / "run", "--val", str(val_data)) == 0
    said = "retinanet: pictures to evaluate on that are trained on too: "
    assert f"{said}3, as 'a.png', the same file as 'a.png'; mAP is" in capsys.readouterr().err
    for picture in val_data.parent.glob("*.png"):
        Image.new("RGB", SIZE, (picture.stem.encode()[0], 0, 0)).save(picture)
    assert train(train_data, tmp_path / "other", "--val", str(val_data)) == 0
    assert said not in capsys.readouterr().err


def test_a_run_that_another_process_writes_to_keeps_its_length(tmp_path: Path) -> None:
    data, run = write_coco(tmp_path), tmp_path / "run"
    assert train(data, run) == 0
    trainer = Trainer(replace(settings_of(run), out=run, steps=2), resume=True)
    with only_writer(run), pytest.raises(InputError, match="another process writes to it"):
        trainer.set_steps()
    assert settings_of(run).steps == 1


def test_a_finished_run_says_how_it_is_made_longer_and_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, run = write_coco(tmp_path), tmp_path / "run"
    assert train(data, run) == 0
    assert capsys.readouterr().out.endswith(f"; `retinanet train --resume {run} --steps N` makes it longer\n")
    for steps, why in (("1", "1 must be more than the 1 steps already done"), ("x", "'x' must be a whole number")):
        assert main(["train", "--resume", str(run), "--steps", steps]) == 2
        assert capsys.readouterr().err == f"retinanet: --steps: {why}\n"
    assert settings_of(run).steps == 1, "nothing has changed"
    assert main(["train", "--resume", str(run), "--steps", "2"]) == 0
    assert capsys.readouterr().out.startswith(f"{run}: 2 steps; ")
    assert settings_of(run).steps == 2
    assert (run / "metrics.csv").read_text().splitlines()[-1].startswith("2,")
    assert main(["train", "--resume", str(run), "--rate", "1"]) == 2
    assert "--steps can change, and --rate cannot" in capsys.readouterr().err
