"""COCO's numbers of the detections of either side: by the port, and by COCO's evaluation itself."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from parity_tests.retinanet.inputs import Labels, Marks
from parity_tests.retinanet.matching import Detections
from parity_tests.rule.record import Array
from torch_retinanet.evaluate import coco_metrics, evaluate_coco

IN_ORDER = (
    *("map", "map_50", "map_75", "map_small", "map_medium", "map_large"),
    *("mar_1", "mar_10", "mar_100", "mar_small", "mar_medium", "mar_large"),
)
"""The twelve numbers as COCO's evaluation gives them (pycocotools cocoeval.py summarize)."""

OF_CLASS, NOTHING = ("ap", "ap_50", "recall"), -1.0
"""Those of each class (`ClassNumbers`), and what stands where there is nothing to count."""


def coco_numbers(
    detections: Sequence[Detections],
    boxes: Sequence[Array],
    labels: Sequence[Labels],
    marks: Sequence[Marks] = (),
    *,
    num_classes: int = 0,
) -> dict[str, float]:
    """`map`, `map_50` and so on of detections against true boxes and labels, picture by picture.

    Of `num_classes` classes, where they are given, also the numbers of each by itself.
    """
    found = [{name: torch.from_numpy(np.ascontiguousarray(v)) for name, v in d._asdict().items()} for d in detections]
    for picture in found:
        picture["labels"] = picture["labels"].long()
    true = [
        {"boxes": torch.from_numpy(b).reshape(-1, 4), "labels": torch.from_numpy(np.asarray(ids, np.int64))}
        for b, ids in zip(boxes, labels, strict=True)
    ]
    for picture, of in zip(true, marks, strict=False):
        picture |= {"ignored": torch.from_numpy(of.crowd), "area": torch.from_numpy(of.area)}
    each = evaluate_coco(found, true, num_classes=num_classes).classes if num_classes else []
    return coco_metrics(found, true) | _by_class([{name: getattr(of, name) for name in OF_CLASS} for of in each])


def numbers_of_coco(
    detections: Sequence[Detections],
    boxes: Sequence[Array],
    labels: Sequence[Labels],
    marks: Sequence[Marks],
    *,
    num_classes: int = 0,
) -> dict[str, float]:
    """The same without the port, by the evaluation in its own settings; there must be a box and a detection."""
    from faster_coco_eval import COCO, COCOeval_faster

    pictures = range(1, len(detections) + 1)
    true = [
        row | {"iscrowd": int(is_crowd), "area": float(area)}
        for picture, corners, ids, of in zip(pictures, boxes, labels, marks, strict=True)
        for row, is_crowd, area in zip(_rows(picture, corners, ids), of.crowd, of.area, strict=True)
    ]
    found = [
        row | {"score": float(score)}
        for picture, of in zip(pictures, detections, strict=True)
        for row, score in zip(_rows(picture, of.boxes, of.labels), of.scores, strict=True)
    ]
    classes = sorted({row["category_id"] for row in true + found})
    truth = COCO(
        {
            "images": [{"id": picture} for picture in pictures],
            "annotations": [row | {"id": number} for number, row in enumerate(true, start=1)],
            "categories": [{"id": each} for each in classes],
        }
    )
    evaluation = COCOeval_faster(truth, truth.loadRes(found), "bbox", print_function=lambda *_: None)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    places = {label: place for place, label in enumerate(classes)}
    each = [_of_class(evaluation.eval, places.get(label)) for label in range(num_classes)]
    return dict(zip(IN_ORDER, map(float, evaluation.stats), strict=True)) | _by_class(each)


def _of_class(found: Mapping[str, Array], place: int | None) -> dict[str, float]:
    """The numbers of a class, of objects of any size, from precision (10,101,K,4,3) and recall (10,K,4,3)."""
    if place is None:
        return dict.fromkeys(OF_CLASS, NOTHING)
    precision, recall = found["precision"][:, :, place, 0, -1], found["recall"][:, place, 0, -1]
    parts = precision, precision[0], recall
    return dict(
        zip(OF_CLASS, (float(p[p > NOTHING].mean()) if (p > NOTHING).any() else NOTHING for p in parts), strict=True)
    )


def _by_class(each: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {f"class {label}: {name}": value for label, of in enumerate(each) for name, value in of.items()}


def _rows(picture: int, boxes: Array, labels: Labels) -> list[dict[str, Any]]:
    """The objects of a picture as COCO's JSON has them."""
    corners = np.asarray(boxes, np.float64).reshape(-1, 4)
    sides = corners[:, 2:] - corners[:, :2]
    return [
        {"image_id": picture, "category_id": int(label), "bbox": [*low, *side], "area": side[0] * side[1], "iscrowd": 0}
        for low, side, label in zip(corners[:, :2].tolist(), sides.tolist(), labels, strict=True)
    ]
