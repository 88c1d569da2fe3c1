"""Boxes that are shares, corners, centres, or of pictures of another size: refused as a whole, and read when named."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from parity_tests.tests.support.data_sets import SIZE, write_pictures
from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.box_layouts import BOX_LAYOUTS, BoxLayout, from_xyxy, is_relative, to_xyxy
from torch_retinanet.data.formats import read_annotations
from torch_retinanet.data.screening import screen
from torch_retinanet.errors import InputError

CORNERS = [(0, 2, 20, 18), (12, 8, 36, 30), (32, 5, 58, 38), (40, 22, 60, 40), (3, 20, 15, 39)]
"""Boxes xyxy all over a picture of 60x40, up to each border."""

WIDTH, HEIGHT = SIZE


def numbers(layout: BoxLayout) -> list[tuple[float, ...]]:
    """The boxes in a layout."""
    scale = (WIDTH, HEIGHT) * 2 if is_relative(layout) else (1, 1, 1, 1)
    return [
        from_xyxy((box[0] / scale[0], box[1] / scale[1], box[2] / scale[0], box[3] / scale[1]), layout)
        for box in CORNERS
    ]


def coco(folder: Path, boxes: list[tuple[float, ...]], size: tuple[int, int] = SIZE) -> Path:
    images = [{"id": i, "file_name": f"{i}.png", "width": size[0], "height": size[1]} for i in range(2)]
    objects = [{"image_id": i, "category_id": 1, "bbox": box} for i in range(2) for box in boxes]
    path = folder / "a.json"
    path.write_text(json.dumps({"images": images, "annotations": objects, "categories": [{"id": 1, "name": "cat"}]}))
    return path


def csv(folder: Path, boxes: list[tuple[float, ...]]) -> Path:
    path = folder / "a.csv"
    path.write_text("".join(f"{i}.png,{','.join(map(str, box))},cat\n" for i in range(2) for box in boxes))
    return path


def yolo(folder: Path, boxes: list[tuple[float, ...]]) -> Path:
    for name in ("images", "labels"):
        (folder / name).mkdir(exist_ok=True)
    for i in range(2):
        (folder / f"{i}.png").rename(folder / "images" / f"{i}.png")
        (folder / "labels" / f"{i}.txt").write_text("".join(f"0 {' '.join(map(str, box))}\n" for box in boxes))
    return folder


WRITERS: dict[str, tuple[Callable[..., Path], BoxLayout]] = {
    "coco": (coco, "xywh"),
    "csv": (csv, "xyxy"),
    "yolo": (yolo, "cxcywh-relative"),
}


def screened(path: Path, boxes: BoxLayout | None = None) -> Annotations:
    return screen(read_annotations(path, boxes=boxes), decode=False)


@pytest.mark.parametrize("layout", BOX_LAYOUTS)
def test_corners_and_the_numbers_of_a_layout_are_one_box(layout: BoxLayout) -> None:
    box = (3.0, 5.0, 10.0, 9.0)
    assert to_xyxy(np.array([from_xyxy(box, layout)]), layout).tolist() == [list(box)]


@pytest.mark.parametrize("layout", BOX_LAYOUTS)
@pytest.mark.parametrize("name", WRITERS)
def test_every_layout_is_refused_where_it_is_not_the_own_one_and_read_where_it_is_named(
    name: str, layout: BoxLayout, tmp_path: Path
) -> None:
    write_pictures(tmp_path, ["0.png", "1.png"])
    writer, own = WRITERS[name]
    path = writer(tmp_path, numbers(layout))
    if layout != own:
        with pytest.raises(
            InputError, match=rf"^{path}\S*: \d+ of 10 boxes cannot be {own}, .*`--boxes {layout}` reads"
        ):
            screened(path)
    for given in {layout} | ({None} if layout == own else set()):
        read = screened(path, given)
        assert np.allclose(read.boxes, CORNERS * 2)
        assert not read.problems


@pytest.mark.parametrize("factor", [1.5, 3])
@pytest.mark.parametrize("name", WRITERS)
def test_boxes_of_larger_pictures_are_refused(name: str, factor: float, tmp_path: Path) -> None:
    write_pictures(tmp_path, ["0.png", "1.png"])
    writer, own = WRITERS[name]
    path = writer(tmp_path, [tuple(factor * number for number in box) for box in numbers(own)])
    with pytest.raises(InputError, match=r"reach beyond their pictures, .* of pictures of another size; `--images`"):
        screened(path)
    assert len(screened(path, own).pictures) == 2, "named, they are taken as they are"


@pytest.mark.parametrize("factor", [0.5, 1.25])
def test_boxes_in_an_annotated_size_that_the_pictures_do_not_have_are_refused(factor: float, tmp_path: Path) -> None:
    """Those of smaller pictures lie in the larger ones too."""
    write_pictures(tmp_path, ["0.png", "1.png"])
    size = round(factor * WIDTH), round(factor * HEIGHT)
    path = coco(tmp_path, [tuple(factor * number for number in box) for box in numbers("xywh")], size)
    with pytest.raises(InputError, match=f"pictures of {size[0]}x{size[1]} are annotated, .* of another size"):
        screened(path)


@pytest.mark.parametrize(
    "boxes",
    [
        [(-5, -1, 70, 39), (10, 30, 20, 1e6)],
        [(30, 5, 20, 25), (2, 3, 30, 33)],
        [(50, 30, 75, 50), (2, 3, 30, 33), (1, 2, 10, 12)],
        [(0, 0, 60, 40), (59, 39, 60, 40)],
    ],
)
def test_a_few_bad_boxes_are_no_other_layout(boxes: list[tuple[float, ...]], tmp_path: Path) -> None:
    write_pictures(tmp_path, ["0.png", "1.png"])
    path = csv(tmp_path, boxes[:1])
    path.write_text("".join(f"0.png,{','.join(map(str, box))},cat\n" for box in boxes))
    assert len(screened(path).boxes) == len(boxes)


@pytest.mark.parametrize("size", [SIZE, (600, 400)])
def test_shares_in_percent_are_refused_as_such(size: tuple[int, int], tmp_path: Path) -> None:
    """On a picture as small as the numbers, and on a larger one."""
    write_pictures(tmp_path, ["0.png", "1.png"], size)
    percent = [tuple(100 * number for number in box) for box in numbers("cxcywh-relative")]
    data = yolo(tmp_path, percent)
    with pytest.raises(
        InputError, match=r"cannot be cxcywh-relative, and lie in their pictures as percent .*divide them"
    ):
        screen(read_annotations(data), decode=False)
