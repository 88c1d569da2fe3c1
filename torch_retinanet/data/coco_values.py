"""What entries of COCO's JSON say, in whatever notation: numbers as texts, ids as floats, flags as null."""

import json
import math
from collections.abc import Iterable
from typing import Any

from torch_retinanet.data.text import parse_number

Id = int | str


def number_of(value: Any) -> float:
    """A number, or a text of one.

    Raises:
        ValueError: in a few words, for anything else.
    """
    if isinstance(value, str):
        return parse_number(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"no number: {_shown(value)}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"no number: {_shown(value)}") from None


def optional_number(value: Any) -> float:
    """A number, or NaN for anything else."""
    try:
        return number_of(value)
    except ValueError:
        return math.nan


def whole_number_of(value: Any) -> int:
    """A whole number in any notation.

    Raises:
        ValueError: in a few words, for anything else.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isascii() and value.removeprefix("-").isdecimal():
        return int(value)  # in a float long ids would lose their last digits
    number = number_of(value)
    if not number.is_integer():
        raise ValueError(f"no whole number: {_shown(value)}")
    return int(number)


def id_of(value: Any) -> Id:
    """An id: a text as it is, else a whole number.

    Raises:
        ValueError: in a few words, for anything else.
    """
    return value if isinstance(value, str) else whole_number_of(value)


def is_set(value: Any) -> bool:
    """Whether a flag such as `iscrowd` is set; one that is missing, or neither true nor a number, is not."""
    if isinstance(value, str):
        value = True if value.strip().lower() == "true" else optional_number(value)
    return isinstance(value, bool | int | float) and bool(value) and value == value


def numbers_of(value: Any) -> list[float]:
    """The numbers of a list, or of a text of one.

    Raises:
        ValueError: in a few words, for anything else.
    """
    if isinstance(value, str):
        value = _decoded(value)
    if not isinstance(value, list | tuple):
        raise ValueError(f"no list of numbers: {_shown(value)}")
    return [number_of(one) for one in value]


def _decoded(text: str) -> Any:
    """The list in a text: JSON, or numbers between commas and blanks as NumPy and pandas write them."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text.strip("[](){} ").replace(",", " ").split()


class Ids:
    """The index of each id of a list. `"7"` finds 7, and 7 finds `"007"`, where no entry has the very same."""

    def __init__(self, ids: Iterable[Id] = ()) -> None:
        self.exact: dict[Id, int] = {}
        self._by_number: dict[int, int] | None = None
        for one in ids:
            self.add(one)

    def add(self, one: Id) -> int:
        """Take the next id, and give its index."""
        return self.exact.setdefault(one, len(self.exact))

    def find(self, one: Id | None) -> int | None:
        """The index of an id, if there is one."""
        if one is None or one in self.exact:
            return None if one is None else self.exact[one]
        if self._by_number is None:
            self._by_number = {}
            for known, index in self.exact.items():
                if (number := _number(known)) is not None:
                    self._by_number.setdefault(number, index)
        number = _number(one)
        return None if number is None else self._by_number.get(number)


def _number(one: Id) -> int | None:
    try:
        return whole_number_of(one)
    except ValueError:
        return None


def _shown(value: Any) -> str:
    """A value in an error; what lies deep in it is not shown, as it may be larger than any message."""
    return repr(value)[:80] if isinstance(value, str | int | float | bool | None) else f"a {type(value).__name__}"
