"""A data set is divided so that pictures that look alike stay together, and classes keep their shares."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from parity_tests.tests.support.data_sets import scene, write_kitti
from torch_retinanet.cli import main
from torch_retinanet.data.alike import groups_of, looks_of
from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.formats import read_annotations
from torch_retinanet.data.screening import screen
from torch_retinanet.data.splitting import split_of_each

PICTURES = 40


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Forty pictures, the last four of which are copies of the first; a tenth of them has a rare class."""
    lines = []
    for i in range(PICTURES):
        scene(0 if i >= PICTURES - 4 else i).save(tmp_path / f"{i:02}.png")
        lines += [f"{i:02}.png,{4 + j},5,{30 + j},25,common" for j in range(3)]
        lines += [f"{i:02}.png,40,30,60,60,rare"] if i % 10 == 5 else []
    (tmp_path / "objects.csv").write_text("\n".join(lines))
    return tmp_path / "objects.csv"


@pytest.fixture
def annotations(data: Path) -> Annotations:
    """The same, screened."""
    return screen(read_annotations(data), decode=False)


def test_copies_look_alike_and_other_pictures_do_not(tmp_path: Path) -> None:
    one, pictures = scene(1), [scene(seed) for seed in range(6)]
    copies = [one.resize((40, 30)), one.point(lambda value: value * 0.7 + 20), one.filter(ImageFilter.GaussianBlur(1))]
    paths = []
    for i, picture in enumerate([*pictures, *copies, Image.new("RGB", (96, 72), "white"), Image.new("RGB", (9, 9))]):
        paths.append(tmp_path / f"{i}.jpg")
        picture.save(paths[-1], quality=60)
    paths.append(tmp_path / "none.png")
    paths[-1].write_bytes(b"no picture")
    assert groups_of(looks_of(paths)).tolist() == [0, 1, 2, 3, 4, 5, 1, 1, 1, 9, 10, 11]
    assert len(groups_of(looks_of([]))) == 0


@pytest.mark.parametrize("seed", range(3))
def test_groups_stay_together_and_shares_are_kept(annotations: Annotations, seed: int) -> None:
    groups = np.array([*range(PICTURES - 4), 0, 0, 0, 0])
    chosen = split_of_each(annotations, groups, [0.5, 0.25, 0.25], seed)
    assert len({*chosen[[0, 36, 37, 38, 39]].tolist()}) == 1
    assert np.abs(np.bincount(chosen, minlength=3) - [20, 10, 10]).max() <= 1
    rare = annotations.owners()[annotations.labels == annotations.classes.index("rare")]
    assert sorted(np.bincount(chosen[rare], minlength=3).tolist()) == [1, 1, 2]
    assert chosen.tolist() == split_of_each(annotations, groups, [0.5, 0.25, 0.25], seed).tolist()


def test_each_split_has_a_picture_of_a_small_data_set(annotations: Annotations) -> None:
    few = annotations.select(pictures=np.arange(PICTURES) < 4)
    chosen = split_of_each(few, np.arange(4), [0.8, 0.1, 0.1], seed=0)
    assert np.bincount(chosen).tolist() == [2, 1, 1]


def test_pictures_that_all_look_alike_are_not_divided(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [{"id": i, "file_name": "00.png", "width": 96, "height": 72} for i in range(2)]
    path = data.parent / "alike.json"
    path.write_text(json.dumps({"images": images, "annotations": [], "categories": [{"id": 1, "name": "cat"}]}))
    assert main(["split", str(path), "--out", str(tmp_path / "out")]) == 2
    assert "pictures that do not look alike are 1, and must be 3 at least" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_is_written_is_read_with_every_box(data: Path, annotations: Annotations, tmp_path: Path) -> None:
    out = tmp_path / "splits"
    assert main(["split", str(data), "--out", str(out)]) == 0
    found, pictures = [], []
    for name in ("train", "val", "test"):
        read = read_annotations(out / f"{name}.json", images=data.parent)
        assert not read.problems or not any(problem.data_loss for problem in read.problems)
        pictures += [path.name for path in read.pictures]
        owners = [read.pictures[owner].name for owner in read.owners().tolist()]
        found += list(zip(owners, read.boxes.tolist(), [read.classes[label] for label in read.labels], strict=True))
    owners = [annotations.pictures[owner].name for owner in annotations.owners().tolist()]
    names = [annotations.classes[label] for label in annotations.labels]
    assert sorted(found) == sorted(zip(owners, annotations.boxes.tolist(), names, strict=True))
    assert sorted(pictures) == sorted(path.name for path in annotations.pictures)


def test_a_region_that_is_ignored_is_written_as_a_crowd(data: Path, tmp_path: Path) -> None:
    content = {
        "images": [{"id": 1, "file_name": f"{i:02}.png", "width": 96, "height": 72} | {"id": i} for i in range(4)],
        "annotations": [{"id": 1, "image_id": 0, "category_id": 3, "bbox": [1, 2, 30, 40], "iscrowd": 1}],
        "categories": [{"id": 3, "name": "cat"}],
    }
    path = data.parent / "crowds.json"
    path.write_text(json.dumps(content))
    assert main(["split", str(path), "--out", str(tmp_path / "out"), "--shares", "0.5", "0.5"]) == 0
    read = [read_annotations(tmp_path / "out" / f"{name}.json", images=data.parent) for name in ("train", "val")]
    assert sorted(int(one.ignored.sum()) for one in read) == [0, 1]


def test_regions_of_no_class_are_written_and_read_without_loss(data: Path, tmp_path: Path) -> None:
    write_kitti(tmp_path / "kitti")
    (tmp_path / "kitti" / "label_2" / "a.txt").write_text(
        "DontCare -1 -1 -10 6 6 20 20 -1 -1 -1 -1000 -1000 -1000 -10\n"
    )
    assert main(["split", str(tmp_path / "kitti"), "--out", str(tmp_path / "out"), "--shares", "0.5", "0.5"]) == 0
    read = read_annotations(tmp_path / "out", images=tmp_path / "kitti" / "image_2")
    assert read.ignored.sum() == 1
    assert not [problem for problem in read.problems if problem.data_loss]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--shares", "0.5", "0.6"], "--shares: 0.5 0.6 must be two or three numbers above 0 that sum to 1"),
        (["--shares", "1"], "--shares: 1 must be two or three"),
        (["--shares", "nan", "0.5", "0.5"], "--shares: nan 0.5 0.5 must be two or three"),
        (["--seed", "-1"], "--seed: -1 must be at least 0"),
    ],
)
def test_shares_that_are_none_are_refused(
    arguments: list[str], words: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["split", str(data), "--out", str(tmp_path / "out"), *arguments]) == 2
    assert words in capsys.readouterr().err


def test_splits_are_not_written_over(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["split", str(data), "--out", str(out)]) == 0
    capsys.readouterr()
    assert main(["split", str(data), "--out", str(out)]) == 2
    assert f"--out: {out / 'train.json'} is there already" in capsys.readouterr().err
