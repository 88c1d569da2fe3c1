"""What a caller hands to a comparison of two models: taken over, or refused in a sentence. Needs numpy alone."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from parity_tests.rule.errors import UsageError, in_one_line
from parity_tests.rule.record import Array
from parity_tests.sides.names import unknown

NUMBERS = "biufc"
"""The kinds of arrays of numbers: truth values, integers, floating-point numbers and complex ones."""

KINDS = f"{NUMBERS}US"
"""The kinds of numpy's arrays that are fed: a model of texts takes strings."""


def fed(argument: str, inputs: Any) -> list[Array]:
    """One array or several, floating-point numbers as both precisions have them; a refusal calls them `argument`.

    Raises:
        UsageError: for what is no array of numbers.
    """
    return [_rounded(argument, values) for values in (inputs if isinstance(inputs, (list, tuple)) else [inputs])]


def _rounded(argument: str, values: Any) -> Array:
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:  # lists of different lengths, a tensor on another device
        raise UsageError(f"{argument}: {type(values).__name__} is no array ({in_one_line(error)})") from error
    if array.dtype.kind not in (KINDS if isinstance(values, np.ndarray) else NUMBERS):
        raise UsageError(f"{argument}: {type(values).__name__} of {array.dtype} must be an array of numbers")
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def check_tables(**tables: Any) -> None:
    """Refuse `names`, `layouts` and `skip` that are no dictionaries by name of what they must have.

    Raises:
        UsageError: saying so.
    """
    words = {"names": "another name", "layouts": "a permutation of axes"}
    for argument, given in tables.items():
        is_right = _is_permutation if argument == "layouts" else _is_text
        _check_table(argument, given, is_right, words.get(argument, "a reason"))


def _shown(value: Any) -> str:
    """A value in one line, cut where it is long."""
    return " ".join(repr(value).split())[:40]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_permutation(value: Any) -> bool:
    return np.ndim(value) == 1 and all(isinstance(axis, (int, np.integer)) for axis in value)


def _check_table(argument: str, given: Any, is_right: Callable[[Any], bool], words: str) -> None:
    if given is not None and not isinstance(given, Mapping):
        raise UsageError(f"{argument}: {_shown(given)} must be a dictionary by name")
    for name, value in ({} if given is None else given).items():
        if not (isinstance(name, str) and is_right(value)):
            raise UsageError(f"{argument}: {name!r} is given {_shown(value)}, and must be a name that is given {words}")


def check_two_functions(argument: str, given: Any) -> None:
    """Refuse what is not one function for each side.

    Raises:
        UsageError: saying so.
    """
    if given is not None and not (isinstance(given, (tuple, list)) and len(given) == 2 and all(map(callable, given))):
        raise UsageError(f"{argument}: {_shown(given)} must be two functions, the reference's and the port's")


def check_function(argument: str, given: Any) -> None:
    """Refuse what is given and no function.

    Raises:
        UsageError: saying so.
    """
    if given is not None and not callable(given):
        raise UsageError(f"{argument}: {_shown(given)} must be a function")


def check_folder(argument: str, folder: Path | str | None) -> None:
    """Refuse what is there and no folder, before anything is computed.

    Raises:
        UsageError: saying so.
    """
    if folder is not None and Path(folder).exists() and not Path(folder).is_dir():
        raise UsageError(f"{argument}: {folder} is a file, and must be a folder or a name that is free")


def check_batches(batches: Any) -> list[list[Array]]:
    """The inputs of each step of a training run.

    Raises:
        UsageError: for what is no list of them.
    """
    if not isinstance(batches, (list, tuple)):
        raise UsageError(f"batches: {type(batches).__name__} must be a list of inputs")
    return [fed("batches", batch) for batch in batches]


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
    return {name: [int(axis) for axis in axes] for name, axes in layouts.items()}


def _is_of(name: str, tap: str) -> bool:
    return name == tap or name.startswith(f"{tap}.")
