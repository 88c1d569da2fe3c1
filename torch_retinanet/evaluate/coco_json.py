"""What truth and results in COCO's JSON have in common: lists by ids, and boxes x, y, width, height.

https://cocodataset.org/#format-data and https://cocodataset.org/#format-results.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from torch_retinanet.data.annotations import Floats, Ints
from torch_retinanet.errors import InputError

Id = int | str
Box = tuple[float, float, float, float]
T = TypeVar("T")


def read_json(path: Path, kind: type[T], root: str = "") -> T:
    """The content of a JSON file as a dataclass, or a list of them.

    Args:
        path: the file.
        kind: what it must hold; what it holds beside is left out.
        root: what a list is called in errors.

    Raises:
        InputError: for a file that is no JSON, or holds something else; the sentence names the place.
        FileNotFoundError: where there is no file.
    """
    import msgspec

    try:
        return msgspec.convert(json.loads(path.read_bytes()), kind)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such file") from None
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at `$")
        place = (root + place.rstrip("`")).lstrip(".") or root or "the file"
        raise InputError(f"{path}: {place}: {what[:1].lower()}{what[1:]}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: must be whole JSON ({error})") from None


def numbered(ids: Sequence[Id], path: Path, name: str) -> dict[Id, int]:
    """The index of each id.

    Raises:
        InputError: for an id that is there twice.
    """
    indices: dict[Id, int] = {}
    for index, one in enumerate(ids):
        if one in indices:
            raise InputError(f"{path}: {name}[{index}]: id {one!r} is that of {name}[{indices[one]}] already")
        indices[one] = index
    return indices


def in_order(ids: Iterable[Id]) -> list[Id]:
    """Ids as pycocotools takes pictures, the smallest first; that order decides between detections of equal scores."""
    return sorted(ids, key=lambda one: (isinstance(one, str), one))


def looked_up(ids: Sequence[Id], indices: Mapping[Any, int], path: Path, name: str, field: str, where: object) -> Ints:
    """The index of each id that entries of a list have in a field.

    Raises:
        InputError: for an id that is not known, naming the entry, and `where` it is missing.
    """
    for place, one in enumerate(ids):
        if one not in indices:
            raise InputError(f"{path}: {name}[{place}]: {field} {one!r} is not in {where}")
    return np.array([indices[one] for one in ids], dtype=np.int64)


def corners(boxes: Sequence[Box], path: Path, name: str) -> Floats:
    """Boxes x, y, width, height (T,4) as xyxy; a side may be 0.

    Raises:
        InputError: for numbers that are not finite, and sides below 0, naming the entry.
    """
    for place, box in enumerate(boxes):
        if not all(map(math.isfinite, box)):
            raise InputError(f"{path}: {name}[{place}]: bbox is {list(box)}, and all numbers must be finite")
        if min(box[2:]) < 0:
            raise InputError(f"{path}: {name}[{place}]: bbox is {list(box)}, and width and height must not be below 0")
    values = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    return np.concatenate([values[:, :2], values[:, :2] + values[:, 2:]], axis=1)


def by_picture(owners: Ints, values: Mapping[str, Any], count: int) -> list[dict[str, Tensor]]:
    """Arrays (T,...) cut into those of each of `count` pictures, in order; `owners` (T,) are their indices."""
    order = np.argsort(owners, kind="stable")
    ends: Ints = np.cumsum(np.bincount(owners, minlength=count))
    parts = {name: np.split(np.asarray(array)[order], ends[:-1]) for name, array in values.items()}
    return [{name: torch.from_numpy(of_name[i]) for name, of_name in parts.items()} for i in range(count)]
