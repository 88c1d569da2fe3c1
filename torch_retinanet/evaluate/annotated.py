"""Detections of the pictures of annotations beside their objects, as every evaluation needs them."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from torch_retinanet.data.annotations import Annotations, Floats
from torch_retinanet.data.dataset import Unreadable
from torch_retinanet.evaluate.coco_json import in_order
from torch_retinanet.predict import Detected, Engine, detect_pictures
from torch_retinanet.tiles import Tiling

Found = Iterable[Detected | Unreadable]


class Annotated(NamedTuple):
    """Detections and objects of the pictures that could be read.

    Attributes:
        indices: of those pictures in the annotations; by the ids of a COCO file, which decide between equal scores.
        detections: for each `boxes` (M,4) xyxy, `labels` (M,) and `scores` (M,).
        targets: for each `boxes` (G,4) xyxy, `labels` (G,), `ignored` (G,), and `area` (G,) where a COCO file says it.
        unreadable: the others.
    """

    indices: list[int]
    detections: list[dict[str, Tensor]]
    targets: list[dict[str, Tensor]]
    unreadable: list[Unreadable]


def detect_annotated(
    detector: Engine,
    annotations: Annotations,
    *,
    tiling: Tiling | None = None,
    batch_size: int = 1,
    ahead: int = 8,
    workers: int = 2,
    watch: Callable[[Found], Found] = iter,
) -> Annotated:
    """What a detector finds on the pictures of annotations, whose labels must be its own; pictures are not kept.

    By default they go through the network one by one: a number depends on nothing but the model and its pictures.

    Args:
        detector: a detector or a runtime, as `detect_pictures` takes it.
        annotations: screened.
        tiling: cuts each picture into tiles that are detected by themselves.
        batch_size: pictures, or tiles of one, that go through it together.
        ahead: pictures that are read ahead.
        workers: threads that read.
        watch: what the pictures pass through as they are detected, to show how far it has come.
    """
    order, areas = _order(annotations), _areas(annotations)
    paths, upright = [annotations.pictures[i] for i in order], (~annotations.as_stored[order]).tolist()
    found = detect_pictures(
        detector,
        paths,
        upright=upright,
        batch_size=batch_size,
        tiling=tiling,
        ahead=ahead,
        workers=workers,
        white=annotations.white,
    )
    result = Annotated([], [], [], [])
    for index, one in zip(order, watch(found), strict=True):
        if isinstance(one, Unreadable):
            result.unreadable.append(one)
        else:
            result.indices.append(index)
            result.detections.append(one.detections)
            result.targets.append(_target(annotations, index, areas))
    return result


def _target(annotations: Annotations, index: int, areas: Floats | None) -> dict[str, Tensor]:
    arrays = annotations.objects(index)._asdict()
    if areas is not None:
        arrays["area"] = areas[annotations.offsets[index] : annotations.offsets[index + 1]]
    return {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in arrays.items()}


def _order(annotations: Annotations) -> list[int]:
    """The indices of pictures by their ids in a COCO file, or as they come."""
    if not annotations.picture_ids:
        return list(range(len(annotations.pictures)))
    indices = {one: index for index, one in enumerate(annotations.picture_ids)}
    return [indices[one] for one in in_order(annotations.picture_ids)]


def _areas(annotations: Annotations) -> Floats | None:
    """The areas (T,) that a COCO file gives its objects, by which their sizes count; those of the boxes where it does
    not."""
    if not annotations.class_ids:
        return None
    of_boxes = (annotations.boxes[:, 2:] - annotations.boxes[:, :2]).prod(1)
    return np.where(np.isfinite(annotations.areas), annotations.areas, of_boxes)
