"""What Pascal VOC's XML files say, and each thing that can be wrong with one of them."""

import re
from pathlib import Path

import pytest

from parity_tests.tests.support.data_sets import (
    BOXES,
    PICTURES,
    problems,
    voc_object,
    voc_xml,
    what_is_in,
    write_pictures,
    write_voc,
)
from parity_tests.tests.support.paths import shared
from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.formats import list_splits, read_annotations
from torch_retinanet.data.formats.voc import read_voc
from torch_retinanet.data.screening import screen
from torch_retinanet.errors import InputError

WITHOUT_A = {name: BOXES[name] for name in PICTURES[1:]}


@pytest.mark.parametrize(("split", "names"), [(None, "abc"), ("train", "ac"), ("val", "b")])
def test_voc_has_splits(split: str | None, names: str, tmp_path: Path) -> None:
    path = write_voc(tmp_path)
    assert list_splits(path) == ["train", "val"], "the list of a class is none"
    assert [picture.stem for picture in read_voc(path, split=split).pictures] == list(names)


def test_voc_is_read_from_a_folder_of_xml_beside_pictures_and_from_one_xml(tmp_path: Path) -> None:
    folder = write_voc(tmp_path)
    assert what_is_in(read_voc(folder / "Annotations" / "a.xml")) == {"a.png": BOXES["a.png"]}
    for xml in (folder / "Annotations").iterdir():
        xml.rename(folder / "JPEGImages" / xml.name)
    assert what_is_in(read_annotations(folder / "JPEGImages")) == BOXES


@pytest.mark.parametrize(
    ("line", "kind"),
    [("z", "no annotation"), ("../a", "several annotations"), ("/etc/a", "several annotations")],
)
def test_a_split_that_names_nothing_loses_a_picture(line: str, kind: str, tmp_path: Path) -> None:
    path = write_voc(tmp_path)
    (path / "a.xml").write_text(voc_xml("a.png"))
    (path / "ImageSets" / "Main" / "train.txt").write_text(f"b\n{line}\n")
    annotations = read_voc(path, split="train")
    assert what_is_in(annotations) == {"b.png": BOXES["b.png"]}
    assert problems(annotations) == [("train.txt", "line 2", kind, True)]


def voc_with(tmp_path: Path, content: str | bytes) -> Annotations:
    """The data set with other annotations of its first picture."""
    path = write_voc(tmp_path)
    (path / "Annotations" / "a.xml").write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_voc(path)


def test_names_of_elements_are_read_in_either_case(tmp_path: Path) -> None:
    path = write_voc(tmp_path)
    for file in (path / "Annotations").iterdir():
        file.write_text(re.sub("</?[a-z]+>", lambda name: name[0].upper(), file.read_text()))
    annotations = read_annotations(path)
    assert what_is_in(annotations) == BOXES
    assert not annotations.problems


def test_a_namespace_is_no_part_of_names(tmp_path: Path) -> None:
    xml = voc_xml("a.png", voc_object("cat", (1, 2, 3, 4))).replace(
        "<annotation>", '<annotation xmlns="http://a.b">', 1
    )
    assert what_is_in(voc_with(tmp_path, xml))["a.png"] == [("cat", (1, 2, 3, 4))]


def test_difficult_objects_are_ignored(tmp_path: Path) -> None:
    xml = voc_xml("a.png", voc_object("cat", (1, 2, 30, 40), difficult=1) + voc_object("cat", (1, 2, 30, 40)))
    assert voc_with(tmp_path, xml).ignored.tolist()[:2] == [True, False]


WHOLE = voc_object("cat", (2, 3, 30, 33))


