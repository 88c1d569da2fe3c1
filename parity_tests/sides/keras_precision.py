"""A Keras model in another precision for a while, in place, and afterwards bit for bit as it was.

A Keras layer is built in one precision and cannot be copied without its configuration, which models of one's own need
not have. Precision stands in five places: the policy of each layer, its variables, what a functional model converts
its inputs to, Keras' defaults, and the table by which backends other than TensorFlow promote float64 to float32.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import keras
from keras.src.backend.common.dtypes import BIT64_TO_BIT32_DTYPE

from parity_tests.sides.capture import Tensors


class KerasTensors(Tensors, Protocol):
    """What must be known of the backend that Keras runs on."""

    def held(self, value: Any, *, trainable: bool) -> Any:
        """What a variable holds: a copy of a value, floating-point numbers in the precision of the run."""

    def handle(self, variable: Any) -> Any:
        """By what `differentiate` takes a variable."""


@contextmanager
def precision(model: keras.Model, tensors: KerasTensors, dtype: str) -> Iterator[None]:
    """The model, and what Keras makes meanwhile, in `float32` or `float64`."""
    layers = model._flatten_layers()
    policy = keras.DTypePolicy(dtype)
    with ExitStack() as restored:
        _restore_defaults(restored)
        restored.enter_context(tensors.running())
        for layer in layers:
            _set(restored, layer, "_dtype_policy", policy)
            for taken in _converted_to(layer):
                if "float" in taken.dtype:
                    _set(restored, taken, "_dtype", dtype)
        for variable in model.variables:
            _set(restored, variable, "_value", tensors.held(variable._value, trainable=variable.trainable))
            if "float" in variable.dtype:
                _set(restored, variable, "_dtype", dtype)
        keras.config.set_floatx(dtype)
        keras.config.set_dtype_policy(dtype)
        BIT64_TO_BIT32_DTYPE["float64"] = "float64"
        yield


def _converted_to(layer: Any) -> list[Any]:
    """What a layer converts what it is given to: an input layer, or the inputs of a graph."""
    if isinstance(layer, keras.layers.InputLayer):
        return [layer]
    graph = getattr(layer, "_functional", layer)  # a sequential model keeps a functional one within
    return list(getattr(graph, "_inputs", ()))


def _restore_defaults(restored: ExitStack) -> None:
    restored.callback(keras.config.set_floatx, keras.config.floatx())
    restored.callback(keras.config.set_dtype_policy, keras.config.dtype_policy())
    restored.callback(BIT64_TO_BIT32_DTYPE.update, dict(BIT64_TO_BIT32_DTYPE))


def _set(restored: ExitStack, owner: Any, name: str, value: Any) -> None:
    restored.callback(object.__setattr__, owner, name, getattr(owner, name))
    object.__setattr__(owner, name, value)
