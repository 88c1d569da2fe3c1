"""Detections in COCO's format of results: a list of `image_id`, `category_id`, `bbox` and `score`.

https://cocodataset.org/#format-results. Numbers are written in full, so that what is read again gives the same metrics.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from torch_retinanet.errors import InputError
from torch_retinanet.evaluate.coco_json import Box, Id, by_picture, corners, looked_up, read_json
from torch_retinanet.evaluate.coco_truth import Truth
from torch_retinanet.files import atomic_write


@dataclass
class _Result:
    image_id: Id
    category_id: int
    bbox: Box
    score: float


def read_results(path: Path, truth: Truth) -> list[dict[str, Tensor]]:
    """The detections of each picture of a truth: `boxes` (M,4) xyxy, `labels` (M,), `scores` (M,), as they come.

    A box without extent is a detection that hits nothing, as pycocotools has it.

    Raises:
        InputError: for a file that is no list of results; for ids that the truth does not have, numbers that are not
            finite, sides below 0; the sentence names the place, as `results[17]`.
        FileNotFoundError: where there is no file.
    """
    results = read_json(path, list[_Result], "results")
    pictures: dict[Id, int] = {one: index for index, one in enumerate(truth.picture_ids)}
    labels: dict[Id, int] = {one: label for label, one in enumerate(truth.class_ids)}
    owners = looked_up([one.image_id for one in results], pictures, path, "results", "image_id", truth.path)
    for place, one in enumerate(results):
        if not math.isfinite(one.score):
            raise InputError(f"{path}: results[{place}]: score is {one.score}, and must be finite")
    values = {
        "boxes": corners([one.bbox for one in results], path, "results"),
        "labels": looked_up([one.category_id for one in results], labels, path, "results", "category_id", truth.path),
        "scores": np.array([one.score for one in results], dtype=np.float64),
    }
    return by_picture(owners, values, len(pictures))


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
