"""What the tests of the Keras reference make values with, and hold them to."""

from typing import Any

import numpy as np
from keras import config, ops
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
