"""VOC's average precision at IoU 0.5.

Everingham et al., The PASCAL Visual Object Classes Challenge 2012, Development Kit, section 3.4: since 2010 the area
under the curve of precision over all recalls that are reached. VOC adds a pixel to the sides of boxes, whose corners it
counts by pixels; here corners lie between pixels, and nothing is added.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from torch_retinanet.boxes import box_iou
from torch_retinanet.evaluate.truth import NO_CLASS, for_each_class, ignored_of

IOU = 0.5
"""What a detection must overlap its object by, at least."""

OF_OBJECTS = ("boxes", "labels", "scores", "ignored")


class VocEvaluation(NamedTuple):
    """AP50 as VOC has it: of each of K classes, -1 where it has no object, and the mean of the others."""

    classes: list[float]
    mean: float


def evaluate_voc(
    detections: Sequence[Mapping[str, Tensor]], targets: Sequence[Mapping[str, Tensor]], *, num_classes: int
) -> VocEvaluation:
    """VOC's AP50 of detections against the truth, picture by picture.

    A detection belongs to the object of its class that it overlaps most. It hits where that is by an IoU of 0.5 or more
    and no better one has hit the object. Where the object is `ignored`, VOC's `difficult`, it neither hits nor misses.

    Args:
        detections: for each picture `boxes` (M,4) xyxy, `scores` (M,), `labels` (M,).
        targets: for each picture `boxes` (G,4) xyxy, `labels` (G,), and `ignored` (G,) where some are.
        num_classes: K; labels are 0 to K - 1.
    """
    scores: list[list[Tensor]] = [[] for _ in range(num_classes)]
    hits: list[list[Tensor]] = [[] for _ in range(num_classes)]
    objects = [0] * num_classes
    for found, target in zip(detections, targets, strict=True):
        labels = {*found["labels"].tolist(), *target["labels"].tolist()} - {NO_CLASS}
        truth = for_each_class({**target, "ignored": ignored_of(target)}, labels)
        for label in sorted(labels):
            of_class, true = _of_class(found, label), _of_class(truth, label)
            counted, hit = _hits(of_class, true)
            scores[label].append(of_class["scores"][counted])
            hits[label].append(hit[counted])
            objects[label] += int((~true["ignored"]).sum())
    values = [_average_precision(*of_class) for of_class in zip(scores, hits, objects, strict=True)]
    known = [value for value in values if value >= 0]
    return VocEvaluation(values, sum(known) / len(known) if known else -1.0)


def _of_class(objects: Mapping[str, Tensor], label: int) -> dict[str, Tensor]:
    plain = {name: objects[name].as_subclass(Tensor).cpu() for name in OF_OBJECTS if name in objects}
    return {name: values[plain["labels"] == label] for name, values in plain.items()}


def _hits(found: Mapping[str, Tensor], true: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Which detections (M,) of a class in a picture count, and which hit."""
    count = len(found["scores"])
    if not count or not len(true["labels"]):
        return torch.ones(count, dtype=torch.bool), torch.zeros(count, dtype=torch.bool)
    overlap = box_iou(found["boxes"].double(), true["boxes"].double()).numpy()
    nearest, near = overlap.argmax(axis=1), overlap.max(axis=1) >= IOU
    counted = ~(near & true["ignored"].numpy()[nearest])
    best: dict[int, int] = {}
    for i in np.argsort(-found["scores"].numpy(), kind="stable").tolist():
        if near[i] and counted[i]:
            best.setdefault(int(nearest[i]), i)
    hit = torch.zeros(count, dtype=torch.bool)
    hit[list(best.values())] = True
    return torch.from_numpy(counted), hit


def _average_precision(scores: Sequence[Tensor], hits: Sequence[Tensor], objects: int) -> float:
    """The area under the precision that is at least reached at each recall."""
    if not objects:
        return -1.0
    order = torch.cat(list(scores)).argsort(descending=True, stable=True)
    hit = torch.cat(list(hits))[order].double()
    true = hit.cumsum(0)
    precision = true / torch.arange(1, len(hit) + 1)
    reached = precision.flip(0).cummax(0).values.flip(0)
    return float((reached * hit).sum() / objects)
