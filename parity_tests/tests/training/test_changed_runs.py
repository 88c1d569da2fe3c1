"""A run that goes on says what of its data and settings is not what it was, and refuses data that have changed."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from parity_tests.tests.support.data_sets import write_digits
from torch_retinanet.cli import main
from torch_retinanet.data.digits import Digits
from torch_retinanet.data.formats import read_annotations
from torch_retinanet.data.screening import screen
from torch_retinanet.data.tiled import tiled
from torch_retinanet.errors import InputError
from torch_retinanet.files import only_writer
from torch_retinanet.tiles import Tiling
from torch_retinanet.train import TrainConfig, Trainer, settings_of
from torch_retinanet.train.changes import setting_changes
from torch_retinanet.train.class_rows import moved_rows
from torch_retinanet.train.data_record import SAMPLE, SAMPLES, WHOLE, file_digest, read_data_record, record_data

MODEL = ["--backbone", "resnet18", "--width", "8", "--head-depth", "1", "--min-side", "64", "--max-side", "64"]
Content = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, and a run of a step on them."""
    folder = tmp_path_factory.mktemp("original")
    (folder / "data").mkdir()
    data = write_digits(folder / "data", Digits("train", length=4, size=(64, 64)))
    flags = ["--steps", "1", "--batch", "2", "--workers", "0"]
    assert main(["train", str(data), "--out", str(folder / "run"), *MODEL, *flags]) == 0
    return folder


@pytest.fixture
def moved(original: Path, tmp_path: Path) -> Path:
    """A copy of it elsewhere; the settings of the run say where its data are now."""
    shutil.copytree(original, tmp_path, dirs_exist_ok=True)
    settings = tmp_path / "run" / "config.toml"
    settings.write_text(settings.read_text().replace(str(original), str(tmp_path)))
    return tmp_path


def resumed(folder: Path) -> Trainer:
    """The run before its next step."""
    return Trainer(replace(settings_of(folder / "run"), out=folder / "run"), resume=True)


def annotations(folder: Path) -> Path:
    [path] = (folder / "data").glob("*.json")
    return path


def test_a_checkpoint_of_another_model_names_the_settings_that_made_it_so(moved: Path) -> None:
    settings = moved / "run" / "config.toml"
    settings.write_text(settings.read_text().replace("width = 8", "width = 16"))
    with pytest.raises(InputError, match=r"of another model \(size mismatch .*; since then width was 8 and is 16"):
        resumed(moved)


def relabel(content: Content, data: Path) -> None:
    content["annotations"][0]["category_id"] = 1 + content["annotations"][0]["category_id"] % 9


def move_a_box(content: Content, data: Path) -> None:
    content["annotations"][0]["bbox"][2] -= 1


def reverse(content: Content, data: Path) -> None:
    content["images"].reverse()


def exchange_names(content: Content, data: Path) -> None:
    first, second = content["categories"][1:3]
    first["name"], second["name"] = second["name"], first["name"]


