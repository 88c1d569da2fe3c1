"""Annotations are read in whatever format they are, told apart by looking; names never lead out of their folder."""

import json
import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity_tests.tests.support.data_sets import (
    BOXES,
    CLASSES,
    PICTURES,
    WRITERS,
    coco,
    what_is_in,
    write_coco,
    write_csv,
    write_pictures,
    write_voc,
)
from parity_tests.tests.support.tool_data_sets import TOOL_WRITERS
from torch_retinanet.data import tree
from torch_retinanet.data.annotations import Annotations, Choice, Problem
from torch_retinanet.data.formats import list_splits, read_annotations
from torch_retinanet.errors import InputError

ALL_WRITERS = WRITERS | TOOL_WRITERS


def lost(annotations: Annotations) -> list[Problem]:
    return [problem for problem in annotations.problems if problem.data_loss]


def refused(sentence: str, path: Path) -> AbstractContextManager[Any]:
    return pytest.raises(InputError, match=f"^{re.escape(sentence.format(path))}")


@pytest.mark.parametrize("name", ALL_WRITERS)
def test_the_same_objects_are_read_from_every_format(name: str, tmp_path: Path) -> None:
    annotations = read_annotations(ALL_WRITERS[name](tmp_path))
    assert what_is_in(annotations) == BOXES
    assert list(annotations.classes) == list(CLASSES)
    assert annotations.problems == []
    assert not annotations.ignored.any()
    assert annotations.offsets.tolist() == [0, 2, 5, 5]
    assert all(path.is_file() for path in [*annotations.pictures, *annotations.files])


@pytest.mark.parametrize("name", ALL_WRITERS)
def test_labels_are_those_of_a_model_that_knows_the_names(name: str, tmp_path: Path) -> None:
    annotations = read_annotations(ALL_WRITERS[name](tmp_path), class_names=["horse", "dog", "cat"])
    assert what_is_in(annotations) == BOXES
    assert annotations.labels.tolist() == [2, 1, 1, 2, 1]


@pytest.mark.parametrize("name", ALL_WRITERS)
def test_boxes_of_classes_that_a_model_does_not_know_are_left_out_and_counted(name: str, tmp_path: Path) -> None:
    annotations = read_annotations(ALL_WRITERS[name](tmp_path), class_names=["cat"])
    assert {path.name: len(annotations.objects(i).boxes) for i, path in enumerate(annotations.pictures)} == {
        "a.png": 1,
        "b.png": 1,
        "c.png": 0,
    }
    assert [problem.finding for problem in lost(annotations)] == ["unknown class: 'dog', boxes: 3"]


def test_ids_of_coco_follow_the_classes_of_a_model(tmp_path: Path) -> None:
    path = write_coco(tmp_path)
    assert read_annotations(path).class_ids == [3, 7]
    assert read_annotations(path, class_names=["horse", "dog", "cat"]).class_ids == [-1, 7, 3]
    assert read_annotations(path).picture_ids == [0, 10, 20]


@pytest.mark.parametrize(("suffix", "name"), [("", "coco"), (".txt", "csv"), (".data", "csv with header")])
def test_a_file_of_another_suffix_is_told_by_how_it_begins(suffix: str, name: str, tmp_path: Path) -> None:
    path = ALL_WRITERS[name](tmp_path)
    assert what_is_in(read_annotations(path.rename(tmp_path / f"objects{suffix}"))) == BOXES


