"""`retinanet detect` as its users meet it: what it writes, what it does about bad pictures, what it refuses."""

import csv
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from parity_tests.tests.support.commands import NAMES, photo, save_run, written
from torch_retinanet import RetinaNetDetector
from torch_retinanet.cli import main
from torch_retinanet.cli.detector import read_detector
from torch_retinanet.engines.registry import RUNTIMES
from torch_retinanet.files import only_writer
from torch_retinanet.weights.trained_on import TrainedOn


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that has left a detector."""
    return save_run(tmp_path_factory.mktemp("run"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with three pictures, one of them in a folder within, and a text."""
    folder = tmp_path / "photos"
    photo(folder / "b.png", seed=1)
    photo(folder / "a.jpg", seed=2, size=(64, 48))
    photo(folder / "more" / "b.png", seed=3)
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_a_run_of_another_preset_than_the_one_asked_for_is_refused(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["detect", str(run), str(photos), "--preset", "mmdet_caffe", "--out", str(tmp_path / "out")]) == 2
    said = f": holds preset {read_detector(run).config.name}, not mmdet_caffe\n"
    assert capsys.readouterr().err.endswith(said)
    assert not (tmp_path / "out").exists()


def test_a_folder_is_detected_and_what_was_found_is_drawn_and_written(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["detect", str(run), str(photos), "--out", str(out)]) == 0
    assert written(out) == ["detections.json", "pictures/a.jpg", "pictures/b.png", "pictures/more/b.png"]
    entries = json.loads((out / "detections.json").read_text())
    paths = [photos / "a.jpg", photos / "b.png", photos / "more" / "b.png"]
    assert [entry["picture"] for entry in entries] == [str(path) for path in paths]
    assert (entries[0]["width"], entries[0]["height"]) == (48, 64)
    for entry, path in zip(entries, paths, strict=True):
        expected = read_detector(run).predict(path)[0]
        sure = expected["scores"] > 0.3
        assert sure.any()
        assert [one["score"] for one in entry["objects"]] == expected["scores"][sure].tolist()
        assert [one["box"] for one in entry["objects"]] == expected["boxes"][sure].tolist()
        assert [one["class"] for one in entry["objects"]] == [NAMES[label] for label in expected["labels"][sure]]
        drawn = out / "pictures" / path.relative_to(photos)
        with Image.open(drawn) as after, Image.open(path) as before:
            assert (after.size, after.format) == (before.size, before.format)
            assert after.tobytes() != before.tobytes()
    objects = sum(len(entry["objects"]) for entry in entries)
    assert capsys.readouterr() == (f"3 pictures, {objects:,} objects, written to {out}\n", "")


