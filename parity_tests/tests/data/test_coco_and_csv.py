"""What COCO's JSON and CSV files say, and each thing that can be wrong with one entry of them."""

import json
import re
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from parity_tests.tests.support.data_sets import (
    BOXES,
    coco,
    what_is_in,
    write_coco,
    write_csv,
    write_csv_with_header,
)
from parity_tests.tests.support.paths import shared
from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.formats.coco import read_coco
from torch_retinanet.data.formats.csv_file import read_csv
from torch_retinanet.errors import InputError


def problems(annotations: Annotations) -> list[tuple[str, str, bool]]:
    """Place, kind, and whether something is lost."""
    return [(one.location, one.finding.partition(":")[0], one.data_loss) for one in annotations.problems]


def coco_with(tmp_path: Path, entry: str, **values: Any) -> Annotations:
    """The data set with some values of one entry changed, as of `annotations[1]`."""
    content = coco()
    name, index = entry.rstrip("]").split("[")
    content[name][int(index)] |= values
    return read_coco(write_coco(tmp_path, content))


def test_labels_of_coco_are_in_the_order_of_its_ids(tmp_path: Path) -> None:
    annotations = read_coco(write_coco(tmp_path))
    assert (annotations.classes, annotations.class_ids) == (["cat", "dog"], [3, 7])
    assert annotations.picture_ids == [0, 10, 20]
    assert annotations.labels.tolist() == [0, 1, 1, 0, 1]
    assert annotations.sizes.tolist() == [[40, 60]] * 3
    assert annotations.place_format.format(annotations.places[4]) == "annotations[4]"


def test_crowds_are_ignored(tmp_path: Path) -> None:
    annotations = coco_with(tmp_path, "annotations[1]", iscrowd=1, segmentation={"counts": [1, 2], "size": [40, 60]})
    assert annotations.ignored.tolist() == [False, True, False, False, False]
    assert annotations.problems == []


MALFORMED: dict[str, dict[str, Any]] = {
    "of an unknown picture": {"image_id": 5},
    "of an unknown class": {"category_id": 5},
    "without a box": {"bbox": []},
    "with three numbers": {"bbox": [1, 2, 3]},
    "with words": {"bbox": ["1", "2", "3", "4"]},
    "with nothing": {"bbox": None},
    "with an object": {"bbox": {"x": 1}},
    "of a picture by half": {"image_id": 1.5},
    "of a list of classes": {"category_id": [3]},
}


@pytest.mark.parametrize("values", MALFORMED.values(), ids=MALFORMED)
def test_a_bad_annotation_is_lost_alone(values: dict[str, Any], tmp_path: Path) -> None:
    annotations = coco_with(tmp_path, "annotations[1]", **values)
    assert what_is_in(annotations) == BOXES | {"a.png": BOXES["a.png"][:1]}
    assert [(place, lost) for place, _, lost in problems(annotations)] == [("annotations[1]", True)]


def test_numbers_that_are_not_finite_are_read(tmp_path: Path) -> None:
    """The standard library writes NaN into JSON, which is none; the box is for the screening to judge."""
    annotations = coco_with(tmp_path, "annotations[1]", bbox=[1, 2, float("nan"), 4])
    assert str(annotations.boxes[1].tolist()) == "[1.0, 2.0, nan, 6.0]"
    assert what_is_in(annotations)["b.png"] == BOXES["b.png"]


@pytest.mark.parametrize("values", [{"file_name": None}, {"file_name": 3}, {"id": None}, {"width": "60"}])
def test_a_bad_picture_is_lost_with_its_boxes(values: dict[str, Any], tmp_path: Path) -> None:
    annotations = coco_with(tmp_path, "images[0]", **values)
    assert what_is_in(annotations) == {name: BOXES[name] for name in ("b.png", "c.png")}
    assert problems(annotations)[:3] == [
        ("images[0]", "malformed", True),
        ("annotations[0]", "unknown picture", True),
        ("annotations[1]", "unknown picture", True),
    ]


def test_of_two_pictures_with_one_id_the_second_is_lost(tmp_path: Path) -> None:
    annotations = coco_with(tmp_path, "images[2]", id=10)
    assert problems(annotations)[0] == ("images[2]", "id twice", True)
    assert what_is_in(annotations) == {name: BOXES[name] for name in ("a.png", "b.png")}


def test_categories_are_taken_as_they_are(tmp_path: Path) -> None:
    assert problems(coco_with(tmp_path, "categories[0]", id=3)) == [
        ("categories[1]", "id twice", True),
        *[(f"annotations[{i}]", "unknown class", True) for i in (1, 2, 4)],
    ]
    alike = coco_with(tmp_path, "categories[0]", name="cat")
    assert (alike.classes, alike.class_ids) == (["cat", "cat"], [3, 7])
    assert problems(alike) == [("categories[1]", "name of two categories", False)]


