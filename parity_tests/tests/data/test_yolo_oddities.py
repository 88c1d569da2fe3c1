"""YOLO data sets as people have them: labels of other names, mostly empty, between commas, copied into themselves."""

import re
from pathlib import Path

import pytest

from parity_tests.tests.support.data_sets import BOXES, PICTURES, problems, what_is_in, write_pictures, write_yolo
from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.formats import read_annotations
from torch_retinanet.data.formats.yolo import read_yolo
from torch_retinanet.data.picture_files import look_at
from torch_retinanet.errors import InputError

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"


def beside(path: Path) -> Path:
    """A data set whose labels lie beside its pictures."""
    for folder in ("images", "labels"):
        for file in list((path / folder).iterdir()):
            file.rename(path / file.name)
        (path / folder).rmdir()
    return path


def noted(annotations: Annotations) -> list[str]:
    """What is found in it, in its kinds."""
    return [problem.kind for problem in annotations.problems]


@pytest.mark.parametrize("apart", [True, False])
def test_labels_may_be_called_after_the_whole_name_of_a_picture(apart: bool, tmp_path: Path) -> None:
    path = write_yolo(tmp_path)
    for name in PICTURES:
        labels = (path / "labels" / name).with_suffix(".txt")
        labels.rename(labels.with_name(f"{name}.txt"))
    annotations = read_annotations(path if apart else beside(path))
    assert what_is_in(annotations) == BOXES
    assert not annotations.problems


def test_of_labels_of_both_names_those_that_are_not_read_are_lost(tmp_path: Path) -> None:
    path = write_yolo(tmp_path)
    (path / "labels" / "a.png.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    annotations = read_yolo(path)
    assert what_is_in(annotations) == BOXES
    assert problems(annotations) == [("a.png.txt", "", "labels without picture", True)]


def test_labels_beside_pictures_are_known_where_nearly_all_are_empty(tmp_path: Path) -> None:
    write_pictures(tmp_path, [f"{number:02}.png" for number in range(40)])
    for number in range(40):
        (tmp_path / f"{number:02}.txt").write_text("0 0.5 0.5 0.1 0.1\n" if number == 33 else "")
    assert len(read_annotations(tmp_path).boxes) == 1


@pytest.mark.parametrize("line", ["0,0.5,0.5,0.1,0.1", "0, 0.5, 0.5, 0.1, 0.1", "0;0.5;0.5;0.1;0.1"])
def test_fields_between_commas_are_said_to_be_so(line: str, tmp_path: Path) -> None:
    path = write_yolo(tmp_path)
    (path / "labels" / "a.txt").write_text(line)
    assert problems(read_yolo(path)) == [
        ("a.txt", "line 1", "fields that must be separated by blanks, and by nothing else", True)
    ]


@pytest.mark.parametrize(("nc", "differs"), [("2", False), ("3", True), ("many", True)])
def test_a_number_of_classes_that_is_not_that_of_the_names_is_noted(nc: str, differs: bool, tmp_path: Path) -> None:
    path = write_yolo(tmp_path)
    (path / "data.yaml").write_text(f"names: [cat, dog]\nnc: {nc}\n")
    assert noted(read_yolo(path)) == ["nc that is not the number of names"] * differs


def test_a_data_set_that_is_copied_into_itself_is_noted(tmp_path: Path) -> None:
    path, inner = write_yolo(tmp_path), write_yolo(tmp_path / "other")
    inner.rename(path / "copy")
    annotations = read_annotations(path)
    (problem,) = annotations.problems
    assert problem.finding == "pictures that lie in the data set twice, as if it were copied into itself: 3"
    assert problem.assumption


@pytest.mark.parametrize(
    ("content", "why"), [(POINTER, "a Git LFS pointer in place of the file itself"), ("", "an empty file")]
)
def test_a_picture_that_is_a_pointer_or_empty_is_called_so(content: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text(content)
    for decode in (False, True):
        assert look_at([tmp_path / "a.jpg"], decode=decode)[0].why.startswith(why)


@pytest.mark.parametrize("name", ["a.json", "a.csv", "a.xml", "data.yaml", "below/a.json"])
def test_annotations_that_are_a_pointer_are_called_so(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(POINTER)
    for path in (file, tmp_path):
        with pytest.raises(InputError, match=f"^{re.escape(str(file))}: is a Git LFS pointer .*`git lfs pull`"):
            read_annotations(path)
