"""Boxes that no training can use are taken out, all are cut off at the border, and odd ones noted."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from torch_retinanet.data.annotations import Annotations, Bools, Floats, Ints
from torch_retinanet.data.builder import NO_CLASS, REGION_IS_IGNORED
from torch_retinanet.data.screening.near_duplicates import NearDuplicate, near_duplicates

BORDER = 0.5
"""Pixels by which a box may lie over the border without a note: what rounding does."""

SLIVER = 3.0
"""Pixels of a side below which a box is noted."""

NEAR = 0.8
"""IoU from which two boxes of a class are noted."""

SAME = 0.9
"""IoU from which on two boxes of different classes are noted as one object."""

Written = Callable[[Annotations, int], str]
"""What is said of a box, by its index."""

OUT = "the box is left out"
KEPT = "it is kept"


def screen_boxes(annotations: Annotations) -> Annotations:
    """The boxes that lie in their pictures, cut off at the border; they must be finite, and `sizes` of the pictures."""
    ordered = _ignore_reversed(annotations)
    extended = _without(ordered, ~_extended(ordered.boxes), "no extent")
    inside = _without(extended, ~_extended(_clipped(extended)), "wholly outside the picture")
    clipped = _cut_off(_without_duplicates(inside))
    return _note_conflicts(_note_near_duplicates(_note_slivers(clipped)))


def _without(annotations: Annotations, bad: Bools, kind: str, written: Written | None = None) -> Annotations:
    reported = _note(annotations, bad, kind, OUT, written or _written, lost=True)
    return reported.select(boxes=~bad) if bad.any() else reported


def _ignore_reversed(annotations: Annotations) -> Annotations:
    """A box whose edges are in the wrong order marks an object, and where it is: the region is ignored."""
    boxes = annotations.boxes
    wrong = np.any(boxes[:, 2:] < boxes[:, :2], axis=1)
    noted = _note(annotations, wrong, "edges in the wrong order", REGION_IS_IGNORED, _written, lost=True)
    ordered = np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], axis=1)
    labels = np.where(wrong, NO_CLASS, annotations.labels)
    return replace(noted, boxes=ordered, labels=labels, ignored=annotations.ignored | wrong)


def _without_duplicates(annotations: Annotations) -> Annotations:
    """Each box of a picture and label once; the first of equals stays."""
    first = _first_of_equals(annotations)

    def written(annotations: Annotations, index: int) -> str:
        return f"as {_place(annotations, first[index])}"

    return _without(annotations, first != np.arange(len(first)), "box that is there twice", written)


def _first_of_equals(annotations: Annotations) -> Ints:
    """For each box (T,) the first that is equal to it."""
    columns = (annotations.owners(), annotations.labels, annotations.ignored, *annotations.boxes.T)
    order = np.lexsort(columns[::-1])
    new = np.ones(len(order), dtype=bool)
    new[1:] = np.any([column[order][1:] != column[order][:-1] for column in columns], axis=0)
    first = np.empty_like(order)
    first[order] = order[new][np.cumsum(new) - 1]
    return first


def _cut_off(annotations: Annotations) -> Annotations:
    clipped = _clipped(annotations)
    over = np.abs(clipped - annotations.boxes).max(axis=1, initial=0) > BORDER
    return replace(_note(annotations, over, "over the border", "it is cut off at the border", _written), boxes=clipped)


def slivers(annotations: Annotations) -> Bools:
    """Which boxes (T,) are objects with a side of less than `SLIVER` pixels."""
    sides = annotations.boxes[:, 2:] - annotations.boxes[:, :2]
    thin: Bools = (sides < SLIVER).any(axis=1) & ~annotations.ignored
    return thin


def _note_slivers(annotations: Annotations) -> Annotations:
    return _note(annotations, slivers(annotations), f"side below {SLIVER:g} pixels", KEPT, _written)


def _note_near_duplicates(annotations: Annotations) -> Annotations:
    objects = np.flatnonzero(~annotations.ignored)
    groups = annotations.owners() * (len(annotations.classes) + 1) + annotations.labels
    others = _others(near_duplicates(annotations.boxes[objects], groups[objects], NEAR), objects)

    def written(annotations: Annotations, index: int) -> str:
        other, iou = others[index]
        return f"IoU {iou:.2f} with {_place(annotations, other)}"

    return _note(annotations, _at(annotations, others), "nearly the box of another", KEPT, written)


def _note_conflicts(annotations: Annotations) -> Annotations:
    objects = np.flatnonzero(~annotations.ignored)
    owners, labels, boxes = annotations.owners()[objects], annotations.labels[objects], annotations.boxes[objects]
    others = _others(near_duplicates(boxes, owners, SAME, labels=labels), objects)

    def written(annotations: Annotations, index: int) -> str:
        other, iou = others[index]
        own, another = (annotations.classes[annotations.labels[i]] for i in (index, other))
        return f"{own!r} and, with IoU {iou:.2f}, {another!r} in {_place(annotations, other)}"

    at = _at(annotations, others)
    return _note(annotations, at, "object with two classes", "it is learnt as both", written, assumption=True)


def _others(pairs: Sequence[NearDuplicate], objects: Ints) -> dict[int, tuple[int, float]]:
    """Of later boxes the earlier ones and the IoU, by their indices among all boxes."""
    return {int(objects[pair.later]): (int(objects[pair.earlier]), pair.iou) for pair in pairs}


def _at(annotations: Annotations, indices: Iterable[int]) -> Bools:
    at = np.zeros(len(annotations.boxes), dtype=bool)
    at[list(indices)] = True
    return at


def _note(
    annotations: Annotations,
    odd: Bools,
    kind: str,
    then: str,
    written: Written,
    *,
    lost: bool = False,
    assumption: bool = False,
) -> Annotations:
    notes = [
        annotations.box_problem(i, f"{kind}: {written(annotations, i)}", then, data_loss=lost, assumption=assumption)
        for i in np.flatnonzero(odd).tolist()
    ]
    return replace(annotations, problems=[*annotations.problems, *notes])


def _extended(boxes: Floats) -> Bools:
    extended: Bools = np.all(boxes[:, 2:] > boxes[:, :2], axis=1)
    return extended


def _clipped(annotations: Annotations) -> Floats:
    """The boxes (T,4) as far as they lie in their pictures."""
    limits = annotations.sizes[annotations.owners()][:, [1, 0, 1, 0]]
    clipped: Floats = np.minimum(np.maximum(annotations.boxes, 0), limits)
    return clipped


def _place(annotations: Annotations, index: int) -> str:
    return annotations.place_format.format(annotations.places[index])


def _written(annotations: Annotations, index: int) -> str:
    """A box, and the size of its picture."""
    height, width = annotations.sizes[np.searchsorted(annotations.offsets, index, side="right") - 1]
    return f"{', '.join(f'{edge:.6g}' for edge in annotations.boxes[index])} in {width}x{height}"
