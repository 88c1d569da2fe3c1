"""What is special in the exports of Label Studio, CVAT and Open Images."""

from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_allclose
from PIL import Image

from parity_tests.tests.support.data_sets import BOXES, what_is_in, write_pictures
from parity_tests.tests.support.tool_data_sets import (
    TURNED,
    cvat,
    cvat_image,
    cvat_shape,
    label_studio_result,
    label_studio_task,
    losses,
    open_images_line,
    write_json,
    write_open_images,
)
from torch_retinanet.data.formats import read_annotations
from torch_retinanet.errors import InputError


def write_tasks(folder: Path, *tasks: Any) -> Path:
    return write_json(folder, "tasks.json", list(tasks))


def in_percent(**value: Any) -> dict[str, Any]:
    return {"type": "rectanglelabels", "value": value, "original_width": 200, "original_height": 100}


def test_regions_of_label_studio_are_in_percent_and_turn_about_their_corner(tmp_path: Path) -> None:
    results = [
        in_percent(x=10, y=20, width="20", height=10, rotation=90, rectanglelabels=["cat"]),
        in_percent(x=50, y=50, radiusX=10, radiusY=10, rotation=0, ellipselabels=["cat"]),
        in_percent(x=10, y=20, width=20, height=10, rotation=None, rectanglelabels=["cat", "dog"]),
        in_percent(x=10, y=20, width=1, keypointlabels=["cat"]),
        {"type": "choices", "value": {"choices": ["day"]}},
        in_percent(x=10, y=20, width=20, height=10),
    ]
    read = read_annotations(write_tasks(tmp_path, label_studio_task("a.png", *results)))
    same = [20, 20, 60, 30]
    assert_allclose(read.boxes, [[10, 20, 20, 60], [80, 40, 120, 60], same, same, same])
    assert (read.labels.tolist(), read.ignored.tolist()) == ([0, 0, 0, 1, -1], [False] * 4 + [True])
    assert losses(read) == [
        ("[0].result[3]", "shape without extent: 'x', 'y', 'width', 'keypointlabels'"),
        ("[0].result[5]", "object without class"),
    ]


def test_a_rectangle_and_its_labels_of_one_id_are_one_object(tmp_path: Path) -> None:
    value = {"x": 10, "y": 20, "width": 20, "height": 10, "rotation": 0}
    results = [
        {"id": "r1", "type": "rectangle", "value": value},
        {"id": "r1", "type": "labels", "value": value | {"labels": ["cat"]}},
        {"id": "r1", "type": "textarea", "value": value | {"text": ["old"]}},
    ]
    read = read_annotations(write_tasks(tmp_path, label_studio_task("a.png", *results)))
    assert what_is_in(read) == {"a.png": [("cat", (6, 8, 18, 12))]}, "in percent of the 60x40 of the file"
    assert not losses(read)


def test_the_last_annotation_that_was_not_cancelled_counts(tmp_path: Path) -> None:
    first, last, cancelled = (
        {"result": [label_studio_result(name, (2, 3, 30, 33))], "was_cancelled": name == "dog"}
        for name in ("cow", "cat", "dog")
    )
    predictions = [{"result": [label_studio_result("bird", (2, 3, 30, 33))]}]
    task = label_studio_task("a.png", annotations=[first, last, cancelled], predictions=predictions)
    open_task = label_studio_task("b.png", annotations=[cancelled])
    old = {"id": 3, "completions": [last], "data": {"image": "c.png"}}
    read = read_annotations(write_tasks(tmp_path, task, open_task, old))
    assert what_is_in(read) == {name: [("cat", (2, 3, 30, 33))] for name in ("a.png", "c.png")}
    assert ("[1]", "task without annotation: 'b.png'") in [(one.location, one.finding) for one in read.problems]
    assert not losses(read)


def test_json_min_of_label_studio_is_read(tmp_path: Path) -> None:
    value = in_percent(x=10, y=20, width=20, height=10)["value"] | {"rectanglelabels": ["cat"]}
    task = {"image": "a.png", "id": 1, "label": [value | {"original_width": 60, "original_height": 40}], "annotator": 1}
    assert what_is_in(read_annotations(write_tasks(tmp_path, task))) == {"a.png": [("cat", (6, 8, 18, 12))]}


@pytest.mark.parametrize(
    "image",
    [
        "/data/upload/3/0a1b2c3d-a.png",
        "/data/local-files/?d=photos/a.png",
        "https://example.com/bucket/a.png?X-Amz-Signature=1",
        "s3://bucket/folder/a.png",
        "upload/3/a.png",
    ],
)
def test_the_picture_of_a_task_is_found_by_url_or_upload(image: str, tmp_path: Path) -> None:
    read = read_annotations(write_tasks(tmp_path, label_studio_task(image)))
    assert read.pictures == [tmp_path / "a.png"]
    assert not losses(read)


