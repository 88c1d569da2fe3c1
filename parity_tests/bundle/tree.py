"""Answers as JSON and arrays: mappings, lists, texts and numbers stay, and in place of each array stands its key."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity_tests.rule.errors import UsageError
from parity_tests.rule.sampled import Sampled, sample

Arrays = dict[str, NDArray[Any]]


def stored(value: Any, arrays: Arrays, *, whole: bool = False) -> Any:
    """What JSON has of a value; its arrays go to `arrays`, large ones as samples where they need not be whole."""
    if is_dataclass(value) and not isinstance(value, Sampled):
        value = vars(value)
    if isinstance(value, Mapping):
        return {"items": {str(name): stored(inner, arrays, whole=whole) for name, inner in value.items()}}
    if isinstance(value, (np.ndarray, Sampled)):
        return _stored_array(value if whole or isinstance(value, Sampled) else sample(value), arrays)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [stored(inner, arrays, whole=whole) for inner in value]
    return value


def stored_answer(answer: Mapping[str, Any], arrays: Arrays, whole: Collection[str]) -> Any:
    """An answer, of which the parts in `whole` are kept as they are."""
    return {"items": {part: stored(value, arrays, whole=part in whole) for part, value in answer.items()}}


def _stored_array(value: NDArray[Any] | Sampled, arrays: Arrays) -> dict[str, Any]:
    key = str(len(arrays))
    values = value.values if isinstance(value, Sampled) else value
    arrays[key] = np.array(values, order="C")  # a copy: the side goes on with its own
    if isinstance(value, Sampled):
        return {"array": key, "shape": list(value.shape), "largest": value.largest, "finite": value.finite}
    return {"array": key}


def loaded(value: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """The value of which `stored` gave this.

    Raises:
        UsageError: for what it never gives.
    """
    if isinstance(value, list):
        return [loaded(inner, arrays) for inner in value]
    if not isinstance(value, dict):
        return value
    if isinstance(items := value.get("items"), dict):
        return {name: loaded(inner, arrays) for name, inner in items.items()}
    try:
        values = arrays[value["array"]]
        if "shape" not in value:
            return values
        return Sampled(
            tuple(map(int, value["shape"])), values.dtype, float(value["largest"]), bool(value["finite"]), values
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        raise UsageError(f"an answer holds {value!r:.80}, which stands for no array of the bundle") from None
