"""The types of settings: a value of another type is refused in a sentence, and what is nearly of it is made so.

Numbers of numpy become Python's own, lists become tuples, and texts become paths.
"""

from collections.abc import Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from torch_retinanet.config.fields import plain
from torch_retinanet.errors import InputError

WORDS = {bool: "True or False", int: "a whole number", float: "a number", str: "a text", Path: "a path"}
"""What a value of a type is called."""

SEVERAL = {int: "whole numbers", float: "numbers", str: "texts"}
"""What several of them are called."""


def as_setting(name: str, kind: Any, value: Any) -> Any:
    """The value of a setting as its type has it; a kind of `str | Path` is a path.

    Raises:
        InputError: for a value of another type, naming the setting, the value, and what it must be.
    """
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    if value is None and type(None) in kinds:
        return None
    wanted = Path if Path in kinds else kinds[0]
    found = _converted(wanted, value)
    if not _is(wanted, found):
        raise InputError(f"{name}: {value!r} must be {_words(wanted)}")
    return found


def _converted(kind: Any, value: Any) -> Any:
    if get_origin(kind) in (Sequence, tuple):
        part = get_args(kind)[0]
        return tuple(_converted(part, one) for one in value) if isinstance(value, (list, tuple)) else value
    if kind is Path:
        return Path(value) if isinstance(value, str) else value
    number = plain(value)
    return float(number) if kind is float and type(number) is int else number


def _is(kind: Any, value: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_origin(kind) in (Sequence, tuple):
        part = get_args(kind)[0]
        return isinstance(value, tuple) and all(_is(part, one) for one in value)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _words(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    return f"a list of {SEVERAL[get_args(kind)[0]]}" if get_args(kind) else WORDS[kind]
