"""The truth of a COCO file as an evaluation needs it: read as training reads it, but what would be lost is refused.

The pictures themselves are not needed.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.coco_values import Id
from torch_retinanet.errors import InputError
from torch_retinanet.evaluate.coco_json import by_picture, check_boxes, in_order


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


def read_truth(path: Path) -> Truth:
    """The truth of a COCO file, its pictures in the order of their ids, its crowds `ignored`.

    The `area` of an object is that of the file, or else that of its box.

    Raises:
        InputError: for a file that is not COCO's JSON, for ids that are there twice or that are not known, for objects
            without a box, for boxes that are not finite or have a side below 0; the sentence names the place.
        FileNotFoundError: where there is no file.
    """
    from torch_retinanet.data.formats.coco import read_coco_objects  # which needs the extra `train`

    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file")
    found = read_coco_objects(path)
    for problem in found.problems:
        if problem.data_loss:
            raise InputError(f"{path}: {problem.location}: {problem.finding}")
    sides = found.boxes[:, 2:] - found.boxes[:, :2]
    check_boxes(np.concatenate([found.boxes[:, :2], sides], axis=1), path, _places(found))
    values = {
        "boxes": found.boxes,
        "labels": found.labels,
        "ignored": found.ignored,
        "area": np.where(np.isfinite(found.areas), found.areas, sides.prod(1)),
    }
    ids = in_order(found.picture_ids)
    order = {one: index for index, one in enumerate(ids)}
    new = np.array([order[one] for one in found.picture_ids], dtype=np.int64)
    targets = by_picture(new[found.owners()], values, len(ids))
    return Truth(path, ids, list(found.class_ids), list(found.classes), targets)


def _places(found: Annotations) -> list[str]:
    return [found.place_format.format(place) for place in found.places]
