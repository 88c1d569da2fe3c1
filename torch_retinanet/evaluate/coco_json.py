"""What truth and results in COCO's JSON have in common: the order of ids, and boxes x, y, width, height.

https://cocodataset.org/#format-data and https://cocodataset.org/#format-results.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torch_retinanet.data.annotations import Floats, Ints
from torch_retinanet.data.coco_values import Id
from torch_retinanet.errors import InputError


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        InputError: for a file that is no JSON.
        FileNotFoundError: where there is no file.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such file") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: must be whole JSON ({error})") from None


def in_order(ids: Iterable[Id]) -> list[Id]:
    """Ids as pycocotools takes pictures, the smallest first; that order decides between detections of equal scores."""
    return sorted(ids, key=lambda one: (isinstance(one, str), one))


def check_boxes(boxes: Floats, path: Path, places: Sequence[str]) -> None:
    """Refuse boxes x, y, width, height (T,4) that are none; a side may be 0.

    Raises:
        InputError: for numbers that are not finite, and sides below 0, naming the place.
    """
    wrong = np.flatnonzero(~np.isfinite(boxes).all(axis=1) | (boxes[:, 2:] < 0).any(axis=1))
    if not len(wrong):
        return
    box, where = boxes[wrong[0]], places[wrong[0]]
    rule = "width and height must not be below 0" if np.isfinite(box).all() else "all numbers must be finite"
    raise InputError(f"{path}: {where}: bbox is {box.tolist()}, and {rule}")


def by_picture(owners: Ints, values: Mapping[str, Any], count: int) -> list[dict[str, Tensor]]:
    """Arrays (T,...) cut into those of each of `count` pictures, in order; `owners` (T,) are their indices."""
    order = np.argsort(owners, kind="stable")
    ends: Ints = np.cumsum(np.bincount(owners, minlength=count))
    parts = {name: np.split(np.asarray(array)[order], ends[:-1]) for name, array in values.items()}
    return [{name: torch.from_numpy(of_name[i]) for name, of_name in parts.items()} for i in range(count)]
