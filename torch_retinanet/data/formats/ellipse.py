"""The bounding box xyxy of an ellipse."""

import math

from torch_retinanet.data.box_layouts import Box
from torch_retinanet.data.formats.shapes import bounding_box


def ellipse_box(x: float, y: float, radius_x: float, radius_y: float, radians: float = 0) -> Box:
    """The smallest upright box xyxy that holds an ellipse which is rotated about its centre (x, y).

    Raises:
        ValueError: in a few words, where a number is not finite.
    """
    if not math.isfinite(radians):
        raise ValueError(f"angle that is not finite: {radians}")
    cosine, sine = math.cos(radians), math.sin(radians)
    half_x = math.hypot(radius_x * cosine, radius_y * sine)
    half_y = math.hypot(radius_x * sine, radius_y * cosine)
    return bounding_box([(x - half_x, y - half_y), (x + half_x, y + half_y)])
