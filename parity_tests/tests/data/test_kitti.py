"""What KITTI's text files say, and each thing that can be wrong with one of them."""

from pathlib import Path

import pytest

from parity_tests.tests.support.data_sets import (
    BOXES,
    PICTURES,
    problems,
    what_is_in,
    write_kitti,
    write_pictures,
)
from torch_retinanet.data.formats import read_annotations
from torch_retinanet.data.formats.kitti import read_kitti
from torch_retinanet.data.screening import screen

WITHOUT_A = {name: BOXES[name] for name in PICTURES[1:]}


def test_what_kitti_does_not_care_for_is_ignored_and_of_no_class(tmp_path: Path) -> None:
    path = write_kitti(tmp_path)
    with (path / "label_2" / "c.txt").open("a") as file:
        file.write("DontCare -1 -1 -10 5 6 17 18 -1 -1 -1 -1000 -1000 -1000 -10\n")
    annotations = read_kitti(path)
    assert (annotations.ignored.tolist()[-1], annotations.labels.tolist()[-1]) == (True, -1)
    assert annotations.classes == ["cat", "dog"]
    assert len(read_annotations(path, class_names=["cat"]).boxes) == 3


def test_kitti_is_found_in_training(tmp_path: Path) -> None:
    write_kitti(tmp_path / "training")
    assert what_is_in(read_annotations(tmp_path)) == BOXES


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b"Car 0 0 0 1 2 3", "fields that are not 15"),
        (b"Car 0 0 0 1 2 3 four 1 1 1 1 1 1 1", "no number"),
        (b"C\xe9r 0 0 0 1 2 3 4 1 1 1 1 1 1 1", "not UTF-8"),
    ],
)
def test_a_bad_line_of_kitti_takes_its_picture_out(line: bytes, kind: str, tmp_path: Path) -> None:
    path = write_kitti(tmp_path)
    (path / "label_2" / "c.txt").write_bytes(b"\n" + line)
    annotations = read_kitti(path)
    assert problems(annotations) == [("c.txt", "line 2", kind, True)]
    assert what_is_in(screen(annotations, decode=False)) == {name: BOXES[name] for name in PICTURES[:2]}


@pytest.mark.parametrize(
    "line",
    [
        "cat 0.00 0 -1.57 2e0 3.0 30.0 33.0",
        "cat 0 0 0 2 3 30 33 0 0 0 0 0 0 0 0.93",
        "0 2 cat 0 0 -1.57 2.0 3.0 30.0 33.0 1.5 1.6 3.9 1.0 1.5 20.0 -1.5",
    ],
)
def test_lines_of_kitti_may_lack_three_dimensions_have_a_score_or_be_of_tracking(line: str, tmp_path: Path) -> None:
    path = write_kitti(tmp_path)
    (path / "label_2" / "c.txt").write_text(line)
    annotations = read_kitti(path)
    assert what_is_in(annotations) == BOXES | {"c.png": BOXES["a.png"][:1]}
    assert annotations.problems == []


def test_films_of_kitti_have_their_frames_in_a_folder_each(tmp_path: Path) -> None:
    for film in ("0000", "0001"):
        write_pictures(tmp_path / "training" / "image_02" / film, ["000000.png", "000001.png"])
    labels = tmp_path / "training" / "label_02"
    labels.mkdir()
    numbers = "1 1 1 1 1 1 1"
    (labels / "0000.txt").write_text(f"1 7 cat 0 0 0 2 3 30 33 {numbers}\n1 -1 DontCare 0 0 0 1 1 9 9 {numbers}\n")
    (labels / "0001.txt").write_text(f"0 7 dog 0 0 0 4 5 20 30 {numbers}\n5 7 dog 0 0 0 4 5 20 30 {numbers}\n")
    annotations = read_annotations(tmp_path)
    assert [str(picture.relative_to(labels.parent / "image_02")) for picture in annotations.pictures[:4]] == [
        "0000/000000.png",
        "0000/000001.png",
        "0001/000000.png",
        "0001/000001.png",
    ]
    assert annotations.offsets[:5].tolist() == [0, 0, 2, 3, 3]
    assert annotations.boxes[[0, 2]].tolist() == [[2, 3, 30, 33], [4, 5, 20, 30]]
    assert annotations.ignored.tolist() == [False, True, False, False]
    assert [problem.kind for problem in screen(annotations, decode=False).problems][:1] == ["missing picture"]


def test_a_picture_of_kitti_without_labels_is_lost(tmp_path: Path) -> None:
    path = write_kitti(tmp_path)
    (path / "label_2" / "a.txt").unlink()
    annotations = read_annotations(path)
    assert what_is_in(annotations) == WITHOUT_A
    assert problems(annotations) == [("a.png", "", "picture without labels", True)]
