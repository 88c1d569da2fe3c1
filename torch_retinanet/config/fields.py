"""What a convention is: a field of a frozen dataclass with its meaning, its source, its values, and what it acts on."""

import dataclasses
from dataclasses import Field, field
from numbers import Integral, Real
from typing import Any, Literal, get_args, get_origin

import numpy as np

from torch_retinanet.errors import InputError

ActsOn = Literal["result", "training", "detections"]
"""What a convention decides: what weights mean, how they are trained, or which detections are shown."""


def convention(
    meaning: str,
    source: str,
    *,
    default: Any = dataclasses.MISSING,
    acts_on: ActsOn = "result",
    bounds: tuple[float, float] = (0.0, 1.0),
    may_be_empty: bool = False,
) -> Any:
    """A field with the sentence that says what it means, its source, and for numbers the least and the largest."""
    said = {"meaning": meaning, "source": source, "acts_on": acts_on, "bounds": bounds, "may_be_empty": may_be_empty}
    return field(default=default, metadata=said)


def conventions(config: Any) -> list[Field[Any]]:
    """The fields of a dataclass, or of one of its instances, that are conventions, in order."""
    return [f for f in dataclasses.fields(config) if f.metadata]


def by_group(config_class: type) -> dict[str, list[Field[Any]]]:
    """The conventions of a config by group: of each base that has a `group`, the fields that it declares."""
    known = {f.name: f for f in conventions(config_class)}
    groups = [base for base in reversed(config_class.__mro__) if "group" in vars(base)]
    return {vars(base)["group"]: [known[name] for name in base.__annotations__ if name in known] for base in groups}


def allowed_values(convention_field: Field[Any]) -> tuple[Any, ...]:
    """The values a convention can take; none for numbers."""
    if convention_field.type is bool:
        return (True, False)
    return get_args(convention_field.type) if get_origin(convention_field.type) is Literal else ()


def read_value(convention_field: Field[Any], text: str) -> Any:
    """The value of a convention as a command line has it; what is no value of it is left for `check_value`."""
    if allowed := allowed_values(convention_field):
        return {str(value): value for value in allowed}.get(text, text)
    if text in ("", "()") and convention_field.metadata["may_be_empty"]:
        return ()
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{convention_field.name}: {text!r} must be a number, or as many as it has") from None
    if get_origin(convention_field.type) is tuple:
        return numbers
    if len(numbers) > 1:
        raise InputError(f"{convention_field.name}: {text!r} must be a single number")
    return int(numbers[0]) if convention_field.type is int and numbers[0].is_integer() else numbers[0]


def as_text(value: Any) -> str:
    """A value of a convention as a command line has it: what `read_value` reads."""
    return ",".join(map(repr, value)) if isinstance(value, tuple) else str(value)


def plain(value: Any) -> Any:
    """A value as Python's own `bool`, `int` or `float`, as those of numpy; a tuple of a tuple or list; or itself."""
    if isinstance(value, (tuple, list)):
        return tuple(map(plain, value))
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value


def check_value(convention_field: Field[Any], value: Any) -> None:
    """Refuse what is no value of a convention.

    Raises:
        InputError: naming the convention, the value, and what it must be.
    """
    name, allowed = convention_field.name, allowed_values(convention_field)
    if allowed:
        if value not in allowed or isinstance(value, bool) != isinstance(allowed[0], bool):
            raise InputError(f"{name}: {value!r} must be one of {', '.join(map(repr, allowed))}")
        return
    if value == () and convention_field.metadata["may_be_empty"]:
        return
    numbers, count = (value,), 1
    if get_origin(convention_field.type) is tuple:
        numbers, count = value if isinstance(value, tuple) else (), _count(convention_field, value)
    whole = convention_field.type is int
    kind = "whole number" if whole else "number"
    least, most = convention_field.metadata["bounds"]
    if len(numbers) != count or not count or not all(_is_number(n, whole) and least <= n <= most for n in numbers):
        what = f"a {kind}" if numbers == (value,) else f"{count} numbers" if count else "numbers, at least one,"
        raise InputError(f"{name}: {value!r} must be {what} from {least:g} to {most:g}")


def _count(convention_field: Field[Any], value: Any) -> int:
    """How many numbers a tuple must have: those of its type, or as many as there are where that is open."""
    kinds = get_args(convention_field.type)
    return len(kinds) if kinds[-1] is not Ellipsis else len(value) if isinstance(value, tuple) else 0


def _is_number(value: Any, whole: bool) -> bool:
    return isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
