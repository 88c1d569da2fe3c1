"""What stands in for the method of a tapped module during one run: it keeps what goes in and out, or feeds it.

It knows no framework; what it must know of tensors a `Framework` tells it.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from parity_tests.rule.record import Array
from parity_tests.sides.side import Call, Calls, call_name
from parity_tests.sides.trees import check_results, is_number, leaves, replaced

Differentiate = Callable[[Sequence[Any], Sequence[Any], Sequence[Any]], list[Any]]
"""Gradients from targets, the gradients by them, and sources; `None` for a source that they do not depend on."""


class Framework(Protocol):
    """What a watch must know of tensors."""

    def is_tensor(self, value: Any) -> bool:
        """Whether a value is a tensor of this framework."""

    def array(self, tensor: Any) -> Array:
        """A copy of its values."""

    def tensor(self, values: Array) -> Any:
        """A tensor of these values; floating-point numbers in the precision of the run."""

    def unshared(self, tensor: Any) -> Any:
        """The same values, which may be changed in place without changing `tensor`."""

    def recording(self, inputs: Sequence[Any]) -> AbstractContextManager[Differentiate]:
        """Record what is computed, from `inputs` and parameters on, for one call of what it gives."""


class Watch:
    """One run of a model, watched.

    With `given`, each tapped module is fed; with `backward` too, it is run back from the output gradients given.

    Attributes:
        calls: what happened, as arrays, in the order in which the calls ended.
        tensors: the outputs of each call as tensors, by call and place.
    """

    def __init__(self, framework: Framework, given: Calls | None, *, backward: bool = False) -> None:
        self.framework, self.given, self.backward = framework, given or {}, backward
        self.calls: dict[str, Call] = {}
        self.tensors: dict[str, dict[str, Any]] = {}
        self._counts: Counter[str] = Counter()

    def watched(self, tap: str, function: Callable[..., Any], parameters: Mapping[str, Any]) -> Callable[..., Any]:
        """A function that does the same and is watched under the name of a tap."""

        def stand_in(*args: Any, **kwargs: Any) -> Any:
            self._counts[tap] += 1
            name = call_name(tap, self._counts[tap])
            if name in self.given:
                return self._fed(name, function, parameters, (args, kwargs))
            return self._kept(name, function, (args, kwargs))

        return stand_in

    def _kept(self, name: str, function: Callable[..., Any], arguments: Any) -> Any:
        inputs = self._arrays(arguments)
        result = function(*arguments[0], **arguments[1])
        check_results(result, self.framework.is_tensor, name)
        self.tensors[name] = self._leaves(result)
        self.calls[name] = Call(inputs=inputs, outputs=self._results(result))
        return self._with(result, map(self.framework.unshared, self.tensors[name].values()))

    def _fed(self, name: str, function: Callable[..., Any], parameters: Mapping[str, Any], arguments: Any) -> Any:
        arriving, given = self._arrays(arguments), self.given[name]
        chosen = given.inputs if len(given.inputs) == len(arriving) else arriving
        fed = [self.framework.tensor(values) for values in chosen]
        with self.framework.recording(fed) as differentiate:
            args, kwargs = self._with(arguments, map(self.framework.unshared, fed))
            result = function(*args, **kwargs)
            outputs = self._results(result)
            gradients: dict[str, Any] = {}
            if self.backward:
                gradients = self._back(differentiate, result, given, fed, parameters)
        self.calls[name] = Call(inputs=arriving, outputs=outputs, **gradients)
        if outputs.keys() != given.outputs.keys():
            return result
        return self._with(result, (self.framework.tensor(given.outputs[place]) for place in self._leaves(result)))

    def _back(
        self, differentiate: Differentiate, result: Any, given: Call, fed: Sequence[Any], parameters: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Gradients by what was fed and by the module's parameters, by the names that `Call` has for them."""
        tensors = self._leaves(result)
        places = [
            place
            for place, gradient in given.output_gradients.items()
            if place in tensors and tuple(tensors[place].shape) == gradient.shape
        ]
        upstream = [self.framework.tensor(given.output_gradients[place]) for place in places]
        found = differentiate([tensors[place] for place in places], upstream, [*fed, *parameters.values()])
        arrays = [None if gradient is None else self.framework.array(gradient) for gradient in found]
        by_input, by_parameter = arrays[: len(fed)], arrays[len(fed) :]
        return {
            "input_gradients": {i: gradient for i, gradient in enumerate(by_input) if gradient is not None},
            "parameter_gradients": {
                name: gradient for name, gradient in zip(parameters, by_parameter, strict=True) if gradient is not None
            },
        }

    def _leaves(self, tree: Any) -> dict[str, Any]:
        return leaves(tree, self.framework.is_tensor)

    def _with(self, tree: Any, by: Iterator[Any]) -> Any:
        return replaced(tree, self.framework.is_tensor, by)

    def _results(self, tree: Any) -> dict[str, Array]:
        """Tensors and numbers as arrays; their places are those that they have together."""
        is_tensor = self.framework.is_tensor
        found = leaves(tree, lambda value: is_tensor(value) or is_number(value))
        return {p: self.framework.array(v) if is_tensor(v) else np.asarray(v, float) for p, v in found.items()}

    def _values(self, tree: Any) -> dict[str, Array]:
        return {place: self.framework.array(tensor) for place, tensor in self._leaves(tree).items()}

    def _arrays(self, arguments: Any) -> list[Array]:
        return list(self._values(arguments).values())