@pytest.mark.parametrize("values", [{"width": None, "height": None}, {"width": 0, "height": 0}, {"width": 1e300}])
def test_sizes_that_are_none_are_not_said(values: dict[str, Any], tmp_path: Path) -> None:
    assert coco_with(tmp_path, "images[0]", **values).sizes.tolist()[0] == [0, 0]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "must be whole JSON"),
        (b"[]", "must be an object with lists images, annotations, categories"),
        (b'{"images": [], "annotations": []}', "must be an object with lists"),
        (b'{"images": [], "annotations": {}, "categories": []}', "must be an object with lists"),
        (b'{"images": [], "annotations": [], "categ', "must be whole JSON"),
        (b'{"images": ' + b"[" * 100000, "must be whole JSON"),
        (b"\xff\xfe\x00", "must be whole JSON"),
    ],
)
def test_a_file_that_is_no_coco_is_refused(content: bytes, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "objects.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"^{re.escape(str(path))}: {sentence}"):
        read_coco(path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_json_is_read_in_its_encodings(encoding: str, tmp_path: Path) -> None:
    path = write_coco(tmp_path)
    path.write_bytes(path.read_text().encode(encoding))
    assert what_is_in(read_coco(path)) == BOXES


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
        ("a.png,1,2,3,4", "fields that are not 6"),
        ("a.png,1,2,3,4,cat,0.5", "fields that are not 6"),
        ("a.png,1,2,3,cat,4", "no number"),
        ("a.png,1,2,,4,cat", "no number"),
        ("a.png,1_0,2,3,4,cat", "no number"),
        ("a.png,1,2,3,4,", "no class"),
        (",1,2,3,4,cat", "no picture"),
        ('"a.png,1,2,3,4,cat', "no CSV"),
        ("a.png,1,2,3,4,caf\xe9", "not UTF-8"),
        ("no line at all", "fields that are not 6"),
    ],
)
def test_a_bad_line_is_lost_alone(line: str, kind: str, tmp_path: Path) -> None:
    annotations = csv_with(tmp_path, line)
    assert what_is_in(annotations) == BOXES
    assert problems(annotations) == [("line 7", kind, True)]


def test_a_picture_is_empty_only_where_it_has_no_boxes(tmp_path: Path) -> None:
    annotations = csv_with(tmp_path, "a.png,,,,,")
    assert what_is_in(annotations) == BOXES
    assert problems(annotations) == [("line 7", "picture without objects, and with some", False)]


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


def test_trees_in_coco(trees: Path) -> None:
    annotations = read_coco(trees / "coco_sample_file.json")
    assert (annotations.classes, annotations.class_ids, annotations.picture_ids) == (["tree"], [2], [2, 1])
    assert annotations.offsets.tolist() == [0, 1, 6]
    assert annotations.boxes[0].tolist() == pytest.approx([1569.34, 220.73, 1790.96, 440.23])


def large_coco(folder: Path, boxes: int) -> Path:
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 480} for i in range(boxes // 50)]
    one = '{{"id":{0},"image_id":{1},"category_id":{2},"bbox":[{3}.25,{4}.5,30.75,20.125],"area":618.8,"iscrowd":0}}'
    objects = ",".join(one.format(i, i * 7 % len(images), i % 80, i % 600, i % 450) for i in range(boxes))
    categories = [{"id": i, "name": str(i)} for i in range(80)]
    path = folder / "large.json"
    path.write_text(
        f'{{"images":{json.dumps(images)},"categories":{json.dumps(categories)},"annotations":[{objects}]}}'
    )
    return path


@pytest.mark.parametrize("boxes", [50_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_many_boxes_take_little_time_and_memory(boxes: int, tmp_path: Path) -> None:
    """A million boxes in some 3 seconds and 400 MB; `json.loads` alone takes 4 seconds and 800 MB."""
    path = large_coco(tmp_path, boxes)
    assert len(read_coco(path).boxes) == boxes
    plain = partial(json.loads, path.read_bytes())
    assert seconds(partial(read_coco, path)) < 3 * seconds(plain)
    assert peak(partial(read_coco, path)) < 0.6 * (peak(plain) + path.stat().st_size)


def seconds(call: Callable[[], object]) -> float:
    """Of computing, which other processes do not stretch; the least of two times."""
    times = []
    for _ in range(2):
        started = time.process_time()
        call()
        times.append(time.process_time() - started)
    return min(times)


def peak(call: Callable[[], object]) -> int:
    """Bytes that are taken at once at most."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_class_costs_the_same_however_many_there_are(tmp_path: Path) -> None:
    """Each name compared with all before it takes 15 seconds."""
    content = coco() | {"categories": [{"id": number, "name": f"class {number}"} for number in range(30_000)]}
    path = write_coco(tmp_path, content)
    started = time.process_time()
    assert len(read_coco(path).classes) == 30_000
    assert time.process_time() - started < 5