def test_what_is_no_annotation_is_refused_in_a_sentence(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    with refused("{}: must hold annotations, as COCO's JSON, CSV, Pascal VOC's XML, text files of YOLO", tmp_path):
        read_annotations(tmp_path)
    with refused("{}: must be annotations, as COCO's JSON", tmp_path / "a.png"):
        read_annotations(tmp_path / "a.png")
    with pytest.raises(FileNotFoundError, match=r"nowhere: there is no such file or folder$"):
        read_annotations(tmp_path / "nowhere")


def test_of_several_formats_one_is_taken_and_all_are_named(tmp_path: Path) -> None:
    write_csv(tmp_path)
    (tmp_path / "objects.json").write_text("{}")
    assert read_annotations(tmp_path).choice == Choice("CSV in objects.csv", [], []), "a JSON of another kind is none"
    write_voc(tmp_path)
    annotations = read_annotations(tmp_path)
    assert what_is_in(annotations) == BOXES
    taken = f"Pascal VOC in {tmp_path.name}"
    assert annotations.choice == Choice(taken, ["train", "val"], ["CSV in objects.csv"]), "which can be trained on"


def test_a_folder_with_one_file_of_a_format_is_read(tmp_path: Path) -> None:
    write_csv(tmp_path)
    assert what_is_in(read_annotations(tmp_path)) == BOXES
    (tmp_path / "classes.csv").write_text("dog,0\ncat,1\n")
    assert read_annotations(tmp_path, classes=tmp_path / "classes.csv").classes == ["dog", "cat"]


def test_splits_that_are_files_are_told_by_their_names(tmp_path: Path) -> None:
    content = write_coco(tmp_path).rename(tmp_path / "instances_val2017.json").read_text()
    (tmp_path / "instances_train2017.json").write_text(content)
    (tmp_path / "captions_val2017.json").write_text("{}")
    assert list_splits(tmp_path) == ["train", "val"]
    assert what_is_in(read_annotations(tmp_path, split="val")) == BOXES
    with pytest.raises(InputError, match=r"^split: 'test' must be one of train, val in "):
        read_annotations(tmp_path, split="test")
    with pytest.raises(InputError, match=r"^split: 'val' must not be given, since .*val2017.json has no splits$"):
        read_annotations(tmp_path / "instances_val2017.json", split="val")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("voc", "must be one of train, val in "),
        ("yolo", "must not be given, since .* has no splits$"),
        ("kitti", "must not be given, since .* has no splits$"),
    ],
)
def test_an_unknown_split_is_refused_and_the_known_ones_named(name: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"^split: 'evening' {sentence}"):
        read_annotations(ALL_WRITERS[name](tmp_path), split="evening")


LAYOUTS = ["", "images", "objects", "../images", "../objects", "../"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["coco", "csv"])
def test_pictures_are_found_where_they_lie_by_custom(name: str, layout: str, tmp_path: Path) -> None:
    path = ALL_WRITERS[name](tmp_path / "annotations")
    for picture in PICTURES:
        (tmp_path / "annotations" / picture).unlink()
    write_pictures((tmp_path / "annotations" / layout).resolve())
    assert all(picture.is_file() for picture in read_annotations(path).pictures)


@pytest.mark.parametrize("name", ALL_WRITERS)
def test_pictures_are_found_in_the_folder_that_is_given(name: str, tmp_path: Path) -> None:
    write_pictures(tmp_path / "elsewhere")
    path = ALL_WRITERS[name](tmp_path / "data")
    annotations = read_annotations(path, images=tmp_path / "elsewhere")
    assert [path.parent for path in annotations.pictures] == [tmp_path / "elsewhere"] * 3
    assert what_is_in(annotations) == BOXES
    with pytest.raises(InputError, match=r"^images: .*nowhere must be a folder$"):
        read_annotations(path, images=tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["../out.png", "folder/../../out.png", "..\\out.png"])
def test_a_name_that_leads_out_of_the_folder_is_not_followed(name: str, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "data")
    write_pictures(tmp_path, ["out.png"])
    (tmp_path / "data" / "folder").mkdir()
    with path.open("a") as file:
        file.write(f"{name},1,2,3,4,cat\n{name},1,2,5,6,cat\n")
    annotations = read_annotations(path)
    assert what_is_in(annotations) == BOXES
    assert [(one.location, one.finding) for one in lost(annotations)] == [
        ("line 7", f"path out of the folder of the pictures: {name!r}, boxes lost with it: 2")
    ]


def test_links_in_the_folder_of_the_pictures_are_followed(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "data")
    write_pictures(tmp_path / "out", ["d.png"])
    (tmp_path / "data" / "sub").symlink_to(tmp_path / "out")
    (tmp_path / "data" / "e.png").symlink_to(tmp_path / "out" / "d.png")
    path.write_text("sub/d.png,1,2,3,4,cat\ne.png,1,2,3,4,cat\n")
    annotations = read_annotations(path)
    assert annotations.pictures == [tmp_path / "data" / "sub" / "d.png", tmp_path / "data" / "e.png"]
    assert not lost(annotations)


@pytest.mark.parametrize("name", ["/home/somebody/a.png", "C:\\data\\a.png", "\\\\server\\share\\a.png"])
def test_of_an_absolute_path_the_bare_name_is_used_where_it_is_there(name: str, tmp_path: Path) -> None:
    path = write_csv(tmp_path)
    path.write_text(f"{name},1,2,3,4,cat\n")
    annotations = read_annotations(path)
    assert annotations.pictures == [tmp_path / "a.png"]
    assert [problem.finding for problem in annotations.problems][:1] == [
        f"picture found by its bare name: {name!r} is 'a.png'"
    ]
    assert not lost(annotations)


