"""The shapes of VGG Image Annotator (`via.js`, `_via_region`), in pixels and radians."""

from typing import Any

from torch_retinanet.data.box_layouts import Box
from torch_retinanet.data.coco_values import number_of
from torch_retinanet.data.formats.ellipse import ellipse_box
from torch_retinanet.data.formats.json_file import SHOWN
from torch_retinanet.data.formats.objects import NoExtentError
from torch_retinanet.data.formats.shapes import bounding_box


def region_box(shape: Any) -> Box:
    """The smallest box xyxy that holds a region.

    Raises:
        ValueError: in a few words, for a shape without extent or that is not known.
    """
    if not isinstance(shape, dict):
        raise ValueError(f"region without shape: {repr(shape)[:SHOWN]}")
    kind = shape.get("name")
    if kind in ("polygon", "polyline"):
        return bounding_box(_points(shape))
    if kind == "rect":
        x, y, width, height = (number_of(shape.get(name)) for name in ("x", "y", "width", "height"))
        return x, y, x + width, y + height
    if kind in ("circle", "ellipse"):
        names = ("cx", "cy", "r", "r") if kind == "circle" else ("cx", "cy", "rx", "ry")
        x, y, across, down = (number_of(shape.get(name)) for name in names)
        return ellipse_box(x, y, across, down, number_of(shape.get("theta", 0)))
    raise NoExtentError(f"shape without extent: {repr(kind)[:SHOWN]}")


def _points(shape: dict[str, Any]) -> list[tuple[float, float]]:
    xs, ys = shape.get("all_points_x"), shape.get("all_points_y")
    if not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys):
        raise ValueError("points without as many x as y")
    return [(number_of(x), number_of(y)) for x, y in zip(xs, ys, strict=True)]
