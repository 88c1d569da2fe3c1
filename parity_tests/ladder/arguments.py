"""What a caller hands to a comparison of two models: taken over, or refused in a sentence. Needs numpy alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from parity_tests.rule.errors import UsageError
from parity_tests.rule.record import Array
from parity_tests.sides.names import unknown

NUMBERS = "biufc"
"""The kinds of arrays that are fed: of truth values, integers, floating-point numbers and complex ones."""


def fed(argument: str, inputs: Any) -> list[Array]:
    """One array or several, floating-point numbers as both precisions have them; a refusal calls them `argument`.

    Raises:
        UsageError: for what is no array of numbers.
    """
    return [_rounded(argument, values) for values in (inputs if isinstance(inputs, (list, tuple)) else [inputs])]


def _rounded(argument: str, values: Any) -> Array:
    try:
        array = np.asarray(values)
    except ValueError:  # lists of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in NUMBERS:
        raise UsageError(f"{argument}: {type(values).__name__} must be an array of numbers")
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def check_tables(**tables: Any) -> None:
    """Refuse `names`, `layouts`, `skip` and `exempt` that are no dictionaries by name of what they must have.

    Raises:
        UsageError: saying so.
    """
    values = {"names": ((str,), "another name"), "layouts": ((list, tuple), "a permutation of axes")}
    for argument, given in tables.items():
        _check_table(argument, given, *values.get(argument, ((str,), "a reason")))


def _check_table(argument: str, given: Any, kinds: tuple[type, ...], words: str) -> None:
    if not isinstance(given or {}, Mapping):
        raise UsageError(f"{argument}: {given!r} must be a dictionary by name")
    for name, value in (given or {}).items():
        if not (isinstance(name, str) and isinstance(value, kinds)):
            raise UsageError(f"{argument}: {name!r} has {value!r}, and must be a name that has {words}")


def check_two_functions(argument: str, given: Any) -> None:
    """Refuse what is not one function for each side.

    Raises:
        UsageError: saying so.
    """
    if given is not None and not (isinstance(given, (tuple, list)) and len(given) == 2 and all(map(callable, given))):
        raise UsageError(f"{argument}: {given!r} must be two functions, the reference's and the port's")


def check_words(argument: str, given: Sequence[str], known: Any) -> None:
    """Refuse a word that is none of those known, and none at all.

    Raises:
        UsageError: naming it.
    """
    if isinstance(given, str) or not given:
        raise UsageError(f"{argument}: {given!r} must be a list of some of {', '.join(known)}")
    if wrong := next((word for word in given if word not in known), None):
        raise UsageError(f"{argument}: {wrong!r} must be one of {', '.join(known)}")


def check_layouts(layouts: Mapping[str, Sequence[int]], known: Sequence[str]) -> None:
    """Refuse the layout of what the reference does not have.

    Raises:
        UsageError: naming it, and the nearest.
    """
    for name in layouts:
        if not any(_is_of(name, other) for other in known):
            raise UsageError(f"layouts: {name!r} is no parameter or tap of the reference; {unknown(name, known)}")


def lists(layouts: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
    """Layouts as a report has them."""
    return {name: list(axes) for name, axes in layouts.items()}


def _is_of(name: str, tap: str) -> bool:
    return name == tap or name.startswith(f"{tap}.")
