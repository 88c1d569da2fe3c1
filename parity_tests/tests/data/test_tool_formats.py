"""How exports of annotation tools are told apart, and what is special in those of labelme, Create ML and VIA."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from parity_tests.tests.support.data_sets import BOXES, SIZE, what_is_in, write_pictures
from parity_tests.tests.support.tool_data_sets import (
    TOOL_WRITERS,
    TURNED,
    createml,
    labelme,
    labelme_shape,
    losses,
    via,
    write_createml,
    write_json,
    write_labelme,
    write_via_csv,
)
from torch_retinanet.data.formats import list_splits, read_annotations
from torch_retinanet.data.formats.json_kind import JsonKind, json_kind
from torch_retinanet.data.formats.shapes import bounding_box, rotated_box
from torch_retinanet.errors import InputError


def test_the_bounding_box_holds_all_points_and_a_rotated_box_its_corners() -> None:
    assert bounding_box([(3, 4), (1, 9), (2, 0)]) == (1, 0, 3, 9)
    assert rotated_box(20, 10, 8, 4, 0) == (16, 8, 24, 12)
    assert rotated_box(20, 20, 20, 20, math.pi / 4) == pytest.approx(TURNED)
    assert rotated_box(20, 10, 8, 4, math.pi / 2) == pytest.approx((18, 6, 22, 14))
    for points in ([], [(math.nan, 1)], [(1, math.inf)]):
        with pytest.raises(ValueError, match=r"^(shape without points|point that is not finite)"):
            bounding_box(points)


@pytest.mark.parametrize("name", ["createml", "via", "label studio", "cvat"])
def test_a_folder_with_one_export_is_read(name: str, tmp_path: Path) -> None:
    TOOL_WRITERS[name](tmp_path)
    assert what_is_in(read_annotations(tmp_path)) == BOXES


@pytest.mark.parametrize("suffix", ["", ".txt", ".csv", ".xml"])
@pytest.mark.parametrize("name", ["createml", "label studio", "via project"])
def test_a_json_is_told_by_its_content_whatever_its_suffix(name: str, suffix: str, tmp_path: Path) -> None:
    path = TOOL_WRITERS[name](tmp_path)
    assert what_is_in(read_annotations(path.rename(tmp_path / f"export{suffix}"))) == BOXES


def test_the_kind_of_a_json_is_told_by_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for text, kind in {
        '{"imageData": "' + "A" * 70_000: JsonKind.LABELME,
        '{"info": {"url": "{[\\"images\\": "}, "annotations": [': JsonKind.COCO,
        '[{"annotations": [], "image": "a.png"}, ': JsonKind.CREATEML,
        '\ufeff[{"id": 1, "data": ': JsonKind.LABEL_STUDIO,
        '{"name": "data", "scripts": {"shapes": 1}}': None,
        "a,b": None,
        "": None,
    }.items():
        path.write_text(text)
        assert json_kind(path) is kind, text[:60]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (
            [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}],
            "detections in COCO's format of results",
        ),
        ({"type": "FeatureCollection", "features": []}, "GeoJSON"),
        ({"tags": [], "size": {}, "objects": [{"classTitle": "cat"}]}, "Supervisely's JSON"),
        ([{"name": "a.png", "labels": []}], "the JSON of Scalabel and BDD100K"),
        ({"project": {"pid": "a"}, "config": {}}, "a project of VGG Image Annotator 3"),
        ({"metainfo": {"classes": ["cat"]}, "data_list": [{"img_path": "a.png"}]}, "MMDetection's JSON"),
        ([{"filename": "a.png", "width": 60, "ann": {"bboxes": []}}], "MMDetection's JSON"),
        ({"classes": ["cat"], "labels": {"a": [{"label": "cat", "bounding_box": []}]}}, "FiftyOne's JSON"),
        ({"samples": [{"filepath": "data/a.png"}]}, "FiftyOne's JSON"),
        ({"ID": "a", "gtboxes": [{"fbox": [1, 2, 3, 4]}]}, "the JSON lines of CrowdHuman"),
    ],
)
def test_a_json_without_a_reader_is_named_as_what_it_is(content: Any, name: str, tmp_path: Path) -> None:
    path = write_json(tmp_path, "a.json", content)
    with pytest.raises(InputError) as error:
        read_annotations(path)
    assert str(error.value) == f"{path}: is {name}, which is not read; export it as COCO's JSON"


def test_a_json_that_is_not_known_is_refused_with_what_is(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a.json: must be annotations, as COCO's JSON, .* labelme, CreateML, CVAT"):
        read_annotations(write_json(tmp_path, "a.json", {"name": "package"}))


def write_shapes(folder: Path, *shapes: Any, picture: str = "a.png", **more: Any) -> Path:
    return write_json(folder, "a.json", labelme(picture, shapes) | more)


def test_a_folder_of_labelme_is_one_data_set_without_splits(tmp_path: Path) -> None:
    write_labelme(tmp_path)
    assert list_splits(tmp_path) == []
    assert what_is_in(read_annotations(tmp_path)) == BOXES
    assert what_is_in(read_annotations(tmp_path / "b.json")) == {"b.png": BOXES["b.png"]}


def test_shapes_of_labelme_give_the_box_that_holds_them(tmp_path: Path) -> None:
    shapes = [
        labelme_shape("cat", [[30, 33], [2, 3]], "rectangle"),
        labelme_shape("cat", [[20, 10], [23, 14]], "circle"),
        labelme_shape("cat", [["1", "2.5"], [9, 4], [5, 8]], None),
        labelme_shape("cat", [[1, 2], [5, 9]], "mask", mask="iVBORw0K"),
        labelme_shape("cat", [[1, 2], [5, 9]], "line"),
        labelme_shape("cat", [[20, 5], [30, 20], [20, 35], [10, 20]], "rotation"),
    ]
    read = read_annotations(write_shapes(tmp_path, *shapes))
    assert read.boxes.tolist() == [
        [2, 3, 30, 33],
        [15, 5, 25, 15],
        [1, 2.5, 9, 8],
        [1, 2, 6, 10],
        [1, 2, 5, 9],
        [10, 5, 30, 35],
    ]
    assert read.sizes.tolist() == [[SIZE[1], SIZE[0]]]
    assert read.problems == []


def test_polygons_of_one_label_and_group_are_one_object(tmp_path: Path) -> None:
    left, right = [[1, 2], [9, 4], [5, 8]], [[31, 2], [39, 4], [35, 9]]
    parts = [labelme_shape("cat", left, group_id=1), labelme_shape("cat", right, group_id=1)]
    others = [
        labelme_shape("dog", left, group_id=1),
        labelme_shape("cat", left, group_id=2),
        labelme_shape("cat", left),
    ]
    rectangles = [labelme_shape("cat", [[1, 2], [3, 4]], "rectangle", group_id=1) for _ in range(2)]
    read = read_annotations(write_shapes(tmp_path, *parts, *others, *rectangles))
    assert read.boxes.tolist() == [[1, 2, 39, 9], *[[1, 2, 9, 8]] * 3, *[[1, 2, 3, 4]] * 2]
    assert read.places.tolist() == [0, 2, 3, 4, 5, 6]


def test_a_shape_without_class_is_ignored_and_one_without_extent_is_lost(tmp_path: Path) -> None:
    shapes = [
        labelme_shape("", [[2, 3], [30, 33]], "rectangle"),
        labelme_shape("cat", [[2, 3]], "point"),
        labelme_shape("cat", [[2, "x"], [3, 4]]),
        labelme_shape("cat", []),
        labelme_shape("dog", [[2, 3], [30, 33]], "rectangle", difficult=True),
        7,
    ]
    read = read_annotations(write_shapes(tmp_path, *shapes))
    known = np.isfinite(read.boxes).all(axis=1)
    assert read.boxes[known].tolist() == [[2, 3, 30, 33]] * 2
    assert (read.labels[known].tolist(), read.ignored.tolist()) == ([-1, 0], [True] * 5)
    assert read.labels[~known].tolist() == [-1] * 3, "nothing is known of where they are: the picture is left out"
    assert sorted(losses(read)) == [
        ("shapes[0]", "object without class"),
        ("shapes[1]", "shape without extent: 'point'"),
        ("shapes[2]", "no number: 'x'"),
        ("shapes[3]", "shape without points"),
        ("shapes[5]", "no shape: 7"),
    ]


@pytest.mark.parametrize("said", ["../images/a.png", "C:\\photos\\a.png", "other name.png", "", None, 5])
def test_the_picture_of_labelme_is_found_by_its_bare_name_or_that_of_the_json(said: Any, tmp_path: Path) -> None:
    path = write_shapes(tmp_path / "labels", labelme_shape("cat", [[1, 2], [3, 4]]), picture=said)
    assert read_annotations(path).pictures == [tmp_path / "labels" / "a.png"]
    for picture in (tmp_path / "labels").glob("*.png"):
        picture.unlink()
    write_pictures(tmp_path / "images")
    assert read_annotations(path).pictures == [tmp_path / "images" / "a.png"]


def test_other_json_in_a_folder_of_labelme_is_no_loss_unless_a_picture_has_its_name(tmp_path: Path) -> None:
    write_labelme(tmp_path)
    (tmp_path / "settings.json").write_text("{}")
    (tmp_path / "b.json").write_text('{"shapes"')
    read = read_annotations(tmp_path)
    assert [(one.file.name, one.data_loss) for one in read.problems if not one.location] == [
        ("b.json", True),
        ("settings.json", False),
        (tmp_path.name, False),
    ]


def test_older_names_of_createml_and_numbers_as_text_are_read(tmp_path: Path) -> None:
    sides = {"x": "30", "y": "25", "width": "40", "height": "30"}
    entries = [{"imagefilename": "a.png", "annotation": [{"label": 7, "coordinates": sides}]}]
    read = read_annotations(write_json(tmp_path, "a.json", entries))
    assert what_is_in(read) == {"a.png": [("7", (10, 10, 50, 40))]}


def test_what_createml_does_not_say_is_lost_with_its_place(tmp_path: Path) -> None:
    whole = createml()
    del whole[0]["annotations"][1]["coordinates"], whole[1]["annotations"], whole[2]["image"]
    path = write_createml(tmp_path)
    path.write_text(json.dumps(whole))
    places = [place for place, _ in losses(read_annotations(path))]
    assert places == ["[0].annotations[1]", "[1]", "[2]"]


def write_regions(folder: Path, *regions: tuple[Any, Any], **settings: Any) -> Path:
    listed = [{"shape_attributes": shape, "region_attributes": attributes} for shape, attributes in regions]
    return write_json(folder, "a.json", {"a.png1": {"filename": "a.png", "size": 1, "regions": listed}} | settings)


RECT = {"name": "rect", "x": 1, "y": 2, "width": 3, "height": 4}


def test_shapes_of_via_give_the_box_that_holds_them(tmp_path: Path) -> None:
    shapes = [
        {"name": "circle", "cx": 20, "cy": 10, "r": 5},
        {"name": "ellipse", "cx": 20, "cy": 10, "rx": 8, "ry": 4, "theta": math.pi / 2},
        {"name": "polyline", "all_points_x": [1, 9, 5], "all_points_y": [2, 4, 8]},
        {"name": "point", "cx": 20, "cy": 10},
        {"name": "polygon", "all_points_x": [1, 9, 5], "all_points_y": [2, 4]},
    ]
    read = read_annotations(write_regions(tmp_path, *((shape, {"class": "cat"}) for shape in shapes)))
    assert_allclose(read.boxes[:3], [[15, 5, 25, 15], [16, 2, 24, 18], [1, 2, 9, 8]])
    assert np.isnan(read.boxes[3:]).all()  # of the outline that cannot be read
    assert [place for place, _ in losses(read)] == ["picture[0].regions[3]", "picture[0].regions[4]"]


@pytest.mark.parametrize(
    ("attributes", "classes", "note"),
    [
        ([{"color": "red", "Label": "cat"}, {"color": "blue", "Label": "dog"}], ["cat", "dog"], "'Label' is the class"),
        ([{"kind": {"cat": True, "dog": False}}, {"kind": {"dog": True}}], ["cat", "dog"], ""),
        ([{}, {}], ["object"], "all are of class 'object'"),
        ([{"kind": "cat"}, {"kind": ""}], ["cat"], ""),
    ],
)
def test_the_class_of_via_is_an_attribute_of_regions(
    attributes: list[Any], classes: list[str], note: str, tmp_path: Path
) -> None:
    read = read_annotations(write_regions(tmp_path, *((RECT | {"x": i}, one) for i, one in enumerate(attributes))))
    assert read.classes == classes
    assert len(read.boxes) == 2
    notes = [one.action for one in read.problems if one.finding.startswith(("several attributes", "regions without"))]
    assert notes == [note] * bool(note)


def test_the_regions_of_via_1_and_the_folder_of_a_project_are_read(tmp_path: Path) -> None:
    entry = {
        "filename": "a.png",
        "size": 1,
        "regions": {"0": {"shape_attributes": RECT, "region_attributes": {"a": "b"}}},
    }
    settings = {"core": {"default_filepath": "photos/"}}
    path = write_json(tmp_path, "a.json", {"_via_settings": settings, "_via_img_metadata": {"a.png1": entry}})
    (tmp_path / "a.png").unlink()
    write_pictures(tmp_path / "photos")
    assert what_is_in(read_annotations(path)) == {"a.png": [("b", (1, 2, 4, 6))]}


def test_a_field_of_vias_csv_that_is_no_json_costs_the_box_or_the_class_alone(tmp_path: Path) -> None:
    path = write_via_csv(tmp_path)
    lines = path.read_text().splitlines()
    lines[1], lines[2] = lines[1].replace('""rect""', "rect"), lines[2].replace('""dog""', "dog")
    path.write_text("\n".join(lines))
    read = read_annotations(path)
    assert [place for place, _ in losses(read)] == ["line 2", "line 3"]
    assert read.objects(0).ignored.tolist() == [True]


def test_the_pictures_of_via_that_no_region_is_on_have_no_objects(tmp_path: Path) -> None:
    read = read_annotations(write_json(tmp_path, "a.json", via()))
    assert read.offsets.tolist() == [0, 2, 5, 5]
