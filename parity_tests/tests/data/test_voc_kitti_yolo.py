"""What formats with a file a picture say, and each thing that can be wrong with one of their files."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from parity_tests.tests.support.data_sets import (
    BOXES,
    PICTURES,
    voc_object,
    voc_xml,
    what_is_in,
    write_kitti,
    write_pictures,
    write_voc,
    write_yolo,
    yolo_line,
)
from parity_tests.tests.support.paths import shared
from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.formats import list_splits, read_annotations
from torch_retinanet.data.formats.kitti import read_kitti
from torch_retinanet.data.formats.voc import read_voc
from torch_retinanet.data.formats.yolo import read_yolo
from torch_retinanet.errors import InputError

WITHOUT_A = {name: BOXES[name] for name in PICTURES[1:]}


def problems(annotations: Annotations) -> list[tuple[str, str, str, bool]]:
    """File, place, kind, and whether something is lost."""
    return [(one.file.name, one.location, one.finding.partition(":")[0], one.data_loss) for one in annotations.problems]


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


def test_difficult_objects_are_ignored(tmp_path: Path) -> None:
    xml = voc_xml("a.png", voc_object("cat", (1, 2, 30, 40), difficult=1) + voc_object("cat", (1, 2, 30, 40)))
    assert voc_with(tmp_path, xml).ignored.tolist()[:2] == [True, False]


WHOLE = voc_object("cat", (2, 3, 30, 33))


@pytest.mark.parametrize(
    "broken",
    [
        voc_object("", (1, 2, 3, 4)),
        "<object><name>dog</name></object>",
        "<object/>",
        voc_object("dog", (1, 2, 3, 4)).replace("xmax", "ymax"),
        voc_object("dog", (1, 2, 3, 4)).replace(">2<", ">two<"),
        voc_object("dog", (1, 2, 3, 4)).replace("bndbox", "robndbox"),
        "<object><name>dog</name><bndbox/><bndbox/></object>",
    ],
)
def test_a_bad_object_is_lost_alone(broken: str, tmp_path: Path) -> None:
    annotations = voc_with(tmp_path, voc_xml("a.png", broken + WHOLE))
    assert what_is_in(annotations) == WITHOUT_A | {"a.png": BOXES["a.png"][:1]}
    assert [(file, place, lost) for file, place, _, lost in problems(annotations)] == [("a.xml", "object[0]", True)]
    assert annotations.places[0] == 1


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


def test_xml_is_read_in_its_encoding(tmp_path: Path) -> None:
    head = '<?xml version="1.0" encoding="latin-1"?>'
    annotations = voc_with(tmp_path, (head + voc_xml("a.png", voc_object("café", (1, 2, 3, 4)))).encode("latin-1"))
    assert "café" in annotations.classes
    assert not annotations.problems


@pytest.mark.parametrize("filename", ["a.jpg", "other.png", "/home/somebody/x.png", "../a.png", "b.png"])
def test_a_filename_that_lies_is_noted_and_the_picture_of_the_xml_is_taken(filename: str, tmp_path: Path) -> None:
    annotations = voc_with(tmp_path, voc_xml(filename, WHOLE))
    assert what_is_in(annotations) == WITHOUT_A | {"a.png": BOXES["a.png"][:1]}
    assert problems(annotations) == [("a.xml", "", "filename of another picture", False)]


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
        (b"Car 0 0 0 1 2 3 4", "fields that are not 15"),
        (b"Car 0 0 0 1 2 3 four 1 1 1 1 1 1 1", "no number"),
        (b"C\xe9r 0 0 0 1 2 3 4 1 1 1 1 1 1 1", "not UTF-8"),
    ],
)
def test_a_bad_line_of_kitti_is_lost_alone(line: bytes, kind: str, tmp_path: Path) -> None:
    path = write_kitti(tmp_path)
    (path / "label_2" / "c.txt").write_bytes(b"\n" + line)
    annotations = read_kitti(path)
    assert what_is_in(annotations) == BOXES
    assert problems(annotations) == [("c.txt", "line 2", kind, True)]


@pytest.mark.parametrize("writer", [write_kitti, write_yolo])
def test_a_picture_without_labels_is_lost(writer: Callable[[Path], Path], tmp_path: Path) -> None:
    path = writer(tmp_path)
    next(path.glob("label*/a.txt")).unlink()
    annotations = read_annotations(path)
    assert what_is_in(annotations) == WITHOUT_A
    assert problems(annotations) == [("a.png", "", "picture without labels", True)]


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


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("0 0.5 0.5 0.1", "fields that are not 5"),
        ("0 0.5 0.5 0.1 0.1 0.9", "fields that are not 5"),
        ("0.0 0.5 0.5 0.1 0.1", "no number of a class"),
        ("-1 0.5 0.5 0.1 0.1", "no number of a class"),
        ("2 0.5 0.5 0.1 0.1", "unknown class"),
        ("1 0.5 half 0.1 0.1", "no number"),
    ],
)
def test_a_bad_line_of_yolo_is_lost_alone(line: str, kind: str, tmp_path: Path) -> None:
    path = write_yolo(tmp_path)
    (path / "labels" / "c.txt").write_text(line)
    annotations = read_yolo(path)
    assert what_is_in(annotations) == BOXES
    assert problems(annotations) == [("c.txt", "line 1", kind, True)]


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


@pytest.mark.parametrize(
    "yaml", ["names: [cat", "- cat\n", "names: 3\n", "names: {0: cat, 2: dog}\n", "names: []\n", "\x00", "[" * 5000]
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
