"""The narrow network: every layer and every name of a RetinaNet, with a sixteenth of its channels. Needs numpy alone.

What trains a network is the same whatever its width: losses, optimisers, schedules and clipping. Sixty times fewer
numbers show as much of it, in a fraction of the time and memory.
"""

import math
from collections.abc import Mapping
from typing import Any

from parity_tests.retinanet.inputs import LAST_LAYERS
from parity_tests.rule.record import Array
from parity_tests.sides.names import fan_in

SHARE = 16
"""How many times fewer channels it has; its root is whole, so that kernels stay float32 numbers."""

FIRST, PIXELS = "fpn/backbone/conv1_conv/kernel", 64
"""The variable that pictures meet first, and how much larger bytes are than numbers from -1 to 1."""


def narrow_variables(variables: Mapping[str, Array]) -> dict[str, Array]:
    """The first channels of each variable, by Keras name; kernels larger, as their sums are shorter."""
    return {name: _cut(name, values) for name, values in variables.items()}


def for_bytes(variables: Mapping[str, Array]) -> dict[str, Array]:
    """Variables for pictures from 0 to 255, where those given are for such from -1 to 1: a smaller first kernel."""
    return {**variables, FIRST: variables[FIRST] / variables[FIRST].dtype.type(PIXELS)}


def narrow_shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a variable in the narrow network; the last layers of the heads make as much as they did."""
    *inner, made = shape
    taken = [fewer(channels) for channels in inner[-1:]]
    return *inner[:-1], *taken, made if name.startswith(LAST_LAYERS) else fewer(made)


def with_fewer_channels(layer: Any) -> Any:
    """A layer of Keras as the narrow network has it."""
    settings = layer.get_config()
    if "filters" in settings:
        settings["filters"] = fewer(settings["filters"])
    return type(layer).from_config(settings)


def fewer(channels: int) -> int:
    """The channels that the narrow network has of so many; those of a picture stay."""
    return channels if channels < SHARE else channels // SHARE


def _cut(name: str, values: Array) -> Array:
    shape = narrow_shape(name, values.shape)
    part = values[tuple(map(slice, shape))]
    if values.ndim < 2:
        return part
    scaled: Array = part * part.dtype.type(math.sqrt(fan_in(name, values.shape) / fan_in(name, shape)))
    return scaled
