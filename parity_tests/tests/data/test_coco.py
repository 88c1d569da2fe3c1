"""What COCO's JSON says, and each thing that can be wrong with one entry of it."""

import json
import re
import time
import tracemalloc
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity_tests.tests.support.data_sets import (
    BOXES,
    coco,
    problems_in_a_file,
    what_is_in,
    write_coco,
    write_pictures,
)
from parity_tests.tests.support.paths import shared
from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.formats import read_annotations
from torch_retinanet.data.formats.coco import read_coco
from torch_retinanet.data.formats.coco_outlines import outline_box
from torch_retinanet.data.screening import screen
from torch_retinanet.errors import InputError
from torch_retinanet.evaluate import read_truth


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


MISPLACED: dict[str, dict[str, Any]] = {
    "without a box": {"bbox": []},
    "with three numbers": {"bbox": [1, 2, 3]},
    "with words": {"bbox": ["a", "b", "c", "d"]},
    "with nothing": {"bbox": None},
    "with an object": {"bbox": {"x": 1}},
    "with a broken mask": {"bbox": None, "segmentation": {"size": [40, 60], "counts": [1, 9999]}},
    "with not a number": {"bbox": [1, 2, float("nan"), 4]},
}


@pytest.mark.parametrize("values", MISPLACED.values(), ids=MISPLACED)
def test_a_picture_with_an_object_somewhere_is_left_out(values: dict[str, Any], tmp_path: Path) -> None:
    """Otherwise the object would be background."""
    annotations = coco_with(tmp_path, "annotations[1]", **values)
    assert what_is_in(annotations)["b.png"] == BOXES["b.png"]
    screened = screen(annotations, decode=False)
    assert what_is_in(screened) == {name: BOXES[name] for name in ("b.png", "c.png")}
    lost = [(one.file.name, one.location) for one in screened.problems if one.data_loss]
    assert lost == [("objects.json", "annotations[1]"), ("a.png", "")]
    assert screened.problems[-1].finding == "objects at places that are not known: 1, boxes lost with them: 1"


@pytest.mark.parametrize("category", [5, [3], None, "dog"])
def test_an_object_of_an_unknown_class_is_ignored_where_it_is(category: Any, tmp_path: Path) -> None:
    annotations = coco_with(tmp_path, "annotations[1]", category_id=category)
    assert what_is_in(annotations)["a.png"] == [BOXES["a.png"][0], ("", BOXES["a.png"][1][1])]
    assert annotations.ignored.tolist() == [False, True, False, False, False]
    assert problems_in_a_file(annotations) == [("annotations[1]", "unknown class", True)]


@pytest.mark.parametrize("picture", [5, 1.5, None])
def test_an_object_of_an_unknown_picture_is_lost_alone(picture: Any, tmp_path: Path) -> None:
    annotations = coco_with(tmp_path, "annotations[1]", image_id=picture)
    assert what_is_in(annotations) == BOXES | {"a.png": BOXES["a.png"][:1]}
    assert [(place, lost) for place, _, lost in problems_in_a_file(annotations)] == [("annotations[1]", True)]


def test_an_annotation_without_a_box_and_of_no_area_is_no_object(tmp_path: Path) -> None:
    annotations = coco_with(tmp_path, "annotations[1]", bbox=[], area=0)
    assert what_is_in(annotations)["a.png"] == BOXES["a.png"][:1]
    assert problems_in_a_file(annotations) == [("annotations[1]", "no box, and an area of 0", False)]


MASK = [2 * 40 + 3, 5, 35, 5, 60 * 40 - 2 * 40 - 3 - 45]
"""Rows 3 to 7 of columns 2 and 3, of a picture 60 wide and 40 high."""

OUTLINES: dict[str, tuple[Any, tuple[float, ...]]] = {
    "polygon": ([[10, 5, 50, 5, 30, 25.5]], (10, 5, 50, 25.5)),
    "two polygons": ([[10, 5, 20, 5, 20, 9], [40, 20, 50, 20, 50, 25]], (10, 5, 50, 25)),
    "numbers alone": ([10, 5, 50, 5, 50, 25], (10, 5, 50, 25)),
    "run lengths": ({"size": [40, 60], "counts": MASK}, (2, 3, 4, 8)),
    "one run over two columns": ({"size": [40, 60], "counts": [78, 4, 2318]}, (1, 0, 3, 40)),
}


