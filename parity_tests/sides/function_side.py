"""A function as a side: what it returns is compared, and what happens within it cannot be seen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from parity_tests.rule.record import Array
from parity_tests.sides.side import ROOT, Backward, Call, Calls, Coarse, Loss
from parity_tests.sides.trees import check_results, is_number, leaves


class FunctionSide:
    """A function of arrays in one precision: what it returns by name is a tap each.

    Args:
        taps: by tap the name under which the function returns it; without it all, under their own.
    """

    def __init__(self, function: Callable[..., Any], taps: Mapping[str, str] | None, dtype: str) -> None:
        self.function, self.taps, self.dtype = function, taps, dtype
        self.sources: dict[str, str] = {}

    def parameters(self) -> dict[str, Array]:
        return {}

    def assign(self, parameters: Mapping[str, Array]) -> None:
        assert not parameters, "a function has no parameters"

    def forward(self, inputs: Sequence[Array], *, fed: Calls | None = None, training: bool = False) -> Calls:
        assert fed is None, "a function is one piece"
        result = self.function(*(self._in_precision(values) for values in inputs))
        calls = calls_of(result, inputs, self.taps)
        return calls if self.dtype != "float64" else {name: _with_precision(call) for name, call in calls.items()}

    def backward(
        self,
        inputs: Sequence[Array],
        loss: Loss | Mapping[str, Array],
        *,
        fed: Calls | None = None,
        training: bool = False,
    ) -> Backward:
        raise NotImplementedError

    def _in_precision(self, values: Array) -> Array:
        """A copy, which the function may change in place: the other side is given the same array."""
        return values.astype(self.dtype if values.dtype.kind == "f" else values.dtype)


def calls_of(result: Any, inputs: Sequence[Array], taps: Mapping[str, str] | None) -> dict[str, Call]:
    """What a function returns as calls: of a dictionary each key is a tap, and anything else is the output."""
    check_results(result, _is_array, ROOT)
    if not isinstance(result, dict):
        return {ROOT: Call(inputs=inputs, outputs={p: _array(v) for p, v in leaves(result, _is_leaf).items()})}
    named = {f"{key}{place}": v for key, value in result.items() for place, v in leaves(value, _is_leaf).items()}
    chosen = {name: name for name in named} if taps is None else taps
    return {tap: Call(outputs={"": _array(named[name])}) for tap, name in chosen.items() if name in named}


def _with_precision(call: Call) -> Call:
    """A call of a run in float64, which says whether the function gave fewer digits, as one of JAX does by itself."""
    coarse = any(values.dtype.kind == "f" and values.dtype.itemsize < 8 for values in call.outputs.values())
    return replace(call, coarse=Coarse(*3 * [coarse]))


def _is_leaf(value: Any) -> bool:
    return _is_array(value) or is_number(value)


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _array(value: Any) -> Array:
    """The values of an array or tensor of any framework."""
    values: Array = np.array(value.detach().cpu() if hasattr(value, "detach") else value)
    return values.astype(float) if is_number(value) else values
