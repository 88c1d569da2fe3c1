"""A Keras model as a side: itself, eager, in one precision while it runs, in inference mode."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from parity_tests.rule.record import Array
from parity_tests.sides.capture import Differentiate
from parity_tests.sides.keras_names import layers_by_path, variables_by_path
from parity_tests.sides.keras_precision import precision
from parity_tests.sides.tapped_side import TappedSide


class KerasSide(TappedSide):
    """A model with taps at the paths of some of its layers; what is assigned to it, it has while it runs here alone."""

    method = "call"

    def __init__(self, model: keras.Model, taps: Mapping[str, str], dtype: str) -> None:
        self.model, self.dtype = model, dtype
        layers = layers_by_path(model)
        self.modules = {tap: layers[path] for tap, path in taps.items()}
        self._variables = variables_by_path(model)
        self._assigned: dict[str, Array] = {}

    def parameters(self) -> dict[str, Array]:
        with self.in_precision():
            return {name: self.array(variable) for name, variable in self._variables.items()}

    def assign(self, values: Mapping[str, Array]) -> None:
        for name, value in values.items():
            assert tuple(self._variables[name].shape) == value.shape, name
        self._assigned |= values

    def run(self, inputs: Sequence[Any]) -> Any:
        takes_list = len(inputs) > 1 and hasattr(self.model, "_inputs")  # as functional models do
        return self.model(list(inputs), training=False) if takes_list else self.model(*inputs, training=False)

    def trainable(self, module: Any) -> dict[str, Any]:
        chosen = {id(variable) for variable in (self.model if module is None else module).trainable_variables}
        return {name: v._value for name, v in self._variables.items() if id(v) in chosen}

    def is_tensor(self, value: Any) -> bool:
        return isinstance(value, tf.Tensor)

    def array(self, tensor: Any) -> Array:
        values: Array = np.array(tf.convert_to_tensor(tensor).numpy())
        return values

    def tensor(self, values: Array) -> Any:
        return tf.constant(values, self.dtype if values.dtype.kind == "f" else None)

    def in_precision(self) -> AbstractContextManager[None]:
        return self._with_assigned()

    @contextmanager
    def recording(self, inputs: Sequence[Any]) -> Iterator[Differentiate]:
        with tf.GradientTape() as tape:
            tape.watch([tensor for tensor in inputs if tensor.dtype.is_floating])

            def differentiate(targets: Sequence[Any], upstream: Sequence[Any], sources: Sequence[Any]) -> list[Any]:
                reached = [source for source in sources if source.dtype.is_floating]
                found = iter(tape.gradient(list(targets), reached, list(upstream)) if targets else ())
                gradients = [next(found, None) if source.dtype.is_floating else None for source in sources]
                return [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in gradients]

            yield differentiate

    @contextmanager
    def _with_assigned(self) -> Iterator[None]:
        with precision(self.model, self.dtype):
            for name, value in self._assigned.items():
                self._variables[name]._value.assign(value)
            yield
