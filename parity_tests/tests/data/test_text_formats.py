"""DOTA, VisDrone, MOT and WIDER FACE: texts of their own, found by what is in them, and each thing special in them."""

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from parity_tests.tests.support.accounting import places_of_boxes, places_of_losses
from parity_tests.tests.support.damage import DAMAGES, Damage
from parity_tests.tests.support.data_sets import BOXES, PICTURES, problems_in_a_file, what_is_in, write_pictures
from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.formats import list_splits, read_annotations
from torch_retinanet.data.screening import screen
from torch_retinanet.errors import InputError

BOX = "2,3,28,30"
"""Corner and sides of the first box."""


def write_dota(folder: Path) -> Path:
    """A file of it, with a header, an object and one that is difficult."""
    write_pictures(folder / "images", ["a.png"])
    file = folder / "labelTxt" / "a.txt"
    file.parent.mkdir()
    file.write_text("imagesource:GoogleEarth\ngsd:0.146\n2 3 30 5 28 33 4 31 cat 0\n10 5 50 5 50 25 10 25 big dog 1\n")
    return file


def write_visdrone(folder: Path) -> Path:
    """A file of it, with an object, one that does not count, and a region that is ignored."""
    write_pictures(folder / "images", ["a.png"])
    file = folder / "annotations" / "a.txt"
    file.parent.mkdir()
    file.write_text(f"{BOX},1,4,0,0\n10,5,40,20,0,11,0,1,\n20,20,8,8,1,0,0,0\n")
    return file


def write_mot(folder: Path) -> Path:
    """A film of three frames, of which the second has nothing."""
    write_pictures(folder / "img1", ["000001.png", "000002.png", "000003.png"])
    file = folder / "gt" / "gt.txt"
    file.parent.mkdir()
    file.write_text("1,7,3,4,28,30,1,1,0.9\n1,8,11,6,40,20,0,12,0.5\n3,7,3,4,28,30,1,3,1\n")
    return file


def write_wider_face(folder: Path) -> Path:
    """Three pictures: with a face, with two of which one is invalid, and with none."""
    write_pictures(folder / "WIDER_train" / "images" / "0--Parade")
    file = folder / "wider_face_split" / "wider_face_train_bbx_gt.txt"
    file.parent.mkdir()
    faces = {"a": ["2 3 28 30 0 0 0 0 0 0"], "b": ["4 4 16 32 0 0 0 0 0 0", "30 8 26 22 2 0 0 1 0 0"], "c": []}
    lines = [[f"0--Parade/{name}.png", str(len(own)), *(own or ["0 " * 10])] for name, own in faces.items()]
    file.write_text("".join(f"{line} \n" for own in lines for line in own))
    return file


WRITERS = {"DOTA": write_dota, "VisDrone": write_visdrone, "MOT": write_mot, "WIDER FACE": write_wider_face}

READ = {
    "DOTA": {"a.png": [("cat", (2, 3, 30, 33)), ("big dog", (10, 5, 50, 25))]},
    "VisDrone": {"a.png": [("car", (2, 3, 30, 33)), ("", (10, 5, 50, 25)), ("", (20, 20, 28, 28))]},
    "MOT": {
        "000001.png": [("pedestrian", (2, 3, 30, 33)), ("", (10, 5, 50, 25))],
        "000002.png": [],
        "000003.png": [("car", (2, 3, 30, 33))],
    },
    "WIDER FACE": {
        "a.png": [("face", (2, 3, 30, 33))],
        "b.png": [("face", (4, 4, 20, 36)), ("", (30, 8, 56, 30))],
        "c.png": [],
    },
}

IGNORED = {
    "DOTA": [False, True],
    "VisDrone": [False, True, True],
    "MOT": [False, True, False],
    "WIDER FACE": [False, False, True],
}


@pytest.mark.parametrize("name", WRITERS)
def test_objects_are_read_and_what_does_not_count_is_ignored(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / "data")
    annotations = read_annotations(tmp_path)
    assert annotations.choice is not None
    assert annotations.choice.taken.startswith(f"{name} in data/")
    assert what_is_in(annotations) == READ[name]
    assert annotations.ignored.tolist() == IGNORED[name]
    assert annotations.problems == []


@pytest.mark.parametrize("name", ["DOTA", "VisDrone", "MOT"])
def test_folders_of_splits_are_one_data_set(name: str, tmp_path: Path) -> None:
    for folder in ("set-train", "set-val", "set-test-dev"):
        WRITERS[name](tmp_path / folder)
    assert sorted(list_splits(tmp_path)) == ["test", "train", "val"]
    assert what_is_in(read_annotations(tmp_path, split="val")) == READ[name]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("name", WRITERS)
def test_damaged_texts_are_refused_or_account_for_every_line_that_stayed(
    name: str, damage: Damage, tmp_path: Path
) -> None:
    file = WRITERS[name](tmp_path)
    content = file.read_bytes()
    read = read_annotations(tmp_path)
    whole = places_of_boxes(read)
    for seed in range(3):
        changed = damage(content, random.Random(f"{damage.__name__} {seed}"))
        file.write_bytes(changed)
        stayed = {f"line {i}" for i, (old, new) in enumerate(lines_of_both(content, changed), 1) if old == new}
        sentence = ""
        try:
            read = read_annotations(tmp_path)
            screen(read, decode=False)
        except InputError as error:
            sentence = str(error)
        assert "\n" not in sentence
        with_picture = any("boxes lost with it" in problem.finding for problem in read.problems)
        accounted = places_of_boxes(read) | places_of_losses(read.problems)
        missing = {(path, place) for path, place in whole if place in stayed} - accounted
        assert sentence or with_picture or not missing or (file, "") in accounted, f"seed {seed}: {changed!r}"


