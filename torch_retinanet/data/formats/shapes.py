"""The bounding boxes xyxy of shapes that are no upright boxes: outlines, and boxes that are rotated."""

import math
from collections.abc import Sequence

from torch_retinanet.data.box_layouts import Box


def bounding_box(points: Sequence[tuple[float, float]]) -> Box:
    """The smallest box xyxy that holds all points (x, y), in the units that they have.

    Raises:
        ValueError: in a few words, where there is no point, or a coordinate is not finite.
    """
    if not points:
        raise ValueError("shape without points")
    xs, ys = zip(*points, strict=True)
    for number in (*xs, *ys):
        if not math.isfinite(number):
            raise ValueError(f"point that is not finite: {number}")
    return min(xs), min(ys), max(xs), max(ys)


def rotated_box(centre_x: float, centre_y: float, width: float, height: float, radians: float) -> Box:
    """The smallest upright box xyxy that holds a box which is rotated about its centre; either sense gives the same.

    Raises:
        ValueError: in a few words, where a number is not finite.
    """
    if not math.isfinite(radians):
        raise ValueError(f"angle that is not finite: {radians}")
    cosine, sine = abs(math.cos(radians)), abs(math.sin(radians))
    half_x, half_y = (width * cosine + height * sine) / 2, (width * sine + height * cosine) / 2
    return bounding_box([(centre_x - half_x, centre_y - half_y), (centre_x + half_x, centre_y + half_y)])