@pytest.mark.parametrize(("outline", "box"), OUTLINES.values(), ids=OUTLINES)
@pytest.mark.parametrize("bbox", [None, [], [0, 0, 0, 0]])
def test_an_object_without_a_box_has_that_of_its_outline(
    outline: Any, box: tuple[float, ...], bbox: Any, tmp_path: Path
) -> None:
    annotations = coco_with(tmp_path, "annotations[1]", bbox=bbox, segmentation=outline)
    assert what_is_in(annotations)["a.png"][1] == ("dog", box)
    assert problems_in_a_file(annotations) == [("", "objects without a box", False)]


def test_compressed_run_lengths_are_those_of_the_tools_of_coco() -> None:
    tools = pytest.importorskip("faster_coco_eval.core.mask")
    for seed in range(20):
        draw = np.random.default_rng(seed)
        mask = np.zeros((37, 53), dtype=np.uint8, order="F")
        for _ in range(draw.integers(1, 4)):
            x, y, w, h = draw.integers(0, 30, 4)
            mask[y : y + h + 1, x : x + w + 1] = draw.random((h + 1, w + 1))[: 37 - y, : 53 - x] < 0.8
        if mask.any():
            encoded = tools.encode(mask)
            rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
            whole = (rows[0], rows[-1] + 1)
            box = outline_box({"size": [37, 53], "counts": encoded["counts"].decode()})
            assert (box[0], box[2]) == (columns[0], columns[-1] + 1)
            assert (box[1], box[3]) in (whole, (0, 37)), "a run over two columns may be drawn too high"


NOTATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "class as a text": ("annotations[1]", {"category_id": "7"}),
    "class as a float": ("annotations[1]", {"category_id": 7.0}),
    "picture as a text": ("annotations[1]", {"image_id": "0"}),
    "picture as a text of a float": ("annotations[1]", {"image_id": "0.0"}),
    "box as texts": ("annotations[1]", {"bbox": ["10", "5.0", "4.0e1", "20"]}),
    "box as a text": ("annotations[1]", {"bbox": "[10, 5, 40, 20]"}),
    "flag as a float": ("annotations[1]", {"iscrowd": 0.0}),
    "flag as a text": ("annotations[1]", {"iscrowd": "0"}),
    "flag as a word": ("annotations[1]", {"iscrowd": "no"}),
    "no flag": ("annotations[1]", {"iscrowd": None}),
    "area as a word": ("annotations[1]", {"area": "large"}),
    "no area": ("annotations[1]", {"area": None, "segmentation": None}),
    "id of a picture as a float": ("images[1]", {"id": 10.0}),
    "id of a picture as a text": ("images[1]", {"id": "10"}),
    "id of a picture with zeros": ("images[1]", {"id": "0010"}),
    "id of a class as a text": ("categories[0]", {"id": "7"}),
    "size as texts": ("images[0]", {"width": "60", "height": "40"}),
    "size as words": ("images[0]", {"width": "wide", "height": None}),
    "name in a list": ("images[0]", {"file_name": ["a.png"]}),
}


@pytest.mark.parametrize(("entry", "values"), NOTATIONS.values(), ids=NOTATIONS)
def test_numbers_are_read_in_any_notation_by_training_and_evaluation(
    entry: str, values: dict[str, Any], tmp_path: Path
) -> None:
    annotations = coco_with(tmp_path, entry, **values)
    assert what_is_in(annotations) == BOXES
    assert not annotations.problems
    assert not annotations.ignored.any()
    boxes = [target["boxes"].tolist() for target in read_truth(tmp_path / "objects.json").targets]
    assert sorted(map(len, boxes)) == [0, 2, 3]


@pytest.mark.parametrize("flag", [1, 1.0, "1", True, "true"])
def test_a_crowd_is_one_in_any_notation(flag: Any, tmp_path: Path) -> None:
    assert coco_with(tmp_path, "annotations[1]", iscrowd=flag).ignored.tolist()[:2] == [False, True]


@pytest.mark.parametrize("values", [{"file_name": None}, {"file_name": 3}, {"id": None}])
def test_a_bad_picture_is_lost_with_its_boxes(values: dict[str, Any], tmp_path: Path) -> None:
    annotations = coco_with(tmp_path, "images[0]", **values)
    assert what_is_in(annotations) == {name: BOXES[name] for name in ("b.png", "c.png")}
    assert problems_in_a_file(annotations)[:3] == [
        ("images[0]", "malformed", True),
        ("annotations[0]", "unknown picture", True),
        ("annotations[1]", "unknown picture", True),
    ]


