"""What the four numbers of a box mean: corners, or a corner or the centre and sides; pixels, or shares of a picture."""

from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from torch_retinanet.data.annotations import Annotations, Floats

BoxLayout = Literal["xyxy", "xywh", "cxcywh", "xyxy-relative", "xywh-relative", "cxcywh-relative"]
BOX_LAYOUTS: tuple[BoxLayout, ...] = get_args(BoxLayout)
RELATIVE = "-relative"
"""How the layouts end whose numbers are shares of the width and height of the picture."""

Box = tuple[float, float, float, float]


def is_relative(layout: BoxLayout) -> bool:
    """Whether the numbers are shares of the picture."""
    return layout.endswith(RELATIVE)


def to_xyxy(numbers: Floats, layout: BoxLayout) -> Floats:
    """Corners (T,4) of boxes whose numbers (T,4) are of a layout, in the units that they have."""
    first, second = numbers[:, :2], numbers[:, 2:]
    if layout.startswith("xywh"):
        return np.concatenate([first, first + second], axis=1)
    if layout.startswith("cxcywh"):
        return np.concatenate([first - second / 2, first + second / 2], axis=1)
    return numbers


def from_xyxy(corners: Box, layout: BoxLayout) -> Box:
    """The numbers of a layout of one box, in the units that it has; the reverse of `to_xyxy`."""
    left, top, right, bottom = corners
    if layout.startswith("xywh"):
        return left, top, right - left, bottom - top
    if layout.startswith("cxcywh"):
        return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
    return corners


def in_pixels(annotations: Annotations) -> Annotations:
    """Annotations whose boxes are pixels; `sizes` must be those of the pictures."""
    if not annotations.relative:
        return annotations
    return replace(annotations, boxes=annotations.boxes * box_sides(annotations), relative=False)


def box_sides(annotations: Annotations) -> Floats:
    """Width, height, width, height (T,4) of the picture that each box is on."""
    return annotations.sizes[annotations.owners()][:, [1, 0, 1, 0]].astype(np.float64)