def test_names_of_tasks_do_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    write_pictures(tmp_path, ["out.png"])
    read = read_annotations(write_tasks(tmp_path / "data", label_studio_task("../out.png"), label_studio_task("a.png")))
    assert tmp_path / "out.png" not in [path.resolve() for path in read.pictures]


def test_a_task_that_does_not_say_its_picture_or_annotations_is_lost(tmp_path: Path) -> None:
    inside = label_studio_task("data:image/png;base64,iVBORw0K")
    untold = {"id": 1, "data": {"image": "a.png"}}
    read = read_annotations(write_tasks(tmp_path, inside, untold, label_studio_task("c.png")))
    assert [place for place, _ in losses(read)] == ["[0]", "[1]"]


def test_shapes_of_cvat_give_the_box_that_holds_them(tmp_path: Path) -> None:
    shapes = (
        '<box label="cat" xtl="10" ytl="10" xbr="30" ybr="30" rotation="45.0"/>'
        '<ellipse label="cat" cx="20" cy="10" rx="8" ry="4" rotation="90"/>'
        '<polyline label="cat" points="1.5,2;9,4;5,8"/>'
        '<mask label="cat" rle="1, 2" left="3" top="4" width="5" height="6"/>'
        '<cuboid label="cat" xtl1="1" ytl1="2" xbl1="1" ybl1="9" xtr1="5" ytr1="2" xbr1="5" ybr1="9" '
        'xtl2="7" ytl2="1" xbl2="7" ybl2="7" xtr2="3" ytr2="1" xbr2="3" ybr2="7"/>'
        '<skeleton label="cat"><points label="1" points="1,2"/><points label="2" points="5,9"/>'
        '<points label="3" points="50,9" outside="1"/></skeleton>'
        '<tag label="night"/>'
        '<points label="cat" points="5,6"/>'
        '<box xtl="10" ytl="10" xbr="30" ybr="30"/>'
    )
    write_pictures(tmp_path)
    (tmp_path / "a.xml").write_text(cvat(cvat_image(0, "a.png", shapes)))
    read = read_annotations(tmp_path / "a.xml")
    plain: list[list[float]] = [
        [16, 2, 24, 18],
        [1.5, 2, 9, 8],
        [3, 4, 8, 10],
        [1, 1, 7, 9],
        [1, 2, 5, 9],
        [10, 10, 30, 30],
    ]
    assert_allclose(read.boxes, [TURNED, *plain])
    assert read.ignored.tolist() == [False] * 6 + [True]
    assert losses(read) == [
        ("image[0].shape[6]", "shape without extent: 'points'"),
        ("image[0].shape[7]", "object without class"),
    ]


def test_pictures_of_cvat_lie_in_the_folder_of_their_subset(tmp_path: Path) -> None:
    write_pictures(tmp_path / "images" / "train")
    image = cvat_image(0, "a.png", cvat_shape("cat", (2, 3, 30, 33))).replace("<image", '<image subset="train"')
    (tmp_path / "annotations.xml").write_text(cvat(image))
    assert read_annotations(tmp_path).pictures == [tmp_path / "images" / "train" / "a.png"]


def test_a_video_of_cvat_is_refused_with_what_to_export(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(cvat('<track id="0" label="cat"></track>'))
    with pytest.raises(InputError, match=r"a.xml: holds the tracks of a video; export it as 'CVAT for images'$"):
        read_annotations(tmp_path / "a.xml")


def test_boxes_of_open_images_are_shares_of_the_file_and_groups_are_ignored(tmp_path: Path) -> None:
    path = write_open_images(tmp_path)
    Image.new("RGB", (200, 100)).save(tmp_path / "train" / "d.jpg")
    lines = [open_images_line("d", "/m/dog", (6, 4, 30, 20), group=1), open_images_line("d", "/m/new", (0, 0, 60, 40))]
    path.write_text("\n" + path.read_text() + "\n".join(lines))
    read = read_annotations(path)
    expected = {name: own for name, own in BOXES.items() if own}
    assert what_is_in(read) == expected | {"d.jpg": [("dog", (20, 10, 100, 50)), ("/m/new", (0, 0, 200, 100))]}
    assert read.ignored.tolist() == [False] * 5 + [True, False]
    assert read.problems == []


def test_a_picture_of_open_images_that_is_not_there_is_lost_with_its_boxes(tmp_path: Path) -> None:
    path = write_open_images(tmp_path)
    (tmp_path / "train" / "b.png").unlink()
    read = read_annotations(path)
    assert [picture.name for picture in read.pictures] == ["a.png", "b.jpg"]
    assert len(read.objects(1).boxes) == 3