def lines_of_both(one: bytes, other: bytes) -> Iterator[tuple[bytes, bytes]]:
    return zip(one.splitlines(), other.splitlines(), strict=False)


def damaged(write: Callable[[Path], Path], folder: Path, number: int, line: str) -> Annotations:
    """What is read where a line, counted from 1, is another."""
    file = write(folder)
    lines = file.read_text().splitlines()
    lines[number - 1 : number] = [line]
    file.write_text("\n".join(lines))
    return read_annotations(folder)


@pytest.mark.parametrize(
    ("write", "number", "line", "kind"),
    [
        (write_dota, 4, "1 2 3 4 5 6 7 cat 0", "no number"),
        (write_dota, 4, "1 2 3 4 5 6 7 8", "fields that are not 10"),
        (write_visdrone, 2, "1,2,3,4,1,4,0", "fields that are not 8"),
        (write_visdrone, 2, f"{BOX},1,99,0,0", "object without class"),
        (write_mot, 2, "1,7,3,4,28", "fields that are not 9"),
        (write_mot, 2, "x,7,3,4,28,30,1,1,1", "no number of a frame"),
        (write_wider_face, 6, "4 4 16", "fields that are not 10"),
        (write_wider_face, 6, "4 4 sixteen 32", "no number"),
    ],
)
def test_a_bad_line_is_a_loss_at_its_place(
    write: Callable[[Path], Path], number: int, line: str, kind: str, tmp_path: Path
) -> None:
    assert problems_in_a_file(damaged(write, tmp_path, number, line)) == [(f"line {number}", kind, True)]


def test_a_wrong_number_of_faces_leaves_the_picture_out(tmp_path: Path) -> None:
    read = damaged(write_wider_face, tmp_path, 5, "3")
    assert problems_in_a_file(read) == [("line 4", "faces that are not 3", True)]
    assert list(what_is_in(screen(read, decode=False))) == ["a.png", "c.png"]


def test_faces_are_never_given_to_the_picture_before(tmp_path: Path) -> None:
    read = damaged(write_wider_face, tmp_path, 4, "no picture at all")
    assert what_is_in(screen(read, decode=False)) == {"c.png": []}, "the line may be a face of the first picture"


def test_pictures_of_wider_face_never_lie_outside(tmp_path: Path) -> None:
    write_pictures(tmp_path, ["out.png"])
    read = damaged(write_wider_face, tmp_path / "data", 1, "../../../out.png")
    assert [path.name for path in read.pictures] == ["b.png", "c.png"]


def test_films_of_visdrone_have_their_frames_in_sequences(tmp_path: Path) -> None:
    write_pictures(tmp_path / "sequences" / "uav_v", ["0000001.png", "0000002.png"])
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "uav_v.txt").write_text(f"2,0,{BOX},1,1,0,0\n")
    read = read_annotations(tmp_path)
    assert what_is_in(read) == {"0000001.png": [], "0000002.png": [("pedestrian", (2, 3, 30, 33))]}


def test_labels_beside_a_film_name_its_classes_from_pixel_0(tmp_path: Path) -> None:
    write_mot(tmp_path).with_name("labels.txt").write_text("ant\nbee\ncat\n")
    assert what_is_in(read_annotations(tmp_path))["000003.png"] == [("cat", (3, 4, 31, 34))]


def test_lines_of_mot_may_lack_a_class_and_detections_are_no_truth(tmp_path: Path) -> None:
    file = write_mot(tmp_path)
    (tmp_path / "det").mkdir()
    (tmp_path / "det" / "det.txt").write_text("1,-1,3,4,28,30,0.9,-1,-1,-1\n")
    file.write_text("1,7,3,4,28,30,1,-1,-1,-1\n")
    read = read_annotations(tmp_path)
    assert what_is_in(read)["000001.png"] == [("pedestrian", (2, 3, 30, 33))]
    assert (len(read.boxes), read.choice and read.choice.others) == (1, [])


def test_the_labels_of_one_picture_are_no_data_set(tmp_path: Path) -> None:
    for name in ("DOTA", "VisDrone"):
        file = WRITERS[name](tmp_path / name)
        with pytest.raises(InputError, match=rf"^{re.escape(str(file))}: holds the labels of one picture, as {name} "):
            read_annotations(file)


def test_folders_of_kitti_are_one_data_set_too(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write_pictures(tmp_path / split / "image_2")
        (tmp_path / split / "label_2").mkdir()
        for picture in PICTURES:
            lines = [f"{name} 0 0 0 {' '.join(map(str, box))} 1 1 1 1 1 1 1\n" for name, box in BOXES[picture]]
            (tmp_path / split / "label_2" / picture).with_suffix(".txt").write_text("".join(lines))
    assert list_splits(tmp_path) == ["train", "val"]
