"""Detections of both sides as they are drawn over a picture."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from parity_tests.rule.result import Example

DRAWN = 40
"""Of each side, the best; more would hide the picture."""

LABELLED = 12
"""The most boxes of a side that have their class and score written beside them."""

LETTER_WIDTH = 0.58
"""Of a letter, as a share of its height."""


@dataclass(frozen=True, kw_only=True)
class Box:
    """A detection: its upper left corner and its extent in pixels of the picture, and what is said of it."""

    x: float
    y: float
    width: float
    height: float
    says: str


@dataclass(frozen=True, kw_only=True)
class Label:
    """Words within the picture, from their left end and the line they stand on."""

    x: float
    y: float
    says: str


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An example that is ready to be drawn.

    Attributes:
        boxes: by side, those that are drawn.
        labels: by side; a detection that both sides have is labelled once.
        text: height of the letters, in pixels of the picture.
    """

    title: str
    png: str
    height: int
    width: int
    boxes: Mapping[str, Sequence[Box]]
    labels: Mapping[str, Sequence[Label]]
    counts: Mapping[str, int]
    text: float


def pictures(examples: Iterable[Example]) -> list[Picture]:
    """The examples of a run."""
    return [_picture(example) for example in examples]


def _picture(example: Example) -> Picture:
    height, width = example.size
    sides = {"reference": example.reference, "port": example.port}
    boxes = {
        side: [_box(found) for found in detections if _finite(found)][:DRAWN] for side, detections in sides.items()
    }
    text = round(max(height, width) / 30, 1)
    labels: dict[str, list[Label]] = {"reference": [], "port": []}
    if max(map(len, boxes.values())) <= LABELLED:
        alone = [box for box in boxes["port"] if not any(_same(box, other) for other in boxes["reference"])]
        labels["reference"] = [_label(box, box.y - 0.3 * text, text, example.size) for box in boxes["reference"]]
        labels["port"] = [_label(box, box.y + box.height + text, text, example.size) for box in alone]
    counts = {side: len(detections) for side, detections in sides.items()}
    title = f"{example.preset} {example.case}".strip()
    return Picture(
        title=title, png=example.png, height=height, width=width, boxes=boxes, labels=labels, counts=counts, text=text
    )


def _finite(detection: Mapping[str, Any]) -> bool:
    return all(map(math.isfinite, detection["box"]))


def _box(detection: Mapping[str, Any]) -> Box:
    x1, y1, x2, y2 = (round(float(side), 2) for side in detection["box"])
    says = f"{detection['label']} {float(detection['score']):.2f}"
    return Box(x=x1, y=y1, width=max(round(x2 - x1, 2), 0), height=max(round(y2 - y1, 2), 0), says=says)


def _same(box: Box, other: Box) -> bool:
    """Whether nobody could tell them apart, by a tenth of a pixel and by what is said of them."""
    distances = (box.x - other.x, box.y - other.y, box.width - other.width, box.height - other.height)
    return box.says == other.says and max(map(abs, distances)) < 0.1


def _label(box: Box, y: float, text: float, size: tuple[int, int]) -> Label:
    """What is said of a box, moved to where the picture holds it."""
    height, width = size
    rightmost = width - LETTER_WIDTH * text * len(box.says)
    within = (max(min(box.x, rightmost), 0), min(max(y, text), height - 0.3 * text))
    return Label(x=round(within[0], 1), y=round(within[1], 1), says=box.says)
