"""A function as a side: what it returns is compared, and what happens within it cannot be seen."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from parity_tests.rule.record import Array
from parity_tests.sides.side import ROOT, Backward, Call, Calls, Loss
from parity_tests.sides.trees import check_results, is_number, leaves


class FunctionSide:
    """A function of arrays in one precision: what it returns by name is a tap each."""

    def __init__(self, function: Callable[..., Any], dtype: str) -> None:
        self.function, self.dtype = function, dtype

    def parameters(self) -> dict[str, Array]:
        return {}

    def assign(self, values: Mapping[str, Array]) -> None:
        assert not values, "a function has no parameters"

    def forward(self, inputs: Sequence[Array], given: Calls | None = None) -> Calls:
        assert given is None, "a function is one piece"
        result = self.function(*(self._in_precision(values) for values in inputs))
        check_results(result, _is_array, ROOT)
        if not isinstance(result, dict):
            outputs = {place: _array(value) for place, value in leaves(result, _is_leaf).items()}
            return {ROOT: Call(inputs=inputs, outputs=outputs)}
        named = {f"{key}{place}": v for key, value in result.items() for place, v in leaves(value, _is_leaf).items()}
        return {name: Call(outputs={"": _array(value)}) for name, value in named.items()}

    def backward(self, inputs: Sequence[Array], loss: Loss | Mapping[str, Array]) -> Backward:
        raise NotImplementedError

    def backward_of_each(self, inputs: Sequence[Array], given: Calls) -> Calls:
        raise NotImplementedError

    def _in_precision(self, values: Array) -> Array:
        return values.astype(self.dtype) if values.dtype.kind == "f" else values


def _is_leaf(value: Any) -> bool:
    return _is_array(value) or is_number(value)


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _array(value: Any) -> Array:
    """The values of an array or tensor of any framework."""
    values: Array = np.array(value.detach().cpu() if hasattr(value, "detach") else value)
    return values.astype(float) if is_number(value) else values
