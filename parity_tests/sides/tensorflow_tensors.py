"""Tensors of TensorFlow, of Keras on TensorFlow, as a capture knows them."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import tensorflow as tf

from parity_tests.rule.record import Array
from parity_tests.sides.capture import Ends, Gradients, Mark


class TensorflowTensors:
    """Eager tensors in one precision."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype

    def is_tensor(self, value: Any) -> bool:
        return isinstance(value, tf.Tensor)

    def array(self, tensor: Any) -> Array:
        values: Array = np.array(tf.convert_to_tensor(tensor).numpy())
        return values

    def tensor(self, values: Array) -> Any:
        return tf.constant(values, self.dtype if values.dtype.kind == "f" else None)

    def differentiate(self, run: Callable[[Mark], Ends], parameters: Mapping[str, Any]) -> Gradients:
        nodes: list[Any] = []
        with tf.GradientTape() as tape:

            def mark(tensor: Any) -> Any:
                nodes.append(tf.identity(tensor))
                if tensor.dtype.is_floating:
                    tape.watch(nodes[-1])
                return nodes[-1]

            targets, upstream = run(mark)
        sources = [*(node for node in nodes if node.dtype.is_floating), *parameters.values()]
        found = tape.gradient(targets, sources, upstream, unconnected_gradients="zero")[::-1]
        marked = [self.array(found.pop()) if node.dtype.is_floating else None for node in nodes]  # let go as it is
        return Gradients(marked, {name: self.array(found.pop()) for name in parameters})

    def held(self, value: Any, *, trainable: bool) -> Any:
        """What a variable of Keras holds: a copy of a value in the precision of the run."""
        return tf.Variable(tf.cast(value, self.dtype) if value.dtype.is_floating else value, trainable=trainable)

    def handle(self, variable: Any) -> Any:
        """By what `differentiate` takes a variable of Keras."""
        return variable._value

    def running(self) -> AbstractContextManager[None]:
        return nullcontext()