@pytest.mark.parametrize(
    "broken",
    [
        "<object><name>dog</name></object>",
        "<object/>",
        voc_object("dog", (1, 2, 3, 4)).replace("xmax", "ymax"),
        voc_object("dog", (1, 2, 3, 4)).replace(">2<", ">two<"),
        voc_object("dog", (1, 2, 3, 4)).replace("bndbox", "robndbox"),
        "<object><name>dog</name><bndbox/><bndbox/></object>",
        "<object><name>dog</name><polygon/></object>",
    ],
)
def test_an_object_without_a_place_takes_its_picture_out(broken: str, tmp_path: Path) -> None:
    annotations = voc_with(tmp_path, voc_xml("a.png", broken + WHOLE))
    assert [(file, place, lost) for file, place, _, lost in problems(annotations)] == [("a.xml", "object[0]", True)]
    assert annotations.places[:2].tolist() == [0, 1]
    assert what_is_in(screen(annotations, decode=False)) == WITHOUT_A


@pytest.mark.parametrize("name", ["", "nan", "None"])
def test_an_object_without_a_name_is_ignored(name: str, tmp_path: Path) -> None:
    annotations = voc_with(tmp_path, voc_xml("a.png", voc_object(name, (1, 2, 3, 4)) + WHOLE))
    assert what_is_in(annotations) == WITHOUT_A | {"a.png": [("", (1, 2, 3, 4)), *BOXES["a.png"][:1]]}
    assert annotations.ignored.tolist()[:2] == [True, False]
    assert problems(annotations) == [("a.xml", "object[0]", "object without name", True)]


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        ("<robndbox><cx>30</cx><cy>20</cy><w>20</w><h>10</h><angle>0.0</angle></robndbox>", (20, 15, 40, 25)),
        ("<robndbox><cx>30</cx><cy>20</cy><w>20</w><h>10</h><angle>1.5707963</angle></robndbox>", (25, 10, 35, 30)),
        (
            "<polygon><pt><x>3</x><y>4</y></pt><pt><x>9</x><y>5</y></pt><pt><x>5</x><y>8</y></pt></polygon>",
            (3, 4, 9, 8),
        ),
        ("<polygon><x1>3</x1><y1>4</y1><x2>9</x2><y2>5</y2><x3>5</x3><y3>8</y3></polygon>", (3, 4, 9, 8)),
    ],
)
def test_rotated_boxes_and_polygons_have_the_box_around_them(shape: str, box: tuple[int, ...], tmp_path: Path) -> None:
    annotations = voc_with(tmp_path, voc_xml("a.png", f"<object><name>dog</name>{shape}</object>"))
    assert [round(edge, 4) for edge in annotations.boxes[0].tolist()] == list(box)
    assert annotations.problems == []


@pytest.mark.parametrize(("difficult", "ignored"), [("1.0", True), ("true", True), ("0.0", False), ("?", False)])
def test_difficult_is_read_in_any_notation(difficult: str, ignored: bool, tmp_path: Path) -> None:
    xml = voc_object("cat", (1, 2, 30, 40)).replace("<difficult>0<", f"<difficult>{difficult}<")
    assert voc_with(tmp_path, voc_xml("a.png", xml)).ignored.tolist()[0] == ignored


BOMB = """<!DOCTYPE b [<!ENTITY a "ha"><!ENTITY c "&a;&a;&a;">]><annotation><filename>&c;</filename></annotation>"""
OUTSIDE = """<!DOCTYPE b [<!ENTITY a SYSTEM "file:///etc/hostname">]><annotation>&a;</annotation>"""


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no xml",
        voc_xml("a.png", WHOLE)[:-20],
        "<image/>",
        BOMB,
        OUTSIDE,
        b'<?xml version="1.0" encoding="no-such"?><annotation/>',
        b"<annotation>\xff</annotation>",
    ],
)
def test_a_broken_xml_loses_its_picture_alone(content: str | bytes, tmp_path: Path) -> None:
    annotations = voc_with(tmp_path / "folder", content)
    assert what_is_in(annotations) == WITHOUT_A
    (file, place, _, lost), *_ = problems(annotations)
    assert (file, place, lost) == ("a.xml", "", True)
    xml = tmp_path / "folder" / "Annotations" / "a.xml"
    with pytest.raises(InputError, match=f"^{re.escape(str(xml))}: must be "):
        read_voc(xml)


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("latin-1", "café"), ("gb2312", "汽车"), ("Shift_JIS", "車"), ("utf-16", "é"), ("UTF-8", "é")],
)
def test_xml_is_read_in_its_encoding(encoding: str, name: str, tmp_path: Path) -> None:
    head = f'<?xml version="1.0" encoding="{encoding}"?>'
    annotations = voc_with(tmp_path, (head + voc_xml("a.png", voc_object(name, (1, 2, 3, 4)))).encode(encoding))
    assert name in annotations.classes
    assert not annotations.problems


