"""Objects and detections that stand exactly at COCO's limits: of overlaps, of areas, and of detections counted.

All sides are whole pixels, so that an overlap of 12 of 20 is the number 0.6 itself. Needs numpy alone.
"""

from typing import NamedTuple

import numpy as np

from parity_tests.retinanet.inputs import Labels, Marks
from parity_tests.retinanet.matching import Detections
from parity_tests.rule.record import Array

OVERLAPS, OF_AREAS, OF_COUNTS = 0, 2, 3
"""The class that stands at the limits of each kind."""

EDGE_CLASSES = 4
"""Those and one among them of which there is nothing."""

WHOLE = 20
"""Pixels of a side of the first class's objects; detections have ten of them and more, in COCO's steps."""

SIDES = (32, 96)
"""Of objects that are small or medium, and medium or large."""

RANKS = (1, 2, 10, 11, 100, 101)
"""As which detection of its picture an object is found."""


class EdgeScene(NamedTuple):
    """Detections, boxes, labels and marks, picture by picture."""

    found: list[Detections]
    boxes: list[Array]
    labels: list[Labels]
    marks: list[Marks]


def metric_edges() -> EdgeScene:
    """A picture of overlaps, one of areas, and one for each rank at which its object is found."""
    pictures = [_of_overlaps(), _of_areas(), *(_of_rank(rank) for rank in RANKS)]
    marks = [
        Marks(np.zeros(len(boxes), bool), np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)) for _, boxes, _ in pictures
    ]
    found, boxes, labels = (list(of_all) for of_all in zip(*pictures, strict=True))
    return EdgeScene(found, boxes, labels, marks)


def _of_overlaps() -> tuple[Detections, Array, Labels]:
    places = np.arange(WHOLE // 2)
    corners = np.stack([np.zeros(len(places)), 2.0 * WHOLE * places], axis=1)
    boxes = np.concatenate([corners, corners + WHOLE], axis=1)
    found = boxes.copy()
    found[:, 2] = WHOLE // 2 + places
    return _detected(found, OVERLAPS), boxes, np.full(len(boxes), OVERLAPS)


def _of_areas() -> tuple[Detections, Array, Labels]:
    boxes = np.array([[100.0 * i, 0, 100.0 * i + side, side] for i, side in enumerate(SIDES)])
    return _detected(boxes, OF_AREAS), boxes, np.full(len(boxes), OF_AREAS)


def _of_rank(rank: int) -> tuple[Detections, Array, Labels]:
    """An object that is found after `rank` - 1 detections that are wrong."""
    box = np.array([[5.0, 5.0, 45.0, 45.0]])
    wrong = np.array([[200.0 + i, 0, 230.0 + i, 9] for i in range(rank - 1)]).reshape(-1, 4)
    return _detected(np.concatenate([wrong, box]), OF_COUNTS), box, np.array([OF_COUNTS])


def _detected(boxes: Array, label: int) -> Detections:
    """Detections, best first."""
    return Detections(boxes=boxes, scores=np.linspace(0.9, 0.1, len(boxes)), labels=np.full(len(boxes), label))
