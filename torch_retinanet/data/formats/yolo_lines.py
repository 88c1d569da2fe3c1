"""A line of YOLO's labels: a class, then a box with or without a score or key points, or an outline, or four corners.

https://docs.ultralytics.com/datasets: `detect` has centre and sides, `segment` the points of an outline, `obb` four
corners, and `pose` a box with key points behind it. `save_conf` and a tracker put a score and a number at the end.
"""

import re
from collections.abc import Sequence

from torch_retinanet.data.box_layouts import Box, BoxLayout, from_xyxy, is_relative
from torch_retinanet.data.formats.shapes import bounding_box
from torch_retinanet.data.text import parse_number

SHOWN = 80
"""Letters of a line that a message shows."""

SIDES = 4
"""Numbers of a box."""

LEAST_OUTLINE = 6
"""Numbers of an outline with three points."""

BEYOND = 0.1
"""By how much the share of a point may lie outside the picture."""

VISIBLE = (0, 1, 2)
"""What a key point says third: not labelled, hidden, or visible."""


def split_line(text: str) -> list[str]:
    """The fields of a line, which stand between blanks.

    Raises:
        ValueError: in a few words, for fields that stand between commas or semicolons.
    """
    fields = text.split()
    apart = [field for field in re.split(r"[,;]", text) if field.strip()]
    if any(field.endswith((",", ";")) for field in fields) or len(fields) < 1 + SIDES <= len(apart):
        raise ValueError(f"fields that must be separated by blanks, and by nothing else: {text[:SHOWN]!r}")
    return fields


def read_box(fields: Sequence[str], layout: BoxLayout, key_points: int | None) -> Box:
    """The box of a line, in a layout.

    Args:
        fields: all behind the class.
        layout: of boxes; those of outlines are turned into it.
        key_points: how many numbers the key points of an object have, where the data set says it.

    Raises:
        ValueError: in a few words, for a line that is none of those.
    """
    numbers = [parse_number(field) for field in fields]
    if len(numbers) < SIDES:
        raise ValueError(f"fields that are not 5: {len(numbers) + 1}")
    box = numbers[0], numbers[1], numbers[2], numbers[3]
    if _belong_to_a_box(box, numbers[SIDES:], key_points):
        return box
    even = numbers[: len(numbers) // 2 * 2]
    if len(even) < LEAST_OUTLINE:
        raise ValueError(f"fields that are neither a box nor an outline: {len(numbers) + 1}")
    if is_relative(layout) and not all(-BEYOND <= x <= 1 + BEYOND for x in even):
        raise ValueError(f"outline beyond the picture, as one in pixels, which `--boxes cxcywh` reads: {max(even):g}")
    return from_xyxy(bounding_box(list(zip(even[::2], even[1::2], strict=True))), layout)


def _belong_to_a_box(box: Box, others: Sequence[float], key_points: int | None) -> bool:
    """Whether numbers behind four others are a score, the number of a track, or key points."""
    if key_points is not None:
        return len(others) in (0, 1, key_points, key_points + 1)
    if len(others) <= 1:
        return all(0 <= other <= 1 or other.is_integer() for other in others)
    if len(others) == 2:
        return 0 <= others[0] <= 1 < others[1] and others[1].is_integer()
    points = list(zip(others[::3], others[1::3], others[2::3], strict=False))
    return len(others) % 3 == 0 and all(seen in VISIBLE and (not seen or _is_in(box, x, y)) for x, y, seen in points)


def _is_in(box: Box, x: float, y: float) -> bool:
    return abs(x - box[0]) <= box[2] and abs(y - box[1]) <= box[3]  # as far again as the box may a key point lie out
