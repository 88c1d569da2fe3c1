"""The regions of a Label Studio annotation: rectangles, ellipses and polygons in percent of their picture."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from torch_retinanet.data.box_layouts import Box
from torch_retinanet.data.coco_values import number_of
from torch_retinanet.data.formats.ellipse import ellipse_box
from torch_retinanet.data.formats.json_file import SHOWN, points_of, size_of, text_of
from torch_retinanet.data.formats.objects import NoExtentError
from torch_retinanet.data.formats.shapes import bounding_box

NO_REGION = (
    *("relation", "choices", "taxonomy", "textarea", "rating", "number", "datetime", "pairwise", "ranker"),
    *("chat", "reviewable", "comment"),
)
"""Types of results that say something of a picture, or of a region that another result says."""

GEOMETRY = ("x", "y", "width", "height", "rotation", "radiusX", "radiusY", "points", "rle")

SIDES = ("original_height", "original_width")

PERCENT = 100


class TaskRegion(NamedTuple):
    """A result that is a region, where it stands among the results, and the classes that it has."""

    value: Any
    place: int
    labels: Sequence[str]


def regions_of(results: Sequence[Any]) -> Iterator[TaskRegion]:
    """The regions of an annotation; results of one region, its rectangle and its labels, are one."""
    ids = Counter(_id(result) for result in results)
    keys = [_key(result) if ids[_id(result)] > 1 else "" for result in results]
    keys = [key or str(place) for place, key in enumerate(keys)]
    labels: dict[str, list[str]] = {key: [] for key in keys}
    for result, key in zip(results, keys, strict=True):
        labels[key] += _labels(_value(result))
    seen = set()
    for place, (result, key) in enumerate(zip(results, keys, strict=True)):
        if key in seen or (isinstance(result, dict) and result.get("type") in NO_REGION):
            continue
        seen.add(key)
        yield TaskRegion(_value(result), place, list(dict.fromkeys(labels[key])))


def of_json_min(task: dict[str, Any]) -> list[dict[str, Any]]:
    """The results of a task in JSON-MIN, which has the values alone, in a list by the name of each control."""
    values = [value for listed in task.values() if isinstance(listed, list) for value in listed]
    return [
        {"value": value, **{name: value.get(name) for name in SIDES}}
        for value in values
        if isinstance(value, dict) and any(name in value for name in GEOMETRY)
    ]


def size_in(results: Sequence[Any]) -> tuple[float, float]:
    """Height and width of the picture as the results say it, 0 where they do not."""
    sizes = [size_of(*map(one.get, SIDES)) for one in results if isinstance(one, dict)]
    return next((size for size in sizes if min(size)), (0, 0))


def region_box(value: Any, size: tuple[float, float]) -> Box:
    """The smallest box xyxy in pixels that holds a region of a picture of a height and width.

    Raises:
        ValueError: in a few words, for a region without extent or that is not known.
    """
    if not isinstance(value, dict):
        raise ValueError(f"result without value: {repr(value)[:SHOWN]}")
    height, width = (side / PERCENT for side in size)
    if "points" in value:
        return bounding_box([(x * width, y * height) for x, y in points_of(value["points"])])
    if "radiusX" in value:
        x, y, radius_x, radius_y = (number_of(value.get(name)) for name in ("x", "y", "radiusX", "radiusY"))
        return ellipse_box(x * width, y * height, radius_x * width, radius_y * height, _angle(value))
    if "height" not in value:
        raise NoExtentError(f"shape without extent: {', '.join(map(repr, value))[:SHOWN]}")
    x, y, across, down = (number_of(value.get(name)) for name in ("x", "y", "width", "height"))
    return _rotated(x * width, y * height, across * width, down * height, _angle(value))


def _rotated(x: float, y: float, width: float, height: float, angle: float) -> Box:
    """The box of a rectangle that is turned about its upper left corner."""
    if not angle:
        return x, y, x + width, y + height
    cosine, sine = math.cos(angle), math.sin(angle)
    corners = [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)]
    return bounding_box(
        [(x + across * cosine - down * sine, y + across * sine + down * cosine) for across, down in corners]
    )


def _angle(value: dict[str, Any]) -> float:
    """The rotation in radians; an optional field, of which no box is lost."""
    try:
        return math.radians(number_of(value.get("rotation", 0)))
    except ValueError:
        return 0


def _value(result: Any) -> Any:
    return result.get("value") if isinstance(result, dict) else result


def _id(result: Any) -> str:
    return text_of(result.get("id")) if isinstance(result, dict) else ""


def _key(result: Any) -> str:
    """The same for the results of one region: its id, and where it lies; nothing where a result does not say both."""
    value = _value(result)
    if not _id(result) or not isinstance(value, dict):
        return ""
    return repr([_id(result), *(value.get(name) for name in GEOMETRY)])


def _labels(value: Any) -> list[str]:
    """The classes of a value: `rectanglelabels`, `polygonlabels`, `labels` and the like."""
    lists = [value[name] for name in value if name.endswith("labels")] if isinstance(value, dict) else []
    texts = [text_of(one) for several in lists for one in (several if isinstance(several, list) else [several])]
    return [text for text in texts if text]