def test_absolute_paths_that_would_be_one_picture_are_not_mixed_up(tmp_path: Path) -> None:
    path = write_csv(tmp_path)
    path.write_text("/x/a.png,1,2,3,4,cat\n/y/a.png,5,6,7,8,cat\n/x/nowhere.png,1,2,3,4,cat\n")
    annotations = read_annotations(path)
    assert what_is_in(annotations) == {"a.png": [("cat", (1, 2, 3, 4))]}
    assert [problem.finding.partition(":")[0] for problem in lost(annotations)] == [
        "two names of one picture",
        "absolute path",
    ]


def test_names_with_slashes_of_either_kind_are_found_in_folders(tmp_path: Path) -> None:
    path = write_csv(tmp_path)
    write_pictures(tmp_path / "deep" / "er", ["d.png", "e.png"])
    path.write_text("deep/er/d.png,1,2,3,4,cat\n.\\deep\\er\\e.png,1,2,3,4,cat\n")
    assert read_annotations(path).pictures == [tmp_path / "deep" / "er" / "d.png", tmp_path / "deep" / "er" / "e.png"]


@pytest.mark.parametrize("content", ["dog,0\ncat,1\n", "cat,1\ndog,0\n", "dog,1\ncat,2.0\n", "dog\ncat\n"])
def test_a_file_of_classes_says_their_labels(content: str, tmp_path: Path) -> None:
    path = write_csv(tmp_path)
    (tmp_path / "names.txt").write_text(content)
    annotations = read_annotations(path, classes=tmp_path / "names.txt")
    assert annotations.classes == ["dog", "cat"]
    assert what_is_in(annotations) == BOXES


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("dog,0\ncat,3\n", "{}: line 2, 'cat,3', must be a name and an id from 0 to 1 or from 1 to 2, each id once"),
        ("dog,0\ncat,2\n", "{}: ids must be a name and an id from 0 to 1 or from 1 to 2, each id once"),
        ("dog,0\ncat,0\n", "{}: line 2, 'cat,0', must be"),
        ("dog,zero\n", "{}: line 1, 'dog,zero', must be"),
        ("dog\ndog\n", "{}: name 'dog' must be there once"),
        ("", "{}: must hold names of classes"),
    ],
)
def test_a_file_of_classes_that_is_not_whole_is_refused(content: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_text(content)
    with refused(sentence, tmp_path / "names.csv"):
        read_annotations(write_csv(tmp_path), classes=tmp_path / "names.csv")


@pytest.mark.parametrize("name", ["coco", "csv"])
def test_boxes_in_any_order_are_those_of_their_pictures(name: str, tmp_path: Path) -> None:
    path = ALL_WRITERS[name](tmp_path)
    if name == "coco":
        path.write_text(json.dumps(coco() | {"annotations": coco()["annotations"][::-1]}))
    else:
        path.write_text("\n".join(path.read_text().splitlines()[::-1]))
    assert what_is_in(read_annotations(path)) == {picture: boxes[::-1] for picture, boxes in BOXES.items()}


def test_pictures_that_no_annotation_names_are_noted_together(tmp_path: Path) -> None:
    path = write_csv(tmp_path)
    write_pictures(tmp_path, [f"other_{i:02}.png" for i in range(12)])
    assert read_annotations(path).problems == [
        Problem(
            path, "", "pictures that no annotation names: 12, as 'other_00.png'", "they are left out", data_loss=False
        )
    ]


def test_some_pictures_or_boxes_can_be_selected(tmp_path: Path) -> None:
    annotations = read_annotations(write_coco(tmp_path))
    second = annotations.select(pictures=np.array([False, True, False]))
    assert what_is_in(second) == {"b.png": BOXES["b.png"]}
    assert second.picture_ids == [10]
    cats = annotations.select(boxes=annotations.labels == 0)
    assert what_is_in(cats) == {name: [pair for pair in BOXES[name] if pair[0] == "cat"] for name in PICTURES}
    assert coco()["annotations"][int(cats.places[1])]["bbox"] == [30, 8, 26, 22]


def test_a_folder_that_is_looked_through_in_part_is_said(tmp_path: Path) -> None:
    write_csv(tmp_path)
    assert not [one for one in read_annotations(tmp_path).problems if "in part" in one.finding]
    deep = tmp_path.joinpath(*map(str, range(tree.DEPTH + 1)))
    deep.mkdir(parents=True)
    [problem] = [one for one in read_annotations(tmp_path).problems if "in part" in one.finding]
    assert (problem.file, problem.data_loss, problem.assumption) == (tmp_path, False, True)
