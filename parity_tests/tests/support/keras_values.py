"""What the tests of the Keras reference make values with, and hold them to."""

from typing import Any

import numpy as np
from keras import Input, Model, config, layers, ops
from numpy.typing import NDArray

Array = NDArray[Any]

CLASSES = 2
"""How many classes the reference of the fixture `keras_side` has."""

PADDING = [1e-8] * 4
"""What fills up the boxes of a picture that has fewer than others."""


def tensor(values: Any) -> Any:
    """`values` in the precision of Keras."""
    return ops.convert_to_tensor(np.asarray(values, config.floatx()))


def numbers(value: Any, dtype: str) -> Array:
    """`value` as an array that must already have this precision."""
    array: Array = ops.convert_to_numpy(value)
    assert array.dtype == dtype
    return array


def rounding(dtype: str, units: int = 8) -> float:
    """Some units of rounding."""
    return units * float(np.finfo(dtype).eps)


def small_backbone() -> Model:
    """C3, C4 and C5 of 8 channels from pictures of any size, of few layers: what is traced by TensorFlow is short."""
    maps = [Input((None, None, 3))]
    for stride in (8, 2, 2):
        wide = layers.Conv2D(8, 3, strides=stride, padding="same")(maps[-1])
        maps.append(layers.ReLU()(layers.BatchNormalization()(wide)))
    return Model(maps[0], maps[1:])
