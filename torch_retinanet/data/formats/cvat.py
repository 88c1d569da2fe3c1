"""CVAT for images 1.1 (https://docs.cvat.ai/docs/dataset_management/formats/xml_format): one XML, its pictures in
`images`.

Shapes of an `<image>` are in pixels from the left and upper edge of the first pixel; the box of each is the smallest
that holds it. `rotation` is about the centre, in degrees. `<tag>` says something of the picture and is no object.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PureWindowsPath
from xml.etree.ElementTree import Element

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.box_layouts import Box
from torch_retinanet.data.builder import AnnotationsBuilder
from torch_retinanet.data.formats.ellipse import ellipse_box
from torch_retinanet.data.formats.json_file import size_of
from torch_retinanet.data.formats.objects import (
    NoExtentError,
    Object,
    add_object,
    find_first,
    lose_picture,
    read_or_lose,
)
from torch_retinanet.data.formats.shapes import bounding_box, rotated_box
from torch_retinanet.data.formats.xml_file import read_xml
from torch_retinanet.data.picture_folder import PictureFolder, beside, find_folder
from torch_retinanet.data.places import NestedPlaces, nested_place
from torch_retinanet.data.text import parse_number
from torch_retinanet.errors import InputError

BEGINNING = 4096
"""Bytes in which the first element of an XML begins."""

ROOT = re.compile(rb"<annotations[\s>]")

NO_OBJECT = "tag"


def is_cvat(path: Path) -> bool:
    """Whether a file is an XML of CVAT."""
    try:
        with path.open("rb") as file:
            return ROOT.search(file.read(BEGINNING).replace(b"\0", b"")) is not None
    except OSError:
        return False


def read_cvat(path: Path, *, images: Path | None = None) -> Annotations:
    """The shapes of an XML of CVAT as boxes.

    Args:
        path: the XML.
        images: the folder of the pictures; by default the XML's own, `images` beside it, or one level up.

    Raises:
        InputError: for a file that is no XML, or holds tracks of a video.
        OSError: for a file that cannot be read.
    """
    root = read_xml(path)
    if root.tag != "annotations":
        raise InputError(f"{path}: must be an <annotations>, and is a <{root.tag}>")
    entries = root.findall("image")
    if not entries and root.find("track") is not None:
        raise InputError(f"{path}: holds the tracks of a video; export it as 'CVAT for images'")
    builder = AnnotationsBuilder(NestedPlaces("image[{}].shape[{}]"))
    names = [name for entry in entries for name in _names(entry)]
    folder = find_folder(names, beside(path), images)
    for index, entry in enumerate(entries):
        _add(entry, index, path, folder, builder)
    annotations = builder.annotations()
    return replace(annotations, unlisted=folder.unlisted(annotations.pictures))


def _names(entry: Element) -> list[str]:
    """The names by which a picture is looked for: as it is, in the folder of its subset, and without folders."""
    name = entry.get("name", "").strip()
    subset = entry.get("subset", "").strip()
    return [name, *([f"{subset}/{name}"] if subset else []), PureWindowsPath(name).name or name] if name else []


def _add(entry: Element, index: int, path: Path, folder: PictureFolder, builder: AnnotationsBuilder) -> None:
    place, names = f"image[{index}]", _names(entry)
    if not names:
        lose_picture(builder, path, place, f"picture without name: id {entry.get('id')!r}")
        return
    size = size_of(entry.get("height"), entry.get("width"))
    picture = builder.add_picture(find_first(folder, names), path, place=place, size=size)
    for number, shape in enumerate(shape for shape in entry if shape.tag != NO_OBJECT):
        box_place = nested_place(index, number)
        add_object(read_or_lose(_object, shape, builder, picture, box_place), builder, path, picture, box_place)


def _object(shape: Element) -> Object:
    return Object(shape.get("label", "").strip(), _box(shape))


def _box(shape: Element) -> Box:
    """The smallest box xyxy that holds a shape.

    Raises:
        ValueError: in a few words, for a shape without extent or that is not known.
    """
    if shape.tag == "box":
        left, top, right, bottom = _numbers(shape, "xtl", "ytl", "xbr", "ybr")
        angle = parse_number(shape.get("rotation", "0").strip())
        if not angle:
            return left, top, right, bottom
        return rotated_box((left + right) / 2, (top + bottom) / 2, right - left, bottom - top, math.radians(angle))
    if shape.tag in ("polygon", "polyline"):
        return bounding_box(list(_points(shape)))
    if shape.tag == "skeleton":
        parts = [part for part in shape.findall("points") if part.get("outside") != "1"]
        return bounding_box([point for part in parts for point in _points(part)])
    if shape.tag == "ellipse":
        x, y, radius_x, radius_y = _numbers(shape, "cx", "cy", "rx", "ry")
        angle = parse_number(shape.get("rotation", "0").strip())
        return ellipse_box(x, y, radius_x, radius_y, math.radians(angle))
    if shape.tag == "mask":
        left, top, width, height = _numbers(shape, "left", "top", "width", "height")
        return left, top, left + width, top + height
    if shape.tag == "cuboid":
        corners = [f"{end}{number}" for number in (1, 2) for end in ("tl", "bl", "tr", "br")]
        values = _numbers(shape, *(f"{axis}{corner}" for corner in corners for axis in "xy"))
        return bounding_box(list(zip(values[::2], values[1::2], strict=True)))
    raise NoExtentError(f"shape without extent: {shape.tag[:60]!r}")


def _numbers(shape: Element, *names: str) -> list[float]:
    return [parse_number(shape.get(name, "").strip()) for name in names]


def _points(shape: Element) -> Iterator[tuple[float, float]]:
    """Points as text: `x,y;x,y`."""
    for text in shape.get("points", "").split(";"):
        x, comma, y = text.partition(",")
        if not comma:
            raise ValueError(f"no point: {text[:60]!r}")
        yield parse_number(x.strip()), parse_number(y.strip())