@pytest.mark.parametrize(("trained", "shown"), [(4095, 56), (65535, 4), (1023, 224), (255, 224), (None, 224)])
def test_dark_pictures_of_16_bits_are_as_bright_as_in_training(
    trained: int | None, shown: int, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = RetinaNetDetector.from_pretrained(run)
    model.trained_on = TrainedOn(trained)
    model.save(tmp_path / "model.safetensors")
    Image.fromarray(np.full((48, 64), 900, dtype=np.uint16)).save(tmp_path / "dark.png")
    flags = ["--out", str(tmp_path / "out"), "--threshold", "1", "--format", "pictures"]
    assert main(["detect", str(tmp_path / "model.safetensors"), str(tmp_path / "dark.png"), *flags]) == 0
    (drawn,) = (path for path in (tmp_path / "out").rglob("*dark*") if path.is_file())
    assert abs(int(np.asarray(Image.open(drawn)).mean()) - shown) <= 1
    said = capsys.readouterr().err
    assert (f"{trained} is white in gray of 16 bits, as in the model's training" in said) is (shown < 224)


def test_formats_hold_the_same_objects(run: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["detect", str(run), str(photos), "--out", str(out), "--format", "csv", "coco", "json"]) == 0
    assert written(out) == ["coco_results.json", "detections.csv", "detections.json"]
    with (out / "detections.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    entries = json.loads((out / "detections.json").read_text())
    results = json.loads((out / "coco_results.json").read_text())
    objects = [(number, entry["picture"], one) for number, entry in enumerate(entries, 1) for one in entry["objects"]]
    assert len(rows) == len(results) == len(objects) > 10
    for row, result, (number, picture, one) in zip(rows, results, objects, strict=True):
        left, top, right, bottom = one["box"]
        assert [float(row[name]) for name in ("xmin", "ymin", "xmax", "ymax", "score")] == [*one["box"], one["score"]]
        assert (row["image_path"], row["label"]) == (picture, one["class"])
        assert (result["image_id"], result["category_id"]) == (number, one["label"] + 1)
        assert (result["bbox"], result["score"]) == ([left, top, right - left, bottom - top], one["score"])


def scores(folder: Path) -> list[float]:
    return [one["score"] for entry in json.loads((folder / "detections.json").read_text()) for one in entry["objects"]]


def test_the_threshold_is_the_score_that_detections_are_above(run: Path, photos: Path, tmp_path: Path) -> None:
    """Below that of the model too."""
    model = RetinaNetDetector.from_pretrained(run)
    model.config = replace(model.config, score_threshold=0.98)
    model.save(tmp_path / "model.safetensors")
    counts = []
    for threshold in (0.96, 0.98, 0.99):
        arguments = ["--threshold", str(threshold), "--out", str(tmp_path), "--format", "json"]
        assert main(["detect", str(tmp_path / "model.safetensors"), str(photos / "b.png"), *arguments]) == 0
        assert min(scores(tmp_path)) > threshold
        counts.append(len(scores(tmp_path)))
    assert counts[0] > counts[1] > counts[2] > 0


def test_an_object_has_one_label_where_all_classes_suppress(run: Path, photos: Path, tmp_path: Path) -> None:
    counts = {}
    for classes in ("each", "all"):
        arguments = ["--nms-classes", classes, "--out", str(tmp_path / classes), "--format", "json"]
        assert main(["detect", str(run), str(photos / "b.png"), *arguments]) == 0
        expected = read_detector(run).predict(photos / "b.png", nms_classes=classes, score_threshold=0.3)[0]
        assert scores(tmp_path / classes) == expected["scores"].tolist()
        counts[classes] = len(expected["scores"])
    assert 0 < counts["all"] < counts["each"]


def test_the_batch_changes_nothing_but_rounding(run: Path, photos: Path, tmp_path: Path) -> None:
    found = []
    for batch in ("1", "8"):
        arguments = ["--batch-size", batch, "--out", str(tmp_path / batch), "--format", "json"]
        assert main(["detect", str(run), str(photos), *arguments]) == 0
        pictures = json.loads((tmp_path / batch / "detections.json").read_text())
        found.append([sorted((o["label"], o["box"]) for o in picture["objects"]) for picture in pictures])
    for alone, together in zip(*found, strict=True):
        assert [label for label, _ in alone] == [label for label, _ in together]
        np.testing.assert_allclose([box for _, box in alone], [box for _, box in together], atol=1e-3)


def test_bad_pictures_are_reported_at_the_end_and_the_others_written(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = photos / "aa.png"
    broken.write_bytes((photos / "b.png").read_bytes()[:100])
    out = tmp_path / "out"
    assert main(["detect", str(run), str(photos), "nowhere.jpg", "--out", str(out)]) == 1
    output, error = capsys.readouterr()
    assert re.fullmatch(r"5 pictures, [\d,]+ objects, written to .*out; 2 pictures could not be read\n", output)
    assert re.fullmatch(
        rf"retinanet: {broken}: not a picture .*\nretinanet: nowhere\.jpg: there is no such file\n", error
    )
    assert written(out) == ["detections.json", "pictures/a.jpg", "pictures/b.png", "pictures/more/b.png"]
    entries = json.loads((out / "detections.json").read_text())
    assert ["objects" in entry for entry in entries] == [True, False, True, True, False]
    assert entries[1]["error"].startswith(f"{broken}: not a picture")


def test_pictures_of_one_name_do_not_overwrite_each_other(run: Path, tmp_path: Path) -> None:
    """From several folders, of another suffix that becomes PNG too, and where small and large letters are the same."""
    paths = [photo(tmp_path / name) for name in ("1/a.png", "2/a.png", "1/a.bmp", "3/A.png", "1/a-2.png", "1/a.jpg")]
    out = tmp_path / "out"
    assert main(["detect", str(run), *map(str, paths), "--out", str(out), "--format", "pictures"]) == 0
    names = ["A-4.png", "a-2-2.png", "a-2.png", "a-3.png", "a.jpg", "a.png"]
    assert written(out / "pictures") == names


def test_what_an_earlier_call_drew_is_not_detected(run: Path, photos: Path) -> None:
    """Where the output lies within the folder of the pictures."""
    for _ in range(2):
        assert main(["detect", str(run), str(photos), "--out", str(photos)]) == 0
    assert len(json.loads((photos / "detections.json").read_text())) == 3
    assert written(photos / "pictures") == ["a.jpg", "b.png", "more/b.png"]


def test_hidden_pictures_are_left_out(run: Path, photos: Path, tmp_path: Path) -> None:
    for name in ("._a.jpg", ".thumbnails/a.jpg"):
        photo(photos / name)
    assert main(["detect", str(run), str(photos), "--out", str(tmp_path / "out"), "--format", "json"]) == 0
    assert len(json.loads((tmp_path / "out" / "detections.json").read_text())) == 3


def test_names_that_no_text_has_are_written_all_the_same(run: Path, tmp_path: Path) -> None:
    path = photo(tmp_path / "a\udcff.png")
    formats = ["--format", "json", "csv", "coco", "pictures"]
    assert main(["detect", str(run), str(path), "--out", str(tmp_path / "out"), *formats]) == 0
    assert json.loads((tmp_path / "out" / "detections.json").read_text())[0]["picture"] == str(path)
    assert b"a\xff.png" in (tmp_path / "out" / "detections.csv").read_bytes()


def test_a_model_without_names_has_numbers(run: Path, photos: Path, tmp_path: Path) -> None:
    nameless = RetinaNetDetector.from_pretrained(run)
    nameless.class_names = ()
    nameless.save(tmp_path / "model.safetensors")
    arguments = [str(tmp_path / "model.safetensors"), str(photos), "--out", str(tmp_path / "out"), "--format", "json"]
    assert main(["detect", *arguments]) == 0
    entries = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert {one["class"] for entry in entries for one in entry["objects"]} <= {"0", "1", "2"}


def test_the_bar_has_ended_before_anything_is_said(
    run: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []

    def bar(items: Iterable[Any], **options: Any) -> Iterator[Any]:
        yield from items
        said.append(capsys.readouterr().err)

    monkeypatch.setattr("torch_retinanet.cli.detect.track", bar)
    assert main(["detect", str(run), str(photos), "nowhere.jpg", "--out", str(tmp_path), "--format", "json"]) == 1
    assert said == [""]
    assert "nowhere.jpg" in capsys.readouterr().err


def test_a_folder_that_another_process_writes_is_refused(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with only_writer(out):
        assert main(["detect", str(run), str(photos), "--out", str(out)]) == 2
        assert written(out) == []
    error = f"retinanet: {out}: another process writes to it; wait for its end, or take another folder\n"
    assert capsys.readouterr() == ("", error)
    assert main(["detect", str(run), str(photos), "--out", str(out)]) == 0


def test_what_stops_on_the_way_leaves_no_half_file(
    run: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    real = RetinaNetDetector.predict

    def interrupted(self: RetinaNetDetector, *arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return real(self, *arguments, **options)

    monkeypatch.setattr(RetinaNetDetector, "predict", interrupted)
    out = tmp_path / "out"
    formats = ["--format", "json", "csv", "coco", "pictures"]
    assert main(["detect", str(run), str(photos), "--out", str(out), *formats]) == 130
    assert written(out) == ["pictures/a.jpg", "pictures/b.png"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["{run}", "{empty}"], "{empty}: must hold a picture, by its suffix one of .jpg"),
        (["{run}", "{photos}", "--threshold", "1.5"], "--threshold: 1.5 must be from 0 to 1"),
        (["{run}", "{photos}", "--threshold", "nan"], "--threshold: nan must be from 0 to 1"),
        (["{run}", "{photos}", "--batch-size", "0"], "argument --batch-size: 0 must be a whole number of at least 1"),
        (["{run}", "{photos}", "--out", "{photos}/b.png"], "--out: {photos}/b.png must be a folder"),
        (
            ["{run}", "{photos}/pictures/b.png", "--out", "{photos}"],
            "--out: {photos}/pictures/b.png lies in {photos}/pi",
        ),
        (["{empty}", "{photos}"], "{empty}: is a folder without model.safetensors, "),
        (["{photos}/notes.txt", "{photos}"], "{photos}/notes.txt: suffix must be one of .safetensors"),
        (["{run}", "{photos}", "--format", "xml"], "argument --format: invalid choice: 'xml'"),
        (["{run}"], "the following arguments are required: PICTURE"),
    ],
)
def test_wrong_usage_ends_in_one_sentence(
    arguments: list[str],
    sentence: str,
    run: Path,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    places = {"run": run, "photos": photos, "empty": tmp_path / "empty"}
    with pytest.raises(SystemExit) as ending:
        sys.exit(main(["detect", *(argument.format(**places) for argument in arguments)]))
    output, error = capsys.readouterr()
    assert ending.value.code == 2
    assert output == ""
    assert error.count("\n") == 1
    assert sentence.format(**places) in error
    assert not (tmp_path / "detections").exists() or not written(tmp_path / "detections")


@pytest.fixture
def _without_compiler() -> Iterator[None]:
    """Compiling takes long; the order of the others stays as it is."""
    with mock.patch.dict(RUNTIMES):
        del RUNTIMES["compiled"]
        yield


@pytest.mark.usefixtures("_without_compiler")
@pytest.mark.parametrize("engine", ["packed", "auto"])
def test_another_engine_finds_the_same(
    run: Path,
    photos: Path,
    tmp_path: Path,
    engine: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    command = ["detect", str(run), str(photos), "--format", "json"]
    assert main([*command, "--out", str(tmp_path / "plain")]) == 0
    capsys.readouterr()
    assert main([*command, "--out", str(tmp_path / "fast"), "--engine", engine]) == 0
    plain, fast = (json.loads((tmp_path / name / "detections.json").read_text()) for name in ("plain", "fast"))
    labels = [[[one["class"] for one in entry["objects"]] for entry in entries] for entries in (plain, fast)]
    assert labels[0] == labels[1]
    assert ("is the fastest here (eager" in capsys.readouterr().err) == (engine == "auto")


@pytest.mark.usefixtures("one_thread")  # with two, sums round otherwise, which decides which of two boxes is kept
def test_precision_is_that_of_the_flag(run: Path, photos: Path, tmp_path: Path) -> None:
    command = ["detect", str(run), str(photos), "--format", "json", "--precision", "bf16"]
    assert main([*command, "--out", str(tmp_path / "bf16")]) == 0
    plain = read_detector(run).predict(photos / "a.jpg")[0]["scores"]
    scores = [one["score"] for one in json.loads((tmp_path / "bf16" / "detections.json").read_text())[0]["objects"]]
    assert scores != plain[plain > 0.3].tolist()
    assert scores == pytest.approx(plain[: len(scores)].tolist(), abs=0.05)
