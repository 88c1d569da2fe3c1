"""The entries of COCO's JSON, each decoded by itself, so that a bad one is a problem of its own.

An entry in COCO's own notation is decoded at once. Any other is read field by field: numbers may be texts, ids floats,
and of what is optional nothing costs an entry.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from torch_retinanet.data.annotations import Problem
from torch_retinanet.data.box_layouts import Box
from torch_retinanet.data.coco_values import (
    Id,
    id_of,
    is_set,
    numbers_of,
    optional_number,
    whole_number_of,
)
from torch_retinanet.data.formats.coco_outlines import outline_box
from torch_retinanet.data.text import is_missing
from torch_retinanet.errors import InputError

T = TypeVar("T")

LEFT_OUT = {
    "images": "the picture is left out, and its boxes are those of an unknown picture",
    "annotations": "the box is left out",
    "categories": "the class is left out, and its boxes are those of an unknown class",
}
"""What becomes of a bad entry of each list."""


class Image(msgspec.Struct):
    """A picture; its name may be missing where no picture is read. LVIS has its URL alone."""

    id: Id
    file_name: str | None = None
    height: float | None = None
    width: float | None = None
    coco_url: str | None = None

    @property
    def name(self) -> str | None:
        """What its file is called."""
        return self.coco_url if self.file_name is None else self.file_name


class Annotation(msgspec.Struct):
    """An object; without a class or a box that can be read these are `None`."""

    image_id: Id
    category_id: int | None
    bbox: Box | None
    iscrowd: int | bool | None = 0
    area: float | None = None


class Category(msgspec.Struct):
    """A class."""

    id: int
    name: str


class _Strict(msgspec.Struct):
    """An object in COCO's own notation."""

    image_id: Id
    category_id: int
    bbox: Box
    iscrowd: int | bool | None = 0
    area: float | None = None


Object = Annotation | _Strict


class _Lists(msgspec.Struct):
    images: list[msgspec.Raw]
    annotations: list[msgspec.Raw]
    categories: list[msgspec.Raw]


class _LooseLists(msgspec.Struct):
    """Those of a file that the standard library has decoded."""

    images: list[Any]
    annotations: list[Any]
    categories: list[Any]


class Entries:
    """The lists of a file. An entry that cannot be read is added to `problems`, and the others are given.

    Raises:
        InputError: for a file that is no JSON, or without the lists `images`, `annotations` and `categories`.
        OSError: for a file that cannot be read.
    """

    def __init__(self, path: Path, problems: list[Problem]) -> None:
        self.path, self.problems = path, problems
        self._lists, self._decoder = _decode(path)

    def images(self) -> Iterator[tuple[int, Image]]:
        """The pictures, with their indices in the list."""
        return self._entries("images", Image, _loose_image)

    def categories(self) -> Iterator[tuple[int, Category]]:
        """The classes, with their indices in the list."""
        return self._entries("categories", Category, _loose_category)

    def annotations(self) -> Iterator[tuple[int, Object]]:
        """The objects, with their indices in the list."""
        return self._entries("annotations", _Strict, _loose_annotation)

    def outline(self, place: int) -> Box | None:
        """The box xyxy around the segmentation of an object, if it has one that can be read."""
        try:
            return outline_box(_fields(self._lists.annotations[place]).get("segmentation"))
        except (ValueError, RecursionError):
            return None

    def lose(self, name: str, place: int, what: str) -> None:
        """Note that an entry of a list is lost."""
        self.problems.append(Problem(self.path, f"{name}[{place}]", what, LEFT_OUT[name], data_loss=True))

    def _entries(self, name: str, kind: type[T], loosely: Callable[[Mapping[str, Any]], Any]) -> Iterator[Any]:
        decode = self._decoder(kind)
        for place, entry in enumerate(getattr(self._lists, name)):
            try:
                decoded = decode(entry)
            except (ValueError, RecursionError):
                try:
                    decoded = loosely(_fields(entry))
                except (ValueError, RecursionError) as error:
                    self.lose(name, place, f"malformed: {error}")
                    continue
            yield place, decoded


def _decode(path: Path) -> tuple[_Lists | _LooseLists, Callable[[type[T]], Callable[[Any], T]]]:
    """The three lists, and what makes the decoder of a kind of entry."""
    content = path.read_bytes()
    try:
        try:
            return msgspec.json.decode(content, type=_Lists), _json_decoder
        except msgspec.ValidationError:
            raise
        except (ValueError, RecursionError):  # the standard library knows NaN, UTF-16 and a mark in front
            return msgspec.convert(json.loads(content), _LooseLists), _value_decoder
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: must be an object with lists images, annotations, categories ({error})") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: must be whole JSON ({error})") from None


def _json_decoder(kind: type[T]) -> Callable[[Any], T]:
    return msgspec.json.Decoder(kind).decode


def _value_decoder(kind: type[T]) -> Callable[[Any], T]:
    return partial(msgspec.convert, type=kind)


def _fields(entry: Any) -> Mapping[str, Any]:
    """The fields of an entry, raw or decoded.

    Raises:
        ValueError: for one that is no object.
    """
    value = msgspec.json.decode(entry) if isinstance(entry, msgspec.Raw) else entry
    if not isinstance(value, dict):
        raise ValueError(f"expected `object`, got `{type(value).__name__}`")
    return value


def _loose_image(fields: Mapping[str, Any]) -> Image:
    name = fields.get("file_name")
    if isinstance(name, list) and len(name) == 1:
        name = name[0]
    height, width = (optional_number(fields.get(side)) for side in ("height", "width"))
    known, url = height >= 0 and width >= 0, fields.get("coco_url")
    return Image(
        _field(fields, "id", id_of),
        name if isinstance(name, str) else None,
        height if known else None,
        width if known else None,
        url if isinstance(url, str) else None,
    )


def _loose_category(fields: Mapping[str, Any]) -> Category:
    name = fields.get("name")
    if isinstance(name, bool | None) or not isinstance(name, str | int | float) or is_missing(str(name)):
        raise ValueError("no name")
    return Category(_field(fields, "id", whole_number_of), str(name))


def _loose_annotation(fields: Mapping[str, Any]) -> Annotation:
    area = optional_number(fields.get("area"))
    return Annotation(
        _field(fields, "image_id", id_of),
        _or_none(lambda: whole_number_of(fields.get("category_id"))),
        _or_none(lambda: _box(fields.get("bbox"))),
        is_set(fields.get("iscrowd")),
        None if math.isnan(area) else area,
    )


def _box(value: Any) -> Box:
    numbers = numbers_of(value)
    if len(numbers) != 4:
        raise ValueError(f"numbers that are not 4: {len(numbers)}")
    return numbers[0], numbers[1], numbers[2], numbers[3]


def _field(fields: Mapping[str, Any], name: str, read: Callable[[Any], T]) -> T:
    try:
        return read(fields.get(name))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _or_none(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except ValueError:
        return None
