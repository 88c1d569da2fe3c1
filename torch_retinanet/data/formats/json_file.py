"""A JSON decoded whole, and its values as programs write them: numbers may be text, and text may be numbers."""

import json
from pathlib import Path
from typing import Any

import msgspec

from torch_retinanet.data.coco_values import number_of
from torch_retinanet.errors import InputError
from torch_retinanet.git_lfs import read_content

SHOWN = 60
"""Letters of a value that a message shows."""


def read_json(path: Path) -> Any:
    """What a JSON holds.

    Raises:
        InputError: for a file that is not whole JSON.
        OSError: for a file that cannot be read.
    """
    content = read_content(path)
    try:
        return msgspec.json.decode(content)
    except (ValueError, RecursionError):  # the standard library knows NaN, UTF-16 and a mark in front
        return _read_loosely(path, content)


def read_list(path: Path, of: str) -> list[Any]:
    """What a JSON holds that is a list; `of` says of what, for people.

    Raises:
        InputError: for a file that is not whole JSON, or no list.
        OSError: for a file that cannot be read.
    """
    entries = read_json(path)
    if not isinstance(entries, list):
        raise InputError(f"{path}: must be a list of {of}")
    return entries


def points_of(value: object) -> list[tuple[float, float]]:
    """Points (x, y) in a list of pairs.

    Raises:
        ValueError: in a few words, for anything else.
    """
    if not isinstance(value, list):
        raise ValueError(f"no points: {repr(value)[:SHOWN]}")
    points = []
    for point in value:
        if not isinstance(point, list) or len(point) != 2:
            raise ValueError(f"no point: {repr(point)[:SHOWN]}")
        points.append((number_of(point[0]), number_of(point[1])))
    return points


def text_of(value: object) -> str:
    """Text without blanks around it, that of a number too; nothing for anything else."""
    is_text = isinstance(value, str | int | float) and not isinstance(value, bool)
    return str(value).strip() if is_text else ""


def size_of(height: object, width: object) -> tuple[float, float]:
    """Height and width in pixels, 0 where they are none."""
    try:
        size = number_of(height), number_of(width)
    except ValueError:
        return 0, 0
    return size if min(size) > 0 else (0, 0)


def _read_loosely(path: Path, content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: must be whole JSON ({error})") from None
