"""Outputs whose scores and boxes stand at the edges of what a detector decides, where `>` and `>=` part. Needs numpy.

All numbers are exact in binary, so that nothing is left to rounding. A logit of 0 is a score of one half. Square
anchors of s pixels, 32 by default, stand 8 pixels apart; two of them overlap by (s - 8) of (s + 8) parts.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from parity_tests.retinanet.inputs import Size
from parity_tests.retinanet.matching import Limits
from parity_tests.rule.record import Array

EDGE_SIZE: Size = (128, 128)
"""The picture of all edges."""

SCORE, MOST = 0.5, 4
"""From which score on, and how many of a picture are detected there."""

STRIDE, VARIANCES = 8, (0.1, 0.1, 0.2, 0.2)
"""Pixels from one anchor to the next, and what the reference multiplies deltas by."""

NEXT, BEFORE, LOST, NEAR, LESS = 2.0**-51, -(2.0**-52), 2.0**-60, 2.0**-44, 2.0**-46
"""Logits whose scores are the next numbers above and below one half, and one half itself for a logit above 0; pixels
that make an overlap some 20 numbers more; and a logit that makes a score some 20 numbers less."""

UNSEEN = -30.0
"""The logit of what is not detected."""


class Placed(NamedTuple):
    """A box in the place of the square anchor in some cell of P3.

    Attributes:
        row, column: the cell.
        label, logit: of the box.
        moved: pixels to the right, and down.
        grown: how many times its width and height, as powers of e.
    """

    row: int
    column: int
    label: int = 0
    logit: float = 1.0
    moved: tuple[float, float] = (0.0, 0.0)
    grown: tuple[float, float] = (0.0, 0.0)


MANY = "more of one class than a picture may have"
"""The edge that is the sides' own: with their defaults."""

EDGES: Mapping[str, Sequence[Placed]] = {
    "scores at the threshold": (
        *(Placed(2, 2, logit=0.0), Placed(2, 8, logit=NEXT), Placed(8, 2, logit=BEFORE)),
        *(Placed(8, 8, logit=1.0), Placed(13, 13, logit=LOST)),
    ),
    "overlap at the threshold": (
        *(Placed(4, 4, logit=2.0), Placed(4, 5)),
        *(Placed(10, 10, label=1, logit=2.0), Placed(10, 11, label=1)),
    ),
    "overlap just above it": (
        *(Placed(4, 4, logit=2.0), Placed(4, 5, moved=(-NEAR, 0.0))),
        *(Placed(10, 10, label=1, logit=2.0), Placed(10, 11, label=1, moved=(-NEAR, 0.0))),
    ),
    "overlap just below it": (Placed(4, 4, logit=2.0), Placed(4, 5, moved=(NEAR, 0.0))),
    "overlap of two below each other": (Placed(4, 4, logit=2.0), Placed(5, 4)),
    "equal scores that overlap": (Placed(4, 4), Placed(4, 5, moved=(-4.0, 0.0))),
    "equal scores, one too many": tuple(Placed(row, 3 * row, logit=1.0) for row in (1, 2, 3, 4, 5)),
    "equal scores of two classes": tuple(Placed(2 * row, 2, label=int(row < 3)) for row in (1, 2, 3, 4, 5, 6)),
    "the last one a little less": tuple(Placed(2 * row, 2, logit=1.0 - row * LESS) for row in (1, 6, 3, 2, 5, 4)),
    "a box below zero and one of another class": (
        *(Placed(13, 13, label=0), Placed(0, 0, label=1, moved=(-21.0, -21.0))),
    ),
    "a box above and one of another class": (
        *(Placed(13, 4, label=0), Placed(0, 4, label=1, moved=(0.0, -21.0))),
        Placed(8, 12, label=0, logit=0.75, grown=(-5.0, -5.0)),  # smaller than a pixel
    ),
    "huge boxes of two classes": (
        *(Placed(4, 4, label=0, grown=(5.0, 5.0)), Placed(4, 4, label=1, grown=(5.0, 5.0))),
        *(Placed(4, 5, label=0, logit=0.5), Placed(4, 9, label=1, logit=0.5)),
    ),
    "dropped boxes drop nothing": tuple(
        Placed(4 + 4 * label, 4 + place, label=label, logit=3.0 - place - label / 4, moved=(moved, 0.0))
        for label in (0, 1, 2)
        for place, moved in enumerate((0.0, -2.0, -5.0))
    ),
    MANY: tuple(
        Placed(place // 11, place % 11, logit=1.0 - place * 2.0**-10, grown=(-2.0, -2.0)) for place in range(110)
    ),
}
"""What each picture has, by the edge that it stands at."""


def edge_limits(anchor_scale: float) -> Limits | None:
    """Where detections are cut off: at the overlap of two neighbours; `None` where their side is no binary number."""
    side = anchor_scale * STRIDE
    if side <= STRIDE or not (side * 2**10).is_integer():
        return None
    shared = (side - STRIDE) * side
    return Limits(score=SCORE, iou=shared / (2 * side * side - shared), most=MOST)


def edge_outputs(anchors: Array, anchor_scale: float, num_classes: int) -> dict[str, Array]:
    """Outputs (1,N,4+K) of each edge that so many classes have, on the anchors (N,4) of `EDGE_SIZE`."""
    side = anchor_scale * STRIDE
    fitting = {name: boxes for name, boxes in EDGES.items() if all(box.label < num_classes for box in boxes)}
    return {name: _outputs(anchors, boxes, side, num_classes) for name, boxes in fitting.items()}


def _outputs(anchors: Array, boxes: Sequence[Placed], side: float, num_classes: int) -> Array:
    outputs = np.zeros((1, len(anchors), 4 + num_classes))
    outputs[..., 4:] = UNSEEN
    for box in boxes:
        anchor = _anchor_at(anchors, box, side)
        sides = anchors[anchor, 2:] - anchors[anchor, :2]
        outputs[0, anchor, :2] = np.array(box.moved) / VARIANCES[0] / sides
        outputs[0, anchor, 2:4] = np.array(box.grown) / VARIANCES[2]
        outputs[0, anchor, 4 + box.label] = box.logit
    return outputs


def _anchor_at(anchors: Array, box: Placed, side: float) -> int:
    """Which of the anchors is the square one of a cell."""
    centre = np.array([box.column + 0.5, box.row + 0.5]) * STRIDE
    wanted = np.concatenate([centre - side / 2, centre + side / 2])
    return int(np.abs(anchors - wanted).max(axis=1).argmin())
