"""What CSV files say, and each thing that can be wrong with one line of them."""

from pathlib import Path

import pytest

from parity_tests.tests.support.data_sets import (
    BOXES,
    problems_in_a_file,
    what_is_in,
    write_csv,
    write_csv_with_header,
    write_pictures,
)
from parity_tests.tests.support.paths import shared
from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.formats.csv_file import read_csv
from torch_retinanet.data.screening import screen
from torch_retinanet.errors import InputError


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\r\n", "\r", "\n\n"])
def test_csv_is_read_in_its_encodings_and_line_ends(encoding: str, end: str, tmp_path: Path) -> None:
    path = write_csv(tmp_path)
    path.write_bytes(path.read_text().replace("\n", end).encode(encoding))
    assert what_is_in(read_csv(path)) == BOXES


def csv_with(tmp_path: Path, line: str) -> Annotations:
    """The data set with a sixth line more."""
    path = write_csv(tmp_path)
    path.write_bytes(path.read_bytes() + line.encode("latin-1") + b"\n")
    return read_csv(path)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (",1,2,3,4,cat", "no picture"),
        ("nan,1,2,3,4,cat", "no picture"),
        ('"a.png,1,2,3,4,cat', "no CSV"),
        ("caf\xe9.png,1,2,3,4,cat", "not UTF-8"),
        ("no line at all", "fields that are not 6"),
        ("nowhere.png,1,2,3", "fields that are not 6"),
    ],
)
def test_a_line_without_a_picture_that_is_there_is_lost_alone(line: str, kind: str, tmp_path: Path) -> None:
    annotations = csv_with(tmp_path, line)
    assert what_is_in(annotations) == BOXES
    assert problems_in_a_file(annotations) == [("line 7", kind, True)]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("a.png,1,2,3,4", "fields that are not 6"),
        ("a.png,1,2,3,4,cat,0.5", "fields that are not 6"),
        ("a.png,1,2,3,cat,4", "no number"),
        ("a.png,1,2,,4,cat", "no number"),
        ("a.png,1_0,2,3,4,cat", "no number"),
    ],
)
def test_a_line_whose_box_cannot_be_read_takes_its_picture_out(line: str, kind: str, tmp_path: Path) -> None:
    annotations = csv_with(tmp_path, line)
    assert problems_in_a_file(annotations) == [("line 7", kind, True)]
    assert what_is_in(screen(annotations, decode=False)) == {name: BOXES[name] for name in ("b.png", "c.png")}


@pytest.mark.parametrize("name", ["", "nan", "NaN", "None", "<NA>"])
def test_a_box_of_no_class_is_ignored(name: str, tmp_path: Path) -> None:
    """Which is what pandas writes for a cell without a value."""
    annotations = csv_with(tmp_path, f"a.png,1,2,3,4,{name}")
    assert annotations.classes == ["cat", "dog"]
    assert what_is_in(annotations)["a.png"] == [*BOXES["a.png"], ("", (1, 2, 3, 4))]
    assert problems_in_a_file(annotations) == [("line 7", "no class", True)]


def test_a_row_of_nan_is_a_picture_without_objects(tmp_path: Path) -> None:
    path = write_csv(tmp_path)
    path.write_text(path.read_text().replace("c.png,,,,,", "c.png,nan,NaN,nan,nan,nan"))
    annotations = read_csv(path)
    assert what_is_in(annotations) == BOXES
    assert annotations.problems == []


def test_a_picture_is_empty_only_where_it_has_no_boxes(tmp_path: Path) -> None:
    annotations = csv_with(tmp_path, "a.png,,,,,")
    assert what_is_in(annotations) == BOXES
    assert problems_in_a_file(annotations) == [("line 7", "picture without objects, and with some", False)]


def test_labels_of_csv_may_be_numbers(tmp_path: Path) -> None:
    path = write_csv(tmp_path)
    path.write_text("".join(f"a.png,1,2,3,4,{name}\n" for name in ("10", "9", "cat", "-1")))
    assert read_csv(path).classes == ["9", "10", "-1", "cat"]


@pytest.mark.parametrize(
    "header",
    [
        "class,image_path,X1,x2,Y1,y2,score",
        "label,Path,left,right,top,bottom,id",
        " name , image,xmin,xmax,ymin,ymax,",
    ],
)
def test_columns_are_found_by_their_names(header: str, tmp_path: Path) -> None:
    path = write_csv(tmp_path)
    path.write_text(f"{header}\ncat,a.png,2,30,3,33,0.5\n")
    assert what_is_in(read_csv(path)) == {"a.png": BOXES["a.png"][:1]}


def test_a_header_says_sizes_of_pictures(tmp_path: Path) -> None:
    assert read_csv(write_csv_with_header(tmp_path)).sizes.tolist() == [[40, 60]] * 3


def test_an_object_in_a_line_that_is_not_utf_8_is_no_background(tmp_path: Path) -> None:
    write_pictures(tmp_path, ["a.png"])
    path = tmp_path / "objects.csv"
    path.write_bytes("a.png,2,3,30,33,cat\na.png,4,5,20,30,B\u00e4r\n".encode("cp1252"))
    annotations = read_csv(path)
    assert annotations.boxes.tolist() == [[2, 3, 30, 33], [4, 5, 20, 30]]
    assert annotations.ignored.tolist() == [False, True]
    (problem,) = annotations.problems
    assert (problem.location, problem.action) == ("line 2", "its region is ignored")
    assert problem.finding == "not UTF-8: b'\\xe4' at byte 17 of the line; save it as UTF-8"


def test_a_header_without_a_box_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "objects.csv"
    path.write_text("image_path,x,y,label\na.png,1,2,cat\n")
    with pytest.raises(
        InputError,
        match=r"line 1 has columns image_path, x, y, label and none for 'xmin', 'ymin', 'xmax', 'ymax'; needed are ",
    ):
        read_csv(path)


@pytest.mark.parametrize("content", ["", "\n\n", "image_path,xmin,ymin,xmax,ymax,label\n", "nothing\nat all\n"])
def test_a_csv_without_a_line_that_can_be_read_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "objects.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=r"objects\.csv: must have a line with path, box and class"):
        read_csv(path)


@pytest.fixture
def trees() -> Path:
    """The folder of trees; without it the test is skipped."""
    return shared("deepforest_trees")


def test_two_orders_of_columns_say_the_same_trees(trees: Path) -> None:
    """One file has xmin, xmax, ymin, ymax, the other xmin, ymin, xmax, ymax: seven trees each, labelled 0."""
    for name in ("2018_SJER_3_252000_4107000_image_477.csv", "2018_SJER_3_252000_4107000_image_477_truth.csv"):
        annotations = read_csv(trees / name)
        assert (len(annotations.boxes), annotations.classes) == (7, ["0"])
        assert (annotations.boxes[:, 2:] > annotations.boxes[:, :2]).all()
        assert annotations.boxes.max() <= 400


def test_a_box_of_zeros_marks_a_picture_without_trees(trees: Path) -> None:
    annotations = read_csv(trees / "tests_data" / "blank_annotations.csv")
    assert what_is_in(annotations) == {"OSBS_029.tif": []}
    assert annotations.pictures == [trees / "OSBS_029.tif"], "which lies one level up"
