"""labelme's JSON, a file a picture (https://github.com/wkentaro/labelme, `labelme/_label_file.py`), also as
X-AnyLabeling writes it.

Points are x, y in pixels from the left and upper edge of the first pixel. The box of a shape is the smallest that holds
it. A circle is its centre and a point on it. A mask is the first and the last pixel of its box, which belong to it. A
polygon with a `group_id` is a part of an object with all that have the same label and group. X-AnyLabeling's
`difficult` marks regions that are ignored. The picture embedded in a file is not read.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PureWindowsPath
from typing import Any, NamedTuple

from torch_retinanet.data.annotations import Annotations, Problem
from torch_retinanet.data.box_layouts import Box
from torch_retinanet.data.builder import AnnotationsBuilder
from torch_retinanet.data.formats.json_file import SHOWN, points_of, read_json, size_of, text_of
from torch_retinanet.data.formats.json_kind import JsonKind, is_of_kind
from torch_retinanet.data.formats.objects import NoExtentError, Object, add_object, find_first, read_or_lose
from torch_retinanet.data.formats.shapes import bounding_box
from torch_retinanet.data.picture_folder import Found, PictureFolder, beside, find_folder
from torch_retinanet.data.progress import track
from torch_retinanet.errors import InputError

WHOLE = ("rectangle", "circle", "rotation", "oriented_rectangle")
"""Shapes that are an object each, whatever their group."""

POINTS = ("point", "points")
"""Shapes that say where an object is, and not how large."""


class _Shape(NamedTuple):
    """An object or a part of one, its place, and the group whose parts are one object."""

    found: Object
    place: int
    group: str


def is_labelme(path: Path) -> bool:
    """Whether a file is labelme's."""
    return is_of_kind(path, JsonKind.LABELME)


def is_labelme_folder(path: Path) -> bool:
    """Whether a folder has a file of labelme's."""
    return any(map(is_labelme, path.glob("*.json")))


def read_labelme(path: Path, *, images: Path | None = None) -> Annotations:
    """The shapes of labelme's files as boxes.

    A picture is found by `imagePath`, or else by the name of the JSON.

    Args:
        path: one JSON, or a folder of them.
        images: the folder of the pictures; by default that of the JSON, `images` beside it, or one level up.

    Raises:
        InputError: for a single file that is no JSON of labelme's.
        OSError: for a single file that cannot be read.
    """
    builder = AnnotationsBuilder("shapes[{}]")
    files = [path] if path.is_file() else sorted(path.glob("*.json"))
    names = [file.with_suffix(suffix).name for suffix in (".jpg", ".png") for file in files]
    folder = find_folder(names, beside(files[0]) if files else [path], images)
    if path.is_file():
        _add(_read(path), path, folder, builder)
        return builder.annotations()
    for file in track(files, total=len(files), words="reading annotations"):
        _add_or_lose(file, folder, builder)
    annotations = builder.annotations()
    return replace(annotations, unlisted=folder.unlisted(annotations.pictures))


def _add_or_lose(file: Path, folder: PictureFolder, builder: AnnotationsBuilder) -> None:
    try:
        _add(_read(file), file, folder, builder)
    except (InputError, OSError) as error:
        what, lost = str(error).removeprefix(f"{file}: "), bool(folder.with_stem(file.stem)) or is_labelme(file)
        then = "its picture is left out" if lost else "it is left out"
        builder.problems.append(Problem(file, "", what, then, data_loss=lost))


def _read(file: Path) -> dict[str, Any]:
    content = read_json(file)
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        raise InputError(f"{file}: must be labelme's JSON, an object with a list shapes")
    return content


def _add(content: dict[str, Any], file: Path, folder: PictureFolder, builder: AnnotationsBuilder) -> None:
    size = size_of(content.get("imageHeight"), content.get("imageWidth"))
    picture = builder.add_picture(_picture(content, file, folder), file, size=size)
    read = [read_or_lose(_object, entry, builder, picture, place) for place, entry in enumerate(content["shapes"])]
    parts = [_Shape(found, place, _group(content["shapes"][place])) for place, found in enumerate(read) if found]
    for shape in _joined(parts):
        add_object(shape.found, builder, file, picture, shape.place)


def _picture(content: dict[str, Any], file: Path, folder: PictureFolder) -> Found:
    """The picture that a file names: under its path, its bare name, or the name of the file."""
    said = text_of(content.get("imagePath"))
    of_stem = [path.name for path in folder.with_stem(file.stem)]
    bare = [PureWindowsPath(said).name] if said else []
    return find_first(folder, [said, *bare, *of_stem] if said else of_stem or [f"{file.stem}.jpg"])


def _object(entry: Any) -> Object:
    """A shape.

    Raises:
        ValueError: in a few words, for one without a box.
    """
    if not isinstance(entry, dict):
        raise ValueError(f"no shape: {repr(entry)[:SHOWN]}")
    kind, points = entry.get("shape_type") or "polygon", points_of(entry.get("points"))
    if kind in POINTS:
        raise NoExtentError(f"shape without extent: {kind!r}")
    return Object(text_of(entry.get("label")), _box(kind, points), ignored=entry.get("difficult") is True)


def _group(entry: dict[str, Any]) -> str:
    """The group of a polygon or mask; nothing for shapes that are whole objects."""
    return "" if entry.get("shape_type") in WHOLE else text_of(entry.get("group_id"))


def _box(kind: str, points: list[tuple[float, float]]) -> Box:
    left, top, right, bottom = bounding_box(points)
    if kind == "circle" and len(points) == 2:
        (x, y), radius = points[0], math.dist(*points)
        return x - radius, y - radius, x + radius, y + radius
    return (left, top, right + 1, bottom + 1) if kind == "mask" else (left, top, right, bottom)


def _joined(shapes: Sequence[_Shape]) -> list[_Shape]:
    """The objects of the shapes; one that is in several parts stands at the place of its first."""
    joined: dict[tuple[str, str, int], _Shape] = {}
    for shape in shapes:
        key = (shape.found.name, shape.group, 0 if shape.group else shape.place)
        first = joined.get(key, shape)
        corners = [first.found.box[:2], first.found.box[2:], shape.found.box[:2], shape.found.box[2:]]
        joined[key] = first._replace(found=first.found._replace(box=bounding_box(corners)))
    return list(joined.values())