@pytest.mark.parametrize("filename", ["a.jpg", "other.png", "/home/somebody/x.png", "../a.png", "b.png"])
def test_a_filename_that_lies_is_noted_and_the_picture_of_the_xml_is_taken(filename: str, tmp_path: Path) -> None:
    annotations = voc_with(tmp_path, voc_xml(filename, WHOLE))
    assert what_is_in(annotations) == WITHOUT_A | {"a.png": BOXES["a.png"][:1]}
    assert problems(annotations) == [("a.xml", "", "filename of another picture", False)]


@pytest.mark.parametrize("filename", ["A.png", "a.PNG", "A"])
def test_a_filename_in_letters_of_another_case_is_that_of_the_picture(filename: str, tmp_path: Path) -> None:
    assert not voc_with(tmp_path, voc_xml(filename, WHOLE)).problems


def test_of_two_pictures_of_one_name_the_filename_says_which(tmp_path: Path) -> None:
    write_pictures(tmp_path / "JPEGImages", ["a.tif"])
    annotations = voc_with(tmp_path, voc_xml("a.tif", WHOLE))
    assert [path.name for path in annotations.pictures] == ["a.tif", "b.png", "c.png"]


def test_of_two_pictures_of_one_name_none_is_guessed(tmp_path: Path) -> None:
    write_pictures(tmp_path / "JPEGImages", ["a.tif"])
    annotations = voc_with(tmp_path, voc_xml("a.jpg", WHOLE))
    assert what_is_in(annotations) == WITHOUT_A
    assert problems(annotations)[0] == ("a.xml", "", "several pictures of one name", True)


@pytest.mark.parametrize("width", ["0", "-1", "many", "", "nan"])
def test_a_size_that_is_none_is_noted(width: str, tmp_path: Path) -> None:
    xml = voc_xml("a.png", WHOLE).replace("<width>60<", f"<width>{width}<")
    annotations = voc_with(tmp_path, xml)
    assert annotations.sizes.tolist() == [[0, 0], [40, 60], [40, 60]]
    assert problems(annotations) == [("a.xml", "", "size that is none", False)]


@pytest.fixture
def blood() -> Path:
    """The folder of blood cells; without it the test is skipped."""
    return shared("bccd")


def test_blood_cells_are_read_as_they_were_counted(blood: Path) -> None:
    annotations = read_annotations(blood)
    counts = dict(zip(annotations.classes, [int((annotations.labels == k).sum()) for k in range(3)], strict=True))
    assert (len(annotations.pictures), len(annotations.boxes)) == (364, 4888)
    assert counts == {"RBC": 4155, "WBC": 372, "Platelets": 361}
    splits = {name: len(read_annotations(blood, split=name).pictures) for name in ("train", "val", "test")}
    assert splits == {"train": 205, "val": 87, "test": 72}


def test_blood_cells_are_the_same_in_the_csv_with_its_columns_in_another_order(blood: Path) -> None:
    in_xml, in_csv = (what_is_in(read_annotations(path)) for path in (blood, blood / "test.csv"))
    assert {name: sorted(boxes) for name, boxes in in_xml.items()} == {
        name: sorted(boxes) for name, boxes in in_csv.items()
    }
