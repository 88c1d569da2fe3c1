"""COCO's JSON of objects (https://cocodataset.org/#format-data): images, annotations and categories by their ids.

Each entry is decoded by itself, so that a bad one is a problem of its own. Boxes are x, y, width, height from the upper
left corner of the first pixel; `iscrowd` marks regions that are ignored.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from torch_retinanet.data.annotations import Annotations, Problem
from torch_retinanet.data.builder import AnnotationsBuilder
from torch_retinanet.data.picture_folder import beside, find_folder
from torch_retinanet.errors import InputError

Id = int | str
T = TypeVar("T")

LEFT_OUT = {
    "images": "the picture is left out, and its boxes are those of an unknown picture",
    "annotations": "the box is left out",
    "categories": "the class is left out, and its boxes are those of an unknown class",
}
"""What becomes of a bad entry of each list."""


class _Lists(msgspec.Struct):
    images: list[msgspec.Raw]
    annotations: list[msgspec.Raw]
    categories: list[msgspec.Raw]


class _LooseLists(msgspec.Struct):
    """Those of a file that the standard library has decoded."""

    images: list[Any]
    annotations: list[Any]
    categories: list[Any]


class _Malformed(NamedTuple):
    why: str


class _Image(msgspec.Struct):
    id: Id
    file_name: str
    height: float | None = None
    width: float | None = None


class _Annotation(msgspec.Struct):
    image_id: Id
    category_id: int
    bbox: tuple[float, float, float, float]
    iscrowd: int | bool | None = 0
    area: Any = None


class _Category(msgspec.Struct):
    id: int
    name: str


def read_coco(path: Path, *, images: Path | None = None) -> Annotations:
    """The objects of a COCO file; label k is the category with the k-th smallest id.

    Args:
        path: the JSON.
        images: the folder of the pictures; by default the JSON's own, `images` or one of its name beside it (`val2017`
            for `instances_val2017.json`), or one level up: that which has most of the pictures.

    Raises:
        InputError: for a file that is no JSON, or without the lists `images`, `annotations` and `categories`.
        OSError: for a file that cannot be read.
    """
    entries = _Entries(path)
    labels, classes = _classes(entries)
    pictures = list(entries.of("images", _Image))
    folder = find_folder([picture.file_name for _, picture in pictures], beside(path), images)
    indices: dict[Id, int] = {}
    for place, picture in pictures:
        if picture.id in indices:
            entries.lose("images", place, f"id twice: {picture.id!r}")
            continue
        size, where = (picture.height or 0, picture.width or 0), f"images[{place}]"
        found = folder.find(picture.file_name)
        indices[picture.id] = entries.builder.add_picture(found, path, place=where, size=size, picture_id=picture.id)
    _add_boxes(entries, indices, labels)
    annotations = entries.builder.annotations(classes, class_ids=list(labels))
    problems = [*annotations.problems, *folder.unlisted(annotations.pictures, path)]
    return replace(annotations, problems=problems)


class _Entries:
    """The lists of a file; an entry that is not as it must be is noted, and the others are given."""

    def __init__(self, path: Path) -> None:
        self.path, self.builder = path, AnnotationsBuilder("annotations[{}]")
        self._lists, self._decoder = _decode(path)

    def of(self, name: str, kind: type[T]) -> Iterator[tuple[int, T]]:
        """The entries of a list, with their indices in it."""
        decode = self._decoder(kind)
        for place, entry in enumerate(getattr(self._lists, name)):
            decoded = _try(decode, entry)
            if isinstance(decoded, _Malformed):
                self.lose(name, place, f"malformed: {decoded.why}")
            else:
                yield place, decoded

    def lose(self, name: str, place: int, what: str) -> None:
        """Note that an entry of a list is lost."""
        self.builder.problems.append(Problem(self.path, f"{name}[{place}]", what, LEFT_OUT[name], data_loss=True))


def _try(decode: Callable[[Any], T], entry: Any) -> T | _Malformed:
    try:
        return decode(entry)
    except (ValueError, RecursionError) as error:
        return _Malformed(str(error))


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


def _classes(entries: _Entries) -> tuple[dict[int, int], list[str]]:
    """The label of each id, in the order of ids, and the names of the labels."""
    names, taken = dict[int, str](), set[str]()
    for place, category in entries.of("categories", _Category):
        if category.id in names:
            entries.lose("categories", place, f"id twice: {category.id}")
            continue
        if category.name in taken:
            what = f"name of two categories: {category.name!r}"
            place_of = f"categories[{place}]"
            entries.builder.problems.append(Problem(entries.path, place_of, what, "both are classes", data_loss=False))
        names[category.id] = category.name
        taken.add(category.name)
    ids = sorted(names)
    return {class_id: label for label, class_id in enumerate(ids)}, [names[class_id] for class_id in ids]


def _add_boxes(entries: _Entries, indices: Mapping[Id, int], labels: Mapping[int, int]) -> None:
    add = entries.builder.add_box
    for place, annotation in entries.of("annotations", _Annotation):
        picture, label = indices.get(annotation.image_id), labels.get(annotation.category_id)
        if picture is None:
            entries.lose("annotations", place, f"unknown picture: image_id {annotation.image_id!r}")
        elif label is None:
            entries.lose("annotations", place, f"unknown class: category_id {annotation.category_id}")
        else:
            x, y, width, height = annotation.bbox
            box, ignored = (x, y, x + width, y + height), bool(annotation.iscrowd)
            add(picture, box, label, place, ignored=ignored, area=_area(annotation.area))


def _area(said: Any) -> float:
    """An area, of which no box is lost where it is none."""
    try:
        return float(said) if isinstance(said, int | float) else math.nan
    except OverflowError:
        return math.nan
