"""Pictures and objects as the formats of annotation tools say them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from torch_retinanet.data.annotations import Problem
from torch_retinanet.data.box_layouts import Box
from torch_retinanet.data.builder import NO_CLASS, AnnotationsBuilder
from torch_retinanet.data.picture_folder import Found, PictureFolder, is_there

T = TypeVar("T")


class Object(NamedTuple):
    """An object: its class, empty where none is said, its box xyxy in pixels, and whether it is ignored."""

    name: str
    box: Box
    ignored: bool = False


class NoExtentError(ValueError):
    """A shape that never has a box, as a point: a mark beside the objects, by which no picture is lost."""


def find_first(folder: PictureFolder, names: Sequence[str]) -> Found:
    """The first of several names of one picture that is there, or else the first that may be followed."""
    found = [folder.find(name) for name in names]
    there = (one for one in found if one.path and is_there(one.path))
    return next(there, next((one for one in found if one.path), found[0]))


def read_or_lose(
    read: Callable[[T], Object], entry: T, builder: AnnotationsBuilder, picture: int, place: int
) -> Object | None:
    """What `read` makes of an entry; where it raises a `ValueError` the object is lost, and its picture with it."""
    try:
        return read(entry)
    except NoExtentError as error:
        builder.lose_mark(picture, place, str(error))
    except ValueError as error:
        builder.lose_object(picture, place, str(error))
    return None


def add_object(found: Object | None, builder: AnnotationsBuilder, file: Path, picture: int, place: int) -> None:
    """Take an object, if there is one; without a class it is said to be lost, and its region is ignored."""
    if found is None:
        return
    label = builder.label(found.name) if found.name else NO_CLASS
    if not found.name:
        builder.lose(file, place, "object without class", "its region is ignored")
    builder.add_box(picture, found.box, label, place, ignored=found.ignored or not found.name)


def lose_picture(builder: AnnotationsBuilder, file: Path, place: str, what: str) -> None:
    """Note that a picture which a file should say is lost."""
    builder.problems.append(Problem(file, place, what, "the picture is left out", data_loss=True))
