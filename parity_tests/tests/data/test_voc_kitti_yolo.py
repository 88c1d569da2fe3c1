"""What formats with a file a picture say, and each thing that can be wrong with one of their files."""

import re
from collections.abc import Sequence
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
from torch_retinanet.data.screening import screen
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


def test_names_of_elements_are_read_in_either_case(tmp_path: Path) -> None:
    path = write_voc(tmp_path)
    for file in (path / "Annotations").iterdir():
        file.write_text(re.sub("</?[a-z]+>", lambda name: name[0].upper(), file.read_text()))
    annotations = read_annotations(path)
    assert what_is_in(annotations) == BOXES
    assert not annotations.problems


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
        ("0 10 10 20 10 20 30", "fields that are neither a box nor an outline"),
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