def replace_pixels(content: Content, data: Path) -> None:
    picture = bytearray((data / "0.png").read_bytes())
    picture[len(picture) // 2] ^= 1
    (data / "0.png").write_bytes(picture)


def replace_a_picture(content: Content, data: Path) -> None:
    shutil.copy(data / "0.png", data / "other.png")
    content["images"][0]["file_name"] = "other.png"


CHANGES: dict[str, tuple[Callable[[Content, Path], None], str]] = {
    "a label": (relabel, "boxes: changed on pictures: 1 ('0.png')"),
    "a box": (move_a_box, "boxes: changed on pictures: 1 ('0.png')"),
    "the order": (reverse, "order: pictures elsewhere: 4 ('0.png', '1.png', '2.png', …)"),
    "names of classes": (exchange_names, "classes: another name or place: 2 ('2', '1')"),
    "pixels": (replace_pixels, "pictures: other content: 1 ('0.png')"),
    "a picture": (replace_a_picture, "pictures: gone: 1 ('0.png'); pictures: new: 1 ('other.png')"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_data_are_refused_in_a_sentence_that_says_what_has_changed(
    change: str, moved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, words = CHANGES[change]
    path = annotations(moved)
    content = json.loads(path.read_text())
    make(content, moved / "data")
    path.write_text(json.dumps(content))
    before = {file: file.read_bytes() for file in (moved / "run").glob("*.*")}
    assert main(["train", "--resume", str(moved / "run")]) == 2
    error = capsys.readouterr().err
    assert error == (
        f"retinanet: data: {path} must be what the run began with, and has changed: {words}; "
        "--data-changed goes on all the same\n"
    )
    assert before == {file: file.read_bytes() for file in (moved / "run").glob("*.*")}


def test_a_run_goes_on_with_changed_data_where_it_is_told_to_and_then_knows_them(
    moved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = annotations(moved)
    content = json.loads(path.read_text())
    content["images"].pop()
    path.write_text(json.dumps(content))
    assert main(["train", "--resume", str(moved / "run"), "--data-changed"]) == 0
    said = capsys.readouterr().err
    assert "retinanet: data changed since the run began: pictures: gone: 1 ('3.png')\n" in said
    assert resumed(moved).changes == []


def test_rows_of_the_class_layer_follow_the_names_of_their_classes(moved: Path) -> None:
    run = resumed(moved)
    before, old = class_rows(run), run.annotations.classes
    content = json.loads(annotations(moved).read_text())
    exchange_names(content, moved / "data")
    annotations(moved).write_text(json.dumps(content))
    again = Trainer(replace(settings_of(moved / "run"), out=moved / "run"), resume=True, data_changed=True)
    now = again.annotations.classes
    assert now != old
    assert sorted(now) == sorted(old)
    after = class_rows(again)
    assert set(after) == {"weight", "bias", "weight@exp_avg", "weight@exp_avg_sq", "bias@exp_avg", "bias@exp_avg_sq"}
    for name, rows in after.items():
        assert torch.equal(rows, before[name][:, [old.index(one) for one in now]])


def test_a_run_cannot_go_on_with_more_classes(moved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = json.loads(annotations(moved).read_text())
    content["categories"].append({"id": 99, "name": "new"})
    content["annotations"][0]["category_id"] = 99
    annotations(moved).write_text(json.dumps(content))
    assert main(["train", "--resume", str(moved / "run"), "--data-changed"]) == 2
    sentence = (
        f"has 11 classes, and the checkpoint in {moved / 'run'} 10; a new run with --weights {moved / 'run'} keeps"
    )
    assert sentence in capsys.readouterr().err


def class_rows(run: Trainer) -> dict[str, Tensor]:
    """What a run knows of its class layer, a row (A,K,...) a class."""
    layer, classes = f"cls_head.{len(run.training.detector.model.cls_head) - 1}.", len(run.annotations.classes)
    found = {name.partition(layer)[2]: one for name, one in run.training.tensors().items() if layer in name}
    return {name: one.reshape(-1, classes, *one.shape[1:]) for name, one in found.items() if one.ndim}


@pytest.mark.parametrize(
    ("before", "now", "rows"),
    [("abc", "cab", "cab"), ("abc", "abd", "abc"), ("abc", "dca", "bca"), ("aab", "baa", "baa")],
)
def test_a_class_that_was_renamed_keeps_its_row(before: str, now: str, rows: str) -> None:
    trained = torch.tensor([ord(name) for name in before] * 2)
    tensors = {"model:cls_head.1.bias": trained, "average:cls_head.1.bias": trained, "model:box_head.1.bias": trained}
    found = moved_rows(tensors, "cls_head.1", before, now)
    assert "".join(map(chr, found["model:cls_head.1.bias"].tolist())) == rows * 2
    assert torch.equal(found["average:cls_head.1.bias"], found["model:cls_head.1.bias"])
    assert found["model:box_head.1.bias"] is trained


def test_settings_that_were_edited_are_listed(moved: Path) -> None:
    settings = moved / "run" / "config.toml"
    settings.write_text(settings.read_text().replace("seed = 0", "seed = 3").replace("flip = 0.5", "flip = 0.25"))
    place, *others = resumed(moved).changes
    assert place.startswith("setting changed since the last checkpoint: data was '")
    assert others == [
        "setting changed since the last checkpoint: flip was 0.5 and is 0.25",
        "setting changed since the last checkpoint: seed was 0 and is 3",
    ]


def test_a_run_that_another_process_goes_on_with_is_left_alone(moved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (moved / "run" / ".being-written.part").mkdir()
    with only_writer(moved / "run"):
        assert main(["train", "--resume", str(moved / "run")]) == 2
    assert capsys.readouterr().err.startswith(f"retinanet: {moved / 'run'}: another process writes to it; ")
    assert (moved / "run" / ".being-written.part").exists()


def test_a_run_of_an_earlier_version_has_no_record_and_goes_on(moved: Path) -> None:
    (moved / "run" / "data.json").unlink()
    assert resumed(moved).changes[1:] == []
    record = read_data_record(moved / "run" / "data.json")
    assert record is not None
    assert [picture.name for picture in record.train.pictures] == ["0.png", "1.png", "2.png", "3.png"]


def test_a_record_that_is_not_whole_is_a_sentence(moved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = moved / "run" / "data.json"
    path.write_bytes(path.read_bytes()[:100])
    assert main(["train", "--resume", str(moved / "run")]) == 2
    assert capsys.readouterr().err.startswith(f"retinanet: {path}: must be what the run wrote of its data (")


def test_the_flag_belongs_to_a_run_that_goes_on(original: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(annotations(original)), "--data-changed"]) == 2
    assert capsys.readouterr().err == "retinanet: --data-changed: must come with --resume\n"


def test_a_setting_that_an_earlier_version_did_not_know_had_its_default() -> None:
    now = TrainConfig(data="pictures", seed=3).as_dict()
    assert setting_changes({"data": "pictures", "seed": 3}, now) == []
    assert setting_changes({"data": "pictures"}, now) == ["seed was 0 and is 3"]


def test_tiles_are_recorded_one_by_one(original: Path) -> None:
    whole = screen(read_annotations(annotations(original)), decode=False)
    tiles = tiled(whole, Tiling(40), empty=1.0, seed=0)
    names = [picture.name for picture in record_data(tiles, None).train.pictures]
    assert len(set(names)) == len(tiles.pictures) > len(whole.pictures)
    assert names[0] == "0.png[0, 0, 40, 40]"


def test_of_a_large_file_samples_from_the_first_byte_to_the_last_are_read(tmp_path: Path) -> None:
    size, path = 3 * WHOLE, tmp_path / "large.bmp"
    contents = [bytearray(size) for _ in range(4)]
    for content, byte in zip(contents[1:], (0, (size - SAMPLE) // (SAMPLES - 1), size - 1), strict=True):
        content[byte] = 1
    digests = set()
    for content in contents:
        path.write_bytes(content)
        digests.add(file_digest(path))
    assert len(digests) == 4


def test_a_run_whose_process_is_killed_is_free_though_its_readers_live_on(tmp_path: Path) -> None:
    ready, told = os.pipe()
    writer = os.fork()
    if not writer:
        with only_writer(tmp_path):
            if not os.fork():  # one that reads pictures
                time.sleep(5)
                os._exit(0)
            os.write(told, b"x")
            signal.pause()
    assert os.read(ready, 2)
    with pytest.raises(InputError, match="another process writes to it"), only_writer(tmp_path):
        pass
    os.kill(writer, signal.SIGKILL)
    os.waitpid(writer, 0)
    os.close(told)
    with only_writer(tmp_path):
        assert list(tmp_path.iterdir()) == []
