"""`retinanet inspect` tells of pictures that splits share, and of copies with other objects."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import ImageDraw

from parity_tests.tests.support.data_sets import scene, voc_object, voc_xml
from torch_retinanet.cli import main
from torch_retinanet.data.alike import most_alike

OBJECTS = [("cat", (5, 5, 30, 25)), ("dog", (40, 30, 60, 60))]


def write(folder: Path, name: str, seed: int, objects: Any = OBJECTS, *, size: tuple[int, int] = (96, 72)) -> Path:
    """A picture in a folder, and its objects in a line each of the CSV that the folder is called as."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    scene(seed).resize(size).save(path, quality=80)
    across, down = size[0] / 96, size[1] / 72
    with (folder / f"{path.parent.name}.csv").open("a") as file:
        for label, (left, top, right, bottom) in objects:
            numbers = f"{left * across},{top * down},{right * across},{bottom * down}"
            file.write(f"{path.relative_to(folder)},{numbers},{label}\n")
    return path


def found(folder: Path, *flags: str) -> tuple[int, list[dict[str, Any]]]:
    """The exit code of the command, and what it took for granted."""
    code = main(["inspect", str(folder), "--json", str(folder.parent / "found.json"), *flags])
    problems = json.loads((folder.parent / "found.json").read_text())["problems"]
    return code, [problem for problem in problems if problem["assumption"]]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two splits of pictures that differ."""
    for i in range(4):
        write(tmp_path / "data", f"{'train' if i < 3 else 'test'}/{i}.jpg", i)
    return tmp_path / "data"


def test_splits_of_other_pictures_share_none(data: Path) -> None:
    assert found(data, "--strict") == (0, [])


def test_a_picture_of_training_that_tests_it_is_named(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(data, "test/copy.png", 1, size=(48, 36))
    code, problems = found(data)
    assert code == 0, "nothing is lost"
    assert [(problem["file"], problem["data_loss"]) for problem in problems] == [(str(path), False)]
    assert problems[0]["finding"].startswith(
        "looks like a picture of another split: this of test, '1.jpg' of train, correlation 0.99"
    )
    capsys.readouterr()
    assert found(data, "--strict")[0] == 1
    assert capsys.readouterr().out.endswith("lost in places: 0; taken for granted in places: 1\n")
    assert found(data, "--strict", "--split", "test") == (0, []), "of one split there is nothing to compare"


def test_it_fails_a_check_of_a_data_repository(data: Path, tmp_path: Path) -> None:
    write(data, "test/copy.jpg", 1)
    for flags, failures in (([], "0"), (["--strict"], "1")):
        found(data, "--junit", str(tmp_path / "found.xml"), *flags)
        assert ElementTree.parse(tmp_path / "found.xml").getroot().get("failures") == failures


def test_a_copy_with_other_objects_is_named(data: Path) -> None:
    write(data, "train/twin.jpg", 2, OBJECTS, size=(192, 144))
    assert found(data)[1] == [], "a copy with the same objects is right"
    path = write(data, "train/wrong.jpg", 0, [("cat", (5, 5, 30, 25)), ("cat", (40, 30, 60, 60))], size=(192, 144))
    problems = found(data)[1]
    assert [(problem["file"], problem["finding"]) for problem in problems] == [
        (str(path), "copy with other objects: of '0.jpg'; 1 of its 2 objects agree with the 2 there")
    ]


def test_another_object_before_a_camera_that_does_not_move_is_no_copy(data: Path) -> None:
    path = write(data, "train/later.png", 0, OBJECTS[:1])
    picture = scene(0)
    ImageDraw.Draw(picture).rectangle((40, 30, 41, 31), "white")
    picture.save(path)
    assert found(data)[1] == []
    scene(0).save(path)
    assert len(found(data)[1]) == 1


def test_a_picture_in_two_lists_of_voc_is_named(tmp_path: Path) -> None:
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (tmp_path / "voc" / folder).mkdir(parents=True)
    for i in range(3):
        scene(i).save(tmp_path / "voc" / "JPEGImages" / f"{i}.jpg")
        objects = voc_object("cat", (5, 5, 30, 25))
        (tmp_path / "voc" / "Annotations" / f"{i}.xml").write_text(voc_xml(f"{i}.jpg", objects, (96, 72)))
    for name, lines in {"train": "0\n1\n", "val": "1\n2\n", "trainval": "0\n1\n2\n"}.items():
        (tmp_path / "voc" / "ImageSets" / "Main" / f"{name}.txt").write_text(lines)
    code, problems = found(tmp_path / "voc")
    assert (code, [problem["finding"] for problem in problems]) == (0, ["picture of several splits: train and val"])


def test_the_most_alike_of_a_lower_rank_is_found_whatever_the_order() -> None:
    looks = np.eye(6, dtype=np.float32)
    looks[4] = [0.8, 0.6, 0, 0, 0, 0]
    ranks = np.array([1, 0, 0, 2, 2, -1])
    assert [(one.picture, one.other) for one in most_alike(looks, ranks, 0.5)] == [(4, 0)]
    assert most_alike(looks, np.array([2, 1, 1, 0, 0, -1]), 0.5)[0][:2] == (1, 4)
    assert most_alike(looks[:0], ranks[:0], 0.5) == []
