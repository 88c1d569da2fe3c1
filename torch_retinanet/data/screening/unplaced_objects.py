"""Pictures that have an object somewhere, nobody knows where: they are taken out, since it would be background."""

from dataclasses import replace

import numpy as np

from torch_retinanet.data.annotations import Annotations, Problem
from torch_retinanet.data.builder import NO_CLASS, PICTURE_IS_LEFT_OUT


def leave_out_unplaced(annotations: Annotations) -> Annotations:
    """The pictures whose boxes are all finite. Readers have noted the objects that they give no class."""
    unplaced = ~np.isfinite(annotations.boxes).all(axis=1)
    if not unplaced.any():
        return annotations
    noted = [
        annotations.box_problem(
            i, f"numbers that are not finite: {_numbers(annotations, i)}", PICTURE_IS_LEFT_OUT, data_loss=True
        )
        for i in np.flatnonzero(unplaced & (annotations.labels != NO_CLASS)).tolist()
    ]
    counts = np.bincount(annotations.owners()[unplaced], minlength=len(annotations.pictures))
    gone = [_left_out(annotations, i, int(counts[i])) for i in np.flatnonzero(counts).tolist()]
    return replace(annotations.select(pictures=counts == 0), problems=[*annotations.problems, *noted, *gone])


def _left_out(annotations: Annotations, index: int, count: int) -> Problem:
    boxes = annotations.offsets[index + 1] - annotations.offsets[index] - count
    what = f"objects at places that are not known: {count}, boxes lost with them: {boxes}"
    return Problem(annotations.pictures[index], "", what, "picture and boxes are left out", data_loss=True)


def _numbers(annotations: Annotations, index: int) -> str:
    return ", ".join(f"{number:.6g}" for number in annotations.boxes[index])
