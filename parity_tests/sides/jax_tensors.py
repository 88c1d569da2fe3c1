"""Arrays of JAX, of a function or of Keras on JAX, as a capture knows them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core.primitives import convert_element_type_p

from parity_tests.rule.record import Array
from parity_tests.sides.capture import Ends, Gradients, Mark


class JaxTensors:
    """Arrays in one precision.

    What is computed in fewer digits is seen where it becomes float64.

    Args:
        variables: all that a run reads and changes; each has its value in `_value`, as a variable of Keras.
    """

    def __init__(self, dtype: str, variables: Sequence[Any]) -> None:
        self.dtype, self.variables, self.coarse = dtype, variables, 0

    def is_tensor(self, value: Any) -> bool:
        return isinstance(value, jax.Array)

    def array(self, tensor: Any) -> Array:
        values: Array = np.array(jax.lax.stop_gradient(tensor))  # the numbers themselves, on the way back as well
        return values

    def tensor(self, values: Array) -> Any:
        coarse = self.coarse
        made = jnp.asarray(values, self.dtype if values.dtype.kind == "f" else None)
        self.coarse = coarse  # what is made here does not count
        return made

    def differentiate(self, run: Callable[[Mark], Ends], parameters: Mapping[str, Any]) -> Gradients:
        """The gradient by a marked array is that by zeros which are added to it; a first run shows their shapes."""
        upstream: list[Any] = []

        def ends(added: Sequence[Any], values: Mapping[str, Any]) -> list[Any]:
            zeros = iter(added)
            with self._having(parameters, values):
                made = run(lambda tensor: tensor if (zero := next(zeros)) is None else tensor + zero)
            upstream[:] = made.gradients
            return made.tensors

        values = {name: variable._value for name, variable in parameters.items()}
        found, back = jax.vjp(ends, self._zeros(run), values)
        assert len(found) == len(upstream), "each end has a gradient"
        by_mark, by_parameter = back(upstream)
        marked = [None if gradient is None else self.array(gradient) for gradient in by_mark]
        return Gradients(marked, {name: self.array(gradient) for name, gradient in by_parameter.items()})

    def held(self, value: Any, *, trainable: bool) -> Any:
        """What a variable of Keras holds: a copy of a value in the precision of the run."""
        return value.astype(self.dtype) if jnp.issubdtype(value.dtype, jnp.floating) else value

    def handle(self, variable: Any) -> Any:
        """By what `differentiate` takes a variable of Keras."""
        return variable

    @contextmanager
    def running(self) -> Iterator[None]:
        """JAX with float64 where that is asked for, which is off by default; then every change of type is looked at."""
        config: Any = jax.config
        before = config.jax_enable_x64
        config.update("jax_enable_x64", before or self.dtype == "float64")
        try:
            with self._looked_at() if self.dtype == "float64" else nullcontext():
                yield
        finally:
            config.update("jax_enable_x64", before)

    @contextmanager
    def _looked_at(self) -> Iterator[None]:
        """Operation by operation, since what is compiled shows nothing."""
        watched = self._watched(convert_element_type_p.bind)
        with jax.disable_jit(), patch.object(convert_element_type_p, "bind", watched):
            yield

    def _watched(self, change: Callable[..., Any]) -> Callable[..., Any]:
        """The change of a type, which counts where fewer digits become float64."""

        def watched(array: Any, **settings: Any) -> Any:
            to_float64 = settings.get("new_dtype") == jnp.float64
            self.coarse += to_float64 and jnp.issubdtype(array.dtype, jnp.floating) and array.dtype.itemsize < 8
            return change(array, **settings)

        return watched

    def _zeros(self, run: Callable[[Mark], Ends]) -> list[Any]:
        """Zeros for all that a run marks; the run leaves nothing else."""
        found: list[Any] = []

        def mark(tensor: Any) -> Any:
            found.append(jnp.zeros_like(tensor) if jnp.issubdtype(tensor.dtype, jnp.floating) else None)
            return tensor

        before = [variable._value for variable in self.variables]
        run(mark)
        for variable, value in zip(self.variables, before, strict=True):
            variable._value = value
        return found

    @contextmanager
    def _having(self, parameters: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[None]:
        """Parameters with values for a while; afterwards all variables hold numbers, which outlive the way back."""
        before = {name: variable._value for name, variable in parameters.items()}
        for name, value in values.items():
            parameters[name]._value = value
        try:
            yield
            for variable in self.variables:
                variable._value = jax.lax.stop_gradient(variable._value)
        finally:
            for name, value in before.items():
                parameters[name]._value = value
