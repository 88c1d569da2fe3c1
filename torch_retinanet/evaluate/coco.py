"""COCO's numbers, of all classes together and of each, by torchmetrics with faster-coco-eval.

Lin et al., Microsoft COCO (arXiv 1405.0312), and the evaluation of pycocotools.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from torch_retinanet.errors import InputError
from torch_retinanet.evaluate.truth import NO_CLASS, for_each_class, ignored_of

COCO_NUMBERS = (
    *("map", "map_50", "map_75", "map_small", "map_medium", "map_large"),
    *("mar_1", "mar_10", "mar_100", "mar_small", "mar_medium", "mar_large"),
)
"""The twelve in which COCO reports detections, by torchmetrics' names."""

MAX_DETECTIONS = 100
"""How many detections of a class COCO counts on a picture, the best ones."""

LIMITED = f"mar_{MAX_DETECTIONS}"
"""The number that has the limit in its name."""

RECALLED_AT = 1, 10
"""How many COCO counts for its other recalls."""

IOUS = np.linspace(0.5, 0.95, 10).tolist()
RECALLS = np.linspace(0, 1, 101).tolist()
"""In float64, as COCO has them. Those of torchmetrics are rounded to float32, and a recall that is equal to one of them
would fall on its other side."""


class ClassNumbers(NamedTuple):
    """COCO's numbers of one class; -1 where it has no object.

    Attributes:
        objects: that are there to be found, without those that are ignored.
        ap: mean over IoU 0.5 to 0.95.
        ap_50: at IoU 0.5.
        recall: mean over IoU 0.5 to 0.95.
    """

    objects: int
    ap: float
    ap_50: float
    recall: float


class CocoEvaluation(NamedTuple):
    """What COCO's evaluation says.

    Attributes:
        numbers: the twelve of `COCO_NUMBERS`; -1 where there is nothing to count. `mar_100` has the name of another
            limit where one is given.
        classes: the numbers of each of K classes.
        precision: (K,101) of each class at IoU 0.5, at the recalls 0, 0.01, ..., 1; -1 where it has no object.
        max_detections: how many detections of a class count on a picture.
        cut_off: how many did not count for that.
    """

    numbers: dict[str, float]
    classes: list[ClassNumbers]
    precision: Tensor
    max_detections: int
    cut_off: int


def coco_metrics(
    detections: Sequence[Mapping[str, Tensor]], targets: Sequence[Mapping[str, Tensor]]
) -> dict[str, float]:
    """COCO's twelve numbers of detections against the truth, picture by picture; -1 where there is nothing to count.

    Args:
        detections: for each picture `boxes` (M,4) xyxy, `scores` (M,), `labels` (M,).
        targets: for each picture `boxes` (G,4) xyxy and `labels` (G,); `ignored` (G,) where there are boxes that are
            neither to be found nor wrong to find, COCO's crowds; `area` (G,) where the size of an object is not that of
            its box.

    Returns:
        `map` (mean over IoU 0.5 to 0.95), `map_50`, `map_75`, those by the size of objects (`map_small` and so on), and
        recalls (`mar_1`, `mar_10`, `mar_100` and by size).
    """
    return _twelve(_compute(detections, targets, MAX_DETECTIONS, extended=False), MAX_DETECTIONS)


def evaluate_coco(
    detections: Sequence[Mapping[str, Tensor]],
    targets: Sequence[Mapping[str, Tensor]],
    *,
    num_classes: int,
    max_detections: int = MAX_DETECTIONS,
) -> CocoEvaluation:
    """COCO's twelve numbers, those of each of `num_classes` classes, and their precision.

    Detections and targets are those of `coco_metrics`. Of each class the `max_detections` best of a picture count.

    Raises:
        InputError: for `max_detections` of 10 or less, for which COCO has a recall already.
    """
    if max_detections <= max(RECALLED_AT):
        raise InputError(f"max_detections: {max_detections} must be above {max(RECALLED_AT)}")
    values = _compute(detections, targets, max_detections, extended=True)
    precision, recall = _by_class(values, num_classes)
    objects = [0] * num_classes
    for target in targets:
        for label in target["labels"][~ignored_of(target)].tolist():
            objects[label] += 1
    classes = [
        ClassNumbers(count, _mean(of_class), _mean(of_class[0]), _mean(recalls))
        for count, of_class, recalls in zip(objects, precision, recall, strict=True)
    ]
    numbers, cut_off = _twelve(values, max_detections), _cut_off(detections, max_detections)
    return CocoEvaluation(numbers, classes, precision[:, 0], max_detections, cut_off)


def _cut_off(detections: Sequence[Mapping[str, Tensor]], max_detections: int) -> int:
    """How many detections are not among the best of their class on their picture."""
    counts = [torch.bincount(found["labels"].long()) for found in detections]
    return sum(int((count - max_detections).clamp(min=0).sum()) for count in counts)


def _compute(
    detections: Sequence[Mapping[str, Tensor]],
    targets: Sequence[Mapping[str, Tensor]],
    max_detections: int,
    *,
    extended: bool,
) -> dict[str, Any]:
    from torchmetrics.detection import MeanAveragePrecision

    metric = MeanAveragePrecision(
        iou_thresholds=IOUS,
        rec_thresholds=RECALLS,
        max_detection_thresholds=[*RECALLED_AT, max_detections],
        backend="faster_coco_eval",
        extended_summary=extended,
        sync_on_compute=False,  # of several processes one evaluates, and would wait for the others
    )
    metric.warn_on_many_detections = False  # `cut_off` says it
    found = [_plain(d, ("boxes", "scores", "labels")) for d in detections]
    seen = {label for objects in (*detections, *targets) for label in objects["labels"].tolist()} - {NO_CLASS}
    crowds = [for_each_class({**target, "iscrowd": ignored_of(target).long()}, seen) for target in targets]
    true = [_plain(target, ("boxes", "labels", "iscrowd", "area")) for target in crowds]
    metric.update(found, true)
    values: dict[str, Any] = metric.compute()
    return values


def _plain(objects: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    """Those of `names` that there are; boxes in float64, in which their width, as COCO has it, is exact."""
    plain = {name: objects[name].as_subclass(Tensor).cpu() for name in names if name in objects}
    return plain | {"boxes": plain["boxes"].double()}


def _twelve(values: Mapping[str, Any], max_detections: int) -> dict[str, float]:
    names = [name if name != LIMITED else f"mar_{max_detections}" for name in COCO_NUMBERS]
    return {name: float(values[name]) for name in names}


def _by_class(values: Mapping[str, Any], num_classes: int) -> tuple[Tensor, Tensor]:
    """Precision (K,10,101) and recall (K,10) of objects of any size; -1 for classes that nobody saw."""
    precision = torch.full((num_classes, len(IOUS), len(RECALLS)), -1.0)
    recall = torch.full((num_classes, len(IOUS)), -1.0)
    labels = values["classes"].reshape(-1).long()
    if len(labels):
        precision[labels] = values["precision"][:, :, :, 0, -1].permute(2, 0, 1).float()
        recall[labels] = values["recall"][:, :, 0, -1].permute(1, 0).float()
    return precision, recall


def _mean(values: Tensor) -> float:
    """The mean of what was counted."""
    counted = values[values > -1]
    return counted.mean().item() if len(counted) else -1.0
