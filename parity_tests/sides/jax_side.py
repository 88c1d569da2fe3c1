"""A function of JAX as a side: its parameters are a tree of arrays, and what it returns by name is a tap each."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.tree_util import tree_flatten_with_path, tree_unflatten

from parity_tests.rule.errors import UsageError
from parity_tests.rule.record import Array
from parity_tests.sides.capture import Capture
from parity_tests.sides.jax_tensors import JaxTensors
from parity_tests.sides.model_side import ModelSide, Optimised
from parity_tests.sides.side import ROOT, Call, Coarse, MakeOptimizer
from parity_tests.sides.trees import check_results, leaves


class Parameter:
    """One array of the tree, which keeps its value as a variable of Keras does."""

    def __init__(self, value: Array, dtype: str) -> None:
        self._value = value.astype(dtype if value.dtype.kind == "f" else value.dtype)


class JaxSide(ModelSide):
    """`function(params, *inputs)` in one precision.

    Args:
        taps: by tap the name under which the function returns it; without it all, under their own.
    """

    def __init__(self, function: Callable[..., Any], params: Any, taps: Mapping[str, str] | None, dtype: str) -> None:
        self.function, self.modules, self.own, self.sources = function, {}, None, {}
        self.taps = taps or {}
        found, self._tree = tree_flatten_with_path(params)
        self._parameters = {_name(path): Parameter(np.asarray(value), dtype) for path, value in found}
        self.tensors = JaxTensors(dtype, list(self._parameters.values()))

    def values(self) -> dict[str, Array]:
        return {name: self.tensors.array(parameter._value) for name, parameter in self.trainable(None).items()}

    def assign(self, parameters: Mapping[str, Array]) -> None:
        for name, values in parameters.items():
            parameter = self._parameters[name]
            assert parameter._value.shape == values.shape, name
            parameter._value = values.astype(parameter._value.dtype)

    def run(self, inputs: Sequence[Any], *, training: bool, **taps: Any) -> Any:
        params = [jnp.asarray(parameter._value) for parameter in self._parameters.values()]
        return self.function(tree_unflatten(self._tree, params), *inputs)

    def trainable(self, module: Any) -> dict[str, Any]:
        return {name: p for name, p in self._parameters.items() if jnp.issubdtype(p._value.dtype, jnp.floating)}

    def running(self, *, training: bool) -> AbstractContextManager[None]:
        return self.tensors.running()

    def optimised(self, make: MakeOptimizer) -> AbstractContextManager[Optimised]:
        raise UsageError("optimizer: a function of JAX has none, and only torch modules and Keras models take steps")

    def _captured(
        self, capture: Capture, inputs: Sequence[Array], training: bool, *, refusals: bool = False
    ) -> tuple[Any, Mapping[str, Any]]:
        tensors = [capture.marked(ROOT, i, self.tensors.tensor(values)) for i, values in enumerate(inputs)]
        given = [self.tensors.tensor(values) for values in inputs]  # a function may donate what it is given
        before = self.tensors.coarse
        result = self.run(tensors, training=training)
        coarse = Coarse(*3 * [self.tensors.coarse > before])
        check_results(result, capture.is_tensor, ROOT)
        named = self._named(result) if isinstance(result, dict) else {ROOT: result}
        nodes = {tap: tensor for tap, tensor in named.items() if tap != ROOT}
        capture.calls |= {
            tap: Call(outputs={"": self.tensors.array(tensor)}, coarse=coarse) for tap, tensor in nodes.items()
        }
        if ROOT not in named:
            return result, nodes
        returned = capture.watched(ROOT, lambda *_: named[ROOT], {})(*given)
        whole = {**result, self.taps.get(ROOT, ROOT): returned} if isinstance(result, dict) else returned
        return whole, nodes | capture.tensors_of(returned)

    def _named(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """What the function returned by name, by tap."""
        found = {
            f"{key}{p}": v for key, value in result.items() for p, v in leaves(value, self.tensors.is_tensor).items()
        }
        chosen = self.taps or {name: name for name in found}
        return {tap: found[name] for tap, name in chosen.items() if name in found}


def _name(path: Sequence[Any]) -> str:
    """`dense/kernel` for the keys and places that lead to an array."""
    steps = ({"key", "idx", "name"} & {*dir(step)} for step in path)
    return "/".join(str(getattr(step, min(kind))) for step, kind in zip(path, steps, strict=True))
