"""What YOLO's text files say, and each thing that can be wrong with one of them, or with their settings."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from parity_tests.tests.support.data_sets import (
    BOXES,
    PICTURES,
    problems,
    what_is_in,
    write_pictures,
    write_yolo,
    yolo_line,
)
from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.formats import list_splits, read_annotations
from torch_retinanet.data.formats.yolo import read_yolo
from torch_retinanet.data.screening import screen
from torch_retinanet.errors import InputError

WITHOUT_A = {name: BOXES[name] for name in PICTURES[1:]}


def test_pictures_of_yolo_without_a_label_file_are_background_and_said_once(tmp_path: Path) -> None:
    path = write_yolo(tmp_path)
    for name in "ac":
        (path / "labels" / f"{name}.txt").unlink()
    annotations = read_annotations(path)
    assert what_is_in(annotations) == {"a.png": [], "b.png": BOXES["b.png"], "c.png": []}
    (problem,) = annotations.problems
    assert problem.finding == "pictures without a label file: 2, as 'a.png'"
    assert (problem.data_loss, problem.assumption) == (False, True)
    fewer = read_annotations(path, labelled_only=True)
    assert what_is_in(fewer) == {"b.png": BOXES["b.png"]}
    assert [(one.data_loss, one.assumption) for one in fewer.problems] == [(False, False)]


@pytest.mark.parametrize("name", ["train/_darknet.labels", "cfg/coco.names", "predefined_classes.txt"])
def test_the_names_of_classes_are_read_from_the_file_that_a_tool_wrote(name: str, tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    Image.new("RGB", (60, 40)).save(tmp_path / "train" / "a.jpg")
    (tmp_path / "train" / "a.txt").write_text("1 0.5 0.5 0.5 0.5\n")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("green\nred\n")
    assert read_annotations(tmp_path).classes == ["green", "red"]


def test_labels_without_a_picture_are_lost(tmp_path: Path) -> None:
    path = write_yolo(tmp_path)
    (path / "images" / "a.png").unlink()
    annotations = read_yolo(path)
    assert what_is_in(annotations) == WITHOUT_A
    assert problems(annotations) == [("a.txt", "", "labels without picture", True)]


def test_shares_of_yolo_are_those_of_the_upright_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    Image.new("RGB", (60, 40)).save(tmp_path / "images" / "a.jpg", exif=exif)
    (tmp_path / "labels" / "a.txt").write_text("3 0.5 0.25 0.5 0.5\n")
    annotations = read_yolo(tmp_path)
    assert annotations.boxes.tolist() == [[10, 0, 30, 30]], "of 40 by 60 pixels"
    assert annotations.classes == ["3"], "the number, where no file has names"


def yolo_with(tmp_path: Path, line: str, yaml: str = "") -> Annotations:
    """The data set with a line for its third picture."""
    path = write_yolo(tmp_path)
    (path / "labels" / "c.txt").write_text(line)
    if yaml:
        (path / "data.yaml").write_text(f"names: [cat, dog]\n{yaml}\n")
    return read_yolo(path)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("0 0.5 0.5 0.1", "fields that are not 5"),
        ("1 0.5 half 0.1 0.1", "no number"),
        ("0 0.5 0.5 0.1 0.1 -0.3", "fields that are neither a box nor an outline"),
        ("0 10 10 20 10 20 30", "outline beyond the picture, as one in pixels, which `--boxes cxcywh` reads"),
    ],
)
def test_a_line_of_yolo_without_a_place_takes_its_picture_out(line: str, kind: str, tmp_path: Path) -> None:
    annotations = yolo_with(tmp_path, line)
    assert problems(annotations) == [("c.txt", "line 1", kind, True)]
    assert what_is_in(screen(annotations, decode=False)) == {name: BOXES[name] for name in PICTURES[:2]}


@pytest.mark.parametrize(
    ("number", "kind"), [("-1", "no number of a class"), ("0.5", "no number of a class"), ("2", "unknown class")]
)
def test_a_line_of_yolo_of_no_class_is_ignored_where_it_is(number: str, kind: str, tmp_path: Path) -> None:
    annotations = yolo_with(tmp_path, f"{number} 0.5 0.5 0.1 0.1")
    assert what_is_in(annotations) == BOXES | {"c.png": [("", (27, 18, 33, 22))]}
    assert annotations.ignored.tolist() == [False] * 5 + [True]
    assert problems(annotations) == [("c.txt", "line 1", kind, True)]


@pytest.mark.parametrize(
    "numbers",
    [
        "0.5 0.5 0.1 0.1",
        "0.000000e+00 0.5 0.5 1e-1 0.1",
        "0.5 0.5 0.1 0.1 0.91",
        "0.5 0.5 0.1 0.1 7",
        "0.5 0.5 0.1 0.1 0.91 7",
        "0.45 0.45 0.55 0.45 0.55 0.55",
        "0.45 0.45 0.55 0.45 0.55 0.55 0.45 0.55",
        "0.45 0.45 0.55 0.45 0.55 0.55 0.45 0.55 0.8",
        "0.45 0.45 0.55 0.45 0.55 0.55 0.5 0.46 0.45 0.55",
        "0.5 0.5 0.1 0.1 0.47 0.46 2",
        "0.5 0.5 0.1 0.1 0.47 0.46 2 0.0 0.0 0",
        "0,5 0,5 0,1 0,1",
    ],
)
def test_a_line_of_yolo_may_be_an_outline_or_have_a_score_or_key_points(numbers: str, tmp_path: Path) -> None:
    line = numbers if numbers.startswith("0.0") else f"0 {numbers}"
    annotations = yolo_with(tmp_path, line)
    assert what_is_in(annotations) == BOXES | {"c.png": [("cat", (27, 18, 33, 22))]}
    assert annotations.problems == []


def test_a_yaml_says_how_many_key_points_there_are(tmp_path: Path) -> None:
    """Otherwise the line would be the four corners of a rotated box."""
    annotations = yolo_with(tmp_path, "0 0.5 0.5 0.1 0.1 0.47 0.46 0.52 0.51", "kpt_shape: [2, 2]")
    assert what_is_in(annotations)["c.png"] == [("cat", (27, 18, 33, 22))]


@pytest.mark.parametrize(
    ("names", "numbers", "classes"),
    [
        ("{1: a, 2: b}", (1, 2), ["a", "b"]),
        ("{'0': a, '1': b}", (0, 1), ["a", "b"]),
        ("{0: a, 7: b}", (0, 7), ["a", "b"]),
        ("[off, 010]", (0, 1), ["off", "010"]),
        ("[on, 1.0]", (0, 1), ["on", "1.0"]),
    ],
)
def test_names_are_texts_by_the_numbers_that_a_yaml_gives_them(
    names: str, numbers: tuple[int, int], classes: list[str], tmp_path: Path
) -> None:
    path = write_yolo(tmp_path)
    (path / "data.yaml").write_text(f"names: {names}\n")
    lines = "".join(f"{number} 0.5 0.5 0.{i + 1} 0.1\n" for i, number in enumerate(numbers))
    for name in "abc":
        (path / "labels" / f"{name}.txt").write_text(lines)
    annotations = read_yolo(path)
    assert annotations.classes == classes
    assert annotations.labels.tolist() == [0, 1] * 3
    assert annotations.problems == []


def test_a_picture_that_cannot_be_opened_has_no_size_for_shares(tmp_path: Path) -> None:
    path = write_yolo(tmp_path)
    (path / "images" / "a.png").write_bytes(b"no picture")
    annotations = read_yolo(path)
    assert what_is_in(annotations) == WITHOUT_A
    assert annotations.problems[0].finding.endswith("boxes lost with it: 2")


SPLIT_LAYOUTS = {
    "images/train": ("images/train", "labels/train"),
    "train/images": ("train/images", "train/labels"),
}


def write_split_yolo(folder: Path, layout: str, names: Sequence[str] = PICTURES) -> Path:
    for split in ("train", "val"):
        images, labels = (folder / place.replace("train", split) for place in SPLIT_LAYOUTS[layout])
        write_pictures(images, names)
        labels.mkdir(parents=True)
        for name in names:
            lines = "".join(yolo_line(*one) for one in BOXES[name])
            (labels / name).with_suffix(".txt").write_text(lines)
    return folder


@pytest.mark.parametrize("layout", SPLIT_LAYOUTS)
@pytest.mark.parametrize(
    "yaml",
    [
        "",
        "names: [cat, dog]\n",
        "names: {0: cat, 1: dog}\npath: ../datasets/x\ntrain: images/train\nval: images/val\n",
        "names: [cat, dog]\ntrain: ../train/images\nval: ../val/images\ntest: ../test/images\n",
    ],
)
def test_splits_of_yolo_are_folders_that_a_yaml_may_name(layout: str, yaml: str, tmp_path: Path) -> None:
    path = write_split_yolo(tmp_path, layout)
    if yaml:
        (path / "data.yaml").write_text(yaml)
    assert sorted(list_splits(path)) == ["train", "val"]
    annotations = read_annotations(path / "data.yaml" if yaml else path, split="val")
    assert {picture.relative_to(path).parts[:2] for picture in annotations.pictures} == {
        tuple(SPLIT_LAYOUTS[layout][0].replace("train", "val").split("/"))
    }
    assert annotations.offsets.tolist() == [0, 2, 5, 5]
    assert annotations.classes == (["cat", "dog"] if yaml else ["0", "1"])
    assert len(read_annotations(path).pictures) == 6
    assert [one[2:] for one in problems(annotations)] == [("split that leads nowhere", True)] * ("test:" in yaml)


def test_a_split_of_yolo_may_be_a_list_of_pictures(tmp_path: Path) -> None:
    path = write_yolo(tmp_path)
    (path / "data.yaml").write_text("names: [cat, dog]\ntrain: train.txt\n")
    (path / "train.txt").write_text("./images/a.png\nimages/c.png\n../images/d.png\n")
    annotations = read_annotations(path, split="train")
    assert what_is_in(annotations) == {name: BOXES[name] for name in ("a.png", "c.png")}
    assert [one[2:] for one in problems(annotations)] == [("path out of the folder of the pictures", True)]


def test_splits_of_yolo_may_be_lists_without_a_yaml(tmp_path: Path) -> None:
    path = write_yolo(tmp_path)
    (path / "train.txt").write_text("./images/a.png\n./images/c.png\n")
    assert list_splits(path) == []
    (path / "val.txt").write_text("./images/b.png\n")
    assert list_splits(path) == ["train", "val"]
    assert what_is_in(read_annotations(path, split="val")) == {"b.png": BOXES["b.png"]}


def test_the_path_of_a_yaml_may_be_that_of_another_machine(tmp_path: Path) -> None:
    write_yolo(tmp_path / "sets" / "mine")
    (tmp_path / "mine.yaml").write_text("names: [cat, dog]\npath: /home/me/sets/mine\ntrain: images\nval: images\n")
    annotations = read_annotations(tmp_path, split="val")
    assert what_is_in(annotations) == BOXES
    assert not annotations.problems


def test_numbers_of_classes_that_count_from_one_are_noted(tmp_path: Path) -> None:
    path = write_yolo(tmp_path)
    (path / "classes.txt").write_text("cat\ndog\n")
    kind = "numbers of classes that seem to count from 1"
    assert kind not in [problem.kind for problem in read_annotations(path).problems]
    for file in (path / "labels").glob("*.txt"):
        file.write_text("".join(f"{int(line[0]) + 1}{line[1:]}\n" for line in file.read_text().splitlines()))
    (noted,) = [problem for problem in read_annotations(path).problems if problem.kind == kind]
    assert noted.assumption


@pytest.mark.parametrize(
    "yaml", ["names: [cat", "- cat\n", "names: 3\n", "names: {0: cat, dog: 1}\n", "names: []\n", "\x00", "[" * 5000]
)
def test_a_yaml_that_is_not_whole_is_refused(yaml: str, tmp_path: Path) -> None:
    path = write_yolo(tmp_path)
    (path / "data.yaml").write_text(yaml)
    with pytest.raises(InputError, match=r"data\.yaml: (must|names must) "):
        read_annotations(path)


def test_labels_may_lie_beside_pictures_with_other_texts(tmp_path: Path) -> None:
    path = write_yolo(tmp_path)
    for folder in ("images", "labels"):
        for file in list((path / folder).iterdir()):
            file.rename(path / file.name)
        (path / folder).rmdir()
    (path / "notes.txt").write_text("these are my own pictures\n")
    (path / "d.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    annotations = read_annotations(path)
    assert what_is_in(annotations) == BOXES
    assert problems(annotations) == [("d.txt", "", "labels without picture", True)]
