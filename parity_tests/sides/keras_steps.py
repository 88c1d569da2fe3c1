"""Where layers of Keras have the channels of steps, of arrays of three axes: last or second, as their kind tells."""

from typing import Any

import keras

from parity_tests.sides.keras_names import layers_by_path, with_channels_last

L = keras.layers

CONVOLUTIONS = L.Conv1D, L.Conv1DTranspose, L.DepthwiseConv1D, L.SeparableConv1D
NORMS = L.BatchNormalization, L.GroupNormalization


def steps_last(model: keras.Model) -> dict[str, bool]:
    """By path whether a layer has them last, of those of which that is known."""
    last = with_channels_last(model)
    found = {path: True if path in last else _has_last(layer) for path, layer in layers_by_path(model).items()}
    return {path: is_last for path, is_last in found.items() if is_last is not None}


def _has_last(layer: Any) -> bool | None:
    if isinstance(layer, CONVOLUTIONS):
        return bool(layer.data_format == "channels_last")
    if isinstance(layer, NORMS):
        return {-1: True, 2: True, 1: False}.get(layer.axis)
    if isinstance(layer, L.PReLU) and layer.built and len(layer.alpha.shape) == 2:
        return {(1,): True, (2,): False}.get(tuple(layer.shared_axes or ()))
    return True if isinstance(layer, L.TimeDistributed) and isinstance(layer.layer, L.Dense) else None
