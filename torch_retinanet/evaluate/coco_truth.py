"""The truth of a COCO file as an evaluation needs it: nothing is left out, and what is wrong is refused.

The pictures themselves are not needed.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

from torch_retinanet.evaluate.coco_json import Box, Id, by_picture, corners, in_order, looked_up, numbered, read_json


class Truth(NamedTuple):
    """What is to be found.

    Attributes:
        path: the file that says so.
        picture_ids: of the P pictures, the smallest first, numbers before texts.
        class_ids: of the K classes; label k is `class_ids[k]`, the k-th smallest.
        names: of the K classes.
        targets: for each picture `boxes` (G,4) xyxy, `labels` (G,), `ignored` (G,) and `area` (G,).
    """

    path: Path
    picture_ids: list[Id]
    class_ids: list[int]
    names: list[str]
    targets: list[dict[str, Tensor]]


@dataclass
class _TruthImage:
    id: Id


@dataclass
class _TruthCategory:
    id: int
    name: str


@dataclass
class _TruthAnnotation:
    image_id: Id
    category_id: int
    bbox: Box
    iscrowd: int | bool = 0
    area: float | None = None


@dataclass
class _File:
    images: list[_TruthImage]
    annotations: list[_TruthAnnotation]
    categories: list[_TruthCategory]


def read_truth(path: Path) -> Truth:
    """The truth of a COCO file, its pictures in the order of their ids, its crowds `ignored`.

    The `area` of an object is that of the file, or else that of its box.

    Raises:
        InputError: for a file that is not COCO's JSON, for ids that are there twice or that are not known, for boxes
            that are not finite or have a side below 0; the sentence names the place.
        FileNotFoundError: where there is no file.
    """
    file = read_json(path, _File)
    numbered([image.id for image in file.images], path, "images")
    pictures = {one: index for index, one in enumerate(in_order([image.id for image in file.images]))}
    numbered([category.id for category in file.categories], path, "categories")
    categories = sorted(file.categories, key=lambda category: category.id)
    labels = {category.id: label for label, category in enumerate(categories)}
    entries = file.annotations
    boxes = corners([entry.bbox for entry in entries], path, "annotations")
    owners = looked_up([entry.image_id for entry in entries], pictures, path, "annotations", "image_id", "images")
    areas = np.array([np.nan if entry.area is None else entry.area for entry in entries])
    of_boxes = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    values = {
        "boxes": boxes,
        "labels": looked_up([e.category_id for e in entries], labels, path, "annotations", "category_id", "categories"),
        "ignored": np.array([bool(entry.iscrowd) for entry in entries], dtype=bool),
        "area": np.where(np.isfinite(areas), areas, of_boxes),
    }
    targets = by_picture(owners, values, len(pictures))
    return Truth(path, list(pictures), list(labels), [category.name for category in categories], targets)
