"""Detections in COCO's format of results: a list of `image_id`, `category_id`, `bbox` and `score`.

https://cocodataset.org/#format-results. Numbers are written in full, so that what is read again gives the same metrics.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from torch import Tensor

from torch_retinanet.data.box_layouts import to_xyxy
from torch_retinanet.data.coco_values import Id, Ids, id_of, number_of, numbers_of
from torch_retinanet.errors import InputError
from torch_retinanet.evaluate.coco_json import by_picture, check_boxes, read_json
from torch_retinanet.evaluate.coco_truth import Truth
from torch_retinanet.files import atomic_write

T = TypeVar("T")


class _Result(NamedTuple):
    """A detection: the indices of its picture and class, its box x, y, width, height, and its score."""

    picture: int
    label: int
    box: list[float]
    score: float


def read_results(path: Path, truth: Truth) -> list[dict[str, Tensor]]:
    """The detections of each picture of a truth: `boxes` (M,4) xyxy, `labels` (M,), `scores` (M,), as they come.

    A box without extent is a detection that hits nothing, as pycocotools has it.

    Raises:
        InputError: for a file that is no list of results; for ids that the truth does not have, numbers that are not
            finite, sides below 0; the sentence names the place, as `results[17]`.
        FileNotFoundError: where there is no file.
    """
    content = read_json(path)
    if not isinstance(content, list):
        raise InputError(f"{path}: must be a list of results, and is `{type(content).__name__}`")
    pictures, labels = Ids(truth.picture_ids), Ids(truth.class_ids)
    results: list[_Result] = []
    try:
        results.extend(_result(entry, pictures, labels, truth.path) for entry in content)
    except ValueError as error:
        raise InputError(f"{path}: results[{len(results)}]: {error}") from None
    boxes = np.array([one.box for one in results], dtype=np.float64).reshape(-1, 4)
    check_boxes(boxes, path, [f"results[{place}]" for place in range(len(results))])
    values = {
        "boxes": to_xyxy(boxes, "xywh"),
        "labels": np.array([one.label for one in results], dtype=np.int64),
        "scores": np.array([one.score for one in results], dtype=np.float64),
    }
    return by_picture(np.array([one.picture for one in results], dtype=np.int64), values, len(truth.picture_ids))


def _result(entry: Any, pictures: Ids, labels: Ids, truth: Path) -> _Result:
    """A detection.

    Raises:
        ValueError: in a sentence, for one that is none.
    """
    if not isinstance(entry, dict):
        raise ValueError(f"must be an object, and is `{type(entry).__name__}`")
    found = []
    for field, known in (("image_id", pictures), ("category_id", labels)):
        index = known.find(_read(entry, field, id_of))
        if index is None:
            raise ValueError(f"{field} {entry[field]!r} is not in {truth}")
        found.append(index)
    box, score = _read(entry, "bbox", numbers_of), _read(entry, "score", number_of)
    if len(box) != 4:
        raise ValueError(f"bbox has {len(box)} numbers, and must have 4")
    if not math.isfinite(score):
        raise ValueError(f"score is {score}, and must be finite")
    return _Result(found[0], found[1], box, score)


def _read(entry: Mapping[str, Any], field: str, read: Callable[[Any], T]) -> T:
    if field not in entry:
        raise ValueError(f"must have the field {field!r}")
    try:
        return read(entry[field])
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from None


def result_rows(
    detections: Mapping[str, Tensor], *, picture_id: Id, file_name: str, class_ids: Sequence[int]
) -> Iterator[dict[str, Any]]:
    """The results of one picture, with its `file_name` beside what the format has."""
    names = ("boxes", "labels", "scores")
    for box, label, score in zip(*(detections[name].tolist() for name in names), strict=True):
        left, top, right, bottom = box
        yield {
            "image_id": picture_id,
            "file_name": file_name,
            "category_id": class_ids[label],
            "bbox": [left, top, right - left, bottom - top],
            "score": score,
        }


@contextmanager
def json_list(path: Path) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """What appends to a JSON list, which is written as it grows, and whole or not at all.

    Raises:
        OSError: where `path` cannot be written.
    """
    with atomic_write(path) as beside, beside.open("w", encoding="utf-8") as file:
        before = "[\n"

        def append(row: Mapping[str, Any]) -> None:
            nonlocal before
            file.write(before + json.dumps(row))
            before = ",\n"

        yield append
        file.write("[]\n" if before == "[\n" else "\n]\n")
