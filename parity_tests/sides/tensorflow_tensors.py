"""Tensors of TensorFlow, of Keras on TensorFlow, as a capture knows them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import op_callbacks
from tensorflow.python.ops import gen_nn_ops, math_ops

from parity_tests.rule.record import Array
from parity_tests.sides.capture import Ends, Gradients, Mark, are_whole

ROUNDED = {"LeakyRelu", "LeakyReluGrad"}
"""Operations whose slope is a float32 number whatever they compute in."""


class TensorflowTensors:
    """Eager tensors in one precision."""

    def __init__(self, dtype: str) -> None:
        self.dtype, self.coarse = dtype, 0

    def is_tensor(self, value: Any) -> bool:
        return isinstance(value, tf.Tensor)

    def array(self, tensor: Any) -> Array:
        values: Array = np.array(tf.convert_to_tensor(tensor).numpy())
        return values

    def tensor(self, values: Array) -> Any:
        coarse = self.coarse
        made = tf.constant(values, self.dtype if values.dtype.kind == "f" else None)
        self.coarse = coarse  # what is made here does not count
        return made

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

    @contextmanager
    def running(self) -> Iterator[None]:
        """In float64 every operation is looked at, and Python's numbers stay what they are when they are cast."""
        if self.dtype != "float64":
            yield
            return
        op_callbacks.add_op_callback(self._look_at)
        try:
            exact = _exact_cast(tf.cast)
            with ExitStack() as patched:
                for owner in (tf, math_ops):
                    patched.enter_context(patch.object(owner, "cast", exact))
                for name, pool in (("max_pool3d", tf.nn.max_pool2d), ("avg_pool3d", tf.nn.avg_pool2d)):
                    patched.enter_context(patch.object(gen_nn_ops, name, _pool3d(pool)))
                yield
        finally:
            op_callbacks.remove_op_callback(self._look_at)

    def _look_at(
        self, kind: str, inputs: Sequence[Any], attributes: Any, outputs: Sequence[Any], *about: Any, **more: Any
    ) -> None:
        self.coarse += kind in ROUNDED or any(map(_is_coarse, (*inputs, *outputs)))


def _is_coarse(tensor: Any) -> bool:
    """Whether a tensor has fewer digits than float64, and not whole numbers, which are the same in any."""
    digits = tensor.dtype.size // (2 if tensor.dtype.is_complex else 1)
    if not (tensor.dtype.is_floating or tensor.dtype.is_complex) or digits >= 8:
        return False
    values = tf.get_static_value(tensor)
    return values is None or not are_whole(np.asarray(values, complex))


def _exact_cast(cast: Callable[..., Any]) -> Callable[..., Any]:
    """A cast that does not round a number of Python to float32 on its way to float64."""

    def exact(x: Any, dtype: Any, name: str | None = None) -> Any:
        if isinstance(x, float) and tf.as_dtype(dtype) == tf.float64:
            return tf.constant(x, tf.float64)
        return cast(x, dtype, name)

    return exact


def _pool3d(pool: Callable[..., Any]) -> Callable[..., Any]:
    """Pooling of volumes as of maps and then of steps: on a CPU TensorFlow has no operation for them in float64."""

    def pooled(
        volumes: Any, ksize: Sequence[int], strides: Sequence[int], padding: str, data_format: str = "", name: str = ""
    ) -> Any:
        batch, depth, *of_map = volumes.shape  # channels last, as TensorFlow has them on a CPU
        maps = pool(tf.reshape(volumes, (batch * depth, *of_map)), ksize[2:4], strides[2:4], padding)
        rows, columns, channels = maps.shape[1:]
        steps = tf.reshape(maps, (batch, depth, rows * columns, channels))
        along_depth = pool(steps, (ksize[1], 1), (strides[1], 1), padding)
        return tf.reshape(along_depth, (batch, -1, rows, columns, channels))

    return pooled
