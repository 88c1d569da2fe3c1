"""A Keras model in another precision for a while, in place, and afterwards bit for bit as it was.

A Keras layer is built in one precision and cannot be copied without its configuration, which models of one's own need
not have. Precision stands in four places: the policy of each layer, its variables, what a functional model converts
its inputs to, and Keras' defaults.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import tensorflow as tf


@contextmanager
def precision(model: keras.Model, dtype: str) -> Iterator[None]:
    """The model, and what Keras makes meanwhile, in `float32` or `float64`."""
    layers = model._flatten_layers()
    policy = keras.DTypePolicy(dtype)
    with ExitStack() as restored:
        _restore_defaults(restored)
        for layer in layers:
            _set(restored, layer, "_dtype_policy", policy)
            for taken in _converted_to(layer):
                if "float" in taken.dtype:
                    _set(restored, taken, "_dtype", dtype)
        for variable in model.variables:
            if "float" in variable.dtype:
                value = tf.Variable(tf.cast(variable._value, dtype), trainable=variable.trainable)
                _set(restored, variable, "_dtype", dtype)
                _set(restored, variable, "_value", value)
        keras.config.set_floatx(dtype)
        keras.config.set_dtype_policy(dtype)
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


def _set(restored: ExitStack, owner: Any, name: str, value: Any) -> None:
    restored.callback(object.__setattr__, owner, name, getattr(owner, name))
    object.__setattr__(owner, name, value)