def test_of_two_pictures_with_one_id_neither_is_used(tmp_path: Path) -> None:
    annotations = coco_with(tmp_path, "images[2]", id=10)
    assert problems_in_a_file(annotations)[0] == ("images[2]", "id twice", True)
    assert what_is_in(annotations) == {"a.png": BOXES["a.png"]}
    twice = coco_with(tmp_path, "images[2]", id=10, file_name="b.png")
    assert problems_in_a_file(twice)[0] == ("images[2]", "picture listed twice", False)


def test_categories_are_taken_as_they_are(tmp_path: Path) -> None:
    assert problems_in_a_file(coco_with(tmp_path, "categories[0]", id=3)) == [
        ("categories[1]", "id twice", True),
        *[(f"annotations[{i}]", "unknown class", True) for i in range(5)],
    ]
    alike = coco_with(tmp_path, "categories[0]", name="cat")
    assert (alike.classes, alike.class_ids) == (["cat", "cat"], [3, 7])
    assert problems_in_a_file(alike) == []


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


def test_trees_in_coco() -> None:
    annotations = read_coco(shared("deepforest_trees") / "coco_sample_file.json")
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
    """Bytes that are taken at once at most; the least of two, as other threads of the process may take some too."""
    found = []
    for _ in range(2):
        tracemalloc.start()
        try:
            call()
            found.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    return min(found)


def test_a_class_costs_the_same_however_many_there_are(tmp_path: Path) -> None:
    """Each name compared with all before it takes 15 seconds."""
    content = coco() | {"categories": [{"id": number, "name": f"class {number}"} for number in range(30_000)]}
    path = write_coco(tmp_path, content)
    started = time.process_time()
    assert len(read_coco(path).classes) == 30_000
    assert time.process_time() - started < 5


def with_categories(folder: Path, categories: list[dict[str, Any]], splits: Sequence[str]) -> Path:
    """COCO files of splits with a picture each, and a box of each category that `boxes` does not forbid."""
    for split in splits:
        write_pictures(folder / split, [f"{split}.png"])
        used = [one for one in categories if one.get("boxes", True)]
        boxes = [
            {"id": i, "image_id": 1, "category_id": one["id"], "bbox": [3 * one["id"], 2, 9, 9], "iscrowd": 0}
            for i, one in enumerate(used)
        ]
        images = [{"id": 1, "file_name": f"{split}.png", "width": 60, "height": 40}]
        content = {"images": images, "annotations": boxes, "categories": categories}
        (folder / split / "_annotations.coco.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("splits", [("train",), ("train", "valid")])
def test_two_categories_of_one_name_are_two_classes_in_one_file_and_over_splits(
    splits: Sequence[str], tmp_path: Path
) -> None:
    categories = [{"id": 1, "name": "car"}, {"id": 2, "name": "dog"}, {"id": 7, "name": "car"}]
    read = read_annotations(with_categories(tmp_path, categories, splits))
    assert (read.classes, read.class_ids) == (["car (1)", "dog", "car (7)"], [1, 2, 7])
    assert read.labels.tolist() == [0, 1, 2] * len(splits)
    said = [(one.finding, one.action) for one in read.problems]
    assert said == [("name of 2 categories: 'car'", "each is a class: car (1), car (7)")] * len(splits)
    again = read_annotations(tmp_path, class_names=read.classes)
    assert again.labels.tolist() == read.labels.tolist()


def test_a_heading_of_the_name_of_its_only_class_changes_no_name(tmp_path: Path) -> None:
    """Roboflow writes so where a project has the name of its class."""
    heading = {"id": 0, "name": "cells", "supercategory": "none", "boxes": False}
    categories = [heading, {"id": 1, "name": "cells", "supercategory": "cells"}]
    read = read_annotations(with_categories(tmp_path, categories, ["train"]))
    assert (read.classes, read.class_ids, read.labels.tolist()) == (["cells"], [1], [0])
    assert [one.action for one in read.problems] == ["it is no class"]


@pytest.mark.parametrize("text", ["2, 3, 28, 30", "[2. 3. 28. 30.]", "(2,3,28,30)"])
def test_a_box_may_be_a_text_of_four_numbers(text: str, tmp_path: Path) -> None:
    annotations = coco_with(tmp_path, "annotations[0]", bbox=text)
    assert (what_is_in(annotations), annotations.problems) == (BOXES, [])
