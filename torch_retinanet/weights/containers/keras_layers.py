"""HDF5 files of Keras 2: weights by layer and by their own names, alone or within a model that was saved whole.

The attribute `layer_names` lists the layers, `weight_names` the weights of each. Source:
keras/src/legacy/saving/legacy_h5_format.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from torch_retinanet.errors import InputError
from torch_retinanet.weights.containers.tensor_file import TensorFile
from torch_retinanet.weights.hdf5 import holds, opened, read_variable, within, write_names, written
from torch_retinanet.weights.keras_names import to_keras, to_torch

if TYPE_CHECKING:
    import h5py

WHOLE = "model_weights"
"""The group of the weights in a model that was saved whole, beside those of its optimiser."""

MODEL = "model_config"
"""The attribute of a model that was saved whole which says its layers, as JSON."""

KERAS_VERSION = "2.21.0"
"""The version that files are written for; Keras 1 had other kernels."""

NO_LAYER = "top_level_model_weights"
"""The group of weights of no layer."""

Layers = Mapping[str, Sequence[str]]
"""The weights of each layer, in order."""


def layer_names(path: Path) -> list[str]:
    """The layers that a file lists; none where it is no file of Keras 2.

    Raises:
        InputError: for a file that is not whole.
    """
    with opened(path) as file:
        return _texts(_weights(path, file), "layer_names")


def read_layers(path: Path) -> TensorFile:
    """All weights of a file by their names, as `conv1/kernel:0`; of a whole model its settings are `model_config`.

    Raises:
        InputError: for a file that is not whole, or keeps values in another.
    """
    with opened(path) as file:
        weights, tensors = _weights(path, file), {}
        for layer in _texts(weights, "layer_names"):
            for name in _texts(within(path, weights, layer), "weight_names"):
                tensors[name] = to_torch(read_variable(path, within(path, weights, f"{layer}/{name}")))
        settings = _settings(path, file)
    return TensorFile(str(path), tensors, path, settings=settings)


def write_layers(path: Path, layers: Layers, tensors: Mapping[str, Tensor]) -> None:
    """Weights as `save_weights` of Keras 2 writes them, with the layers that have none."""
    with written(path) as file:
        write_names(file, "layer_names", list(layers))
        file.attrs["backend"], file.attrs["keras_version"] = "tensorflow", KERAS_VERSION
        for layer, names in {**layers, NO_LAYER: ()}.items():
            group = file.create_group(layer)
            write_names(group, "weight_names", names)
            for name in names:
                group.create_dataset(name, data=to_keras(tensors[name]).detach().cpu().numpy())


def _weights(path: Path, file: h5py.File) -> h5py.Group:
    return within(path, file, WHOLE) if holds(file, WHOLE) else file


def _settings(path: Path, file: h5py.File) -> dict[str, Any]:
    """What a whole model says of its layers; nothing where weights are alone."""
    if MODEL not in file.attrs:
        return {}
    try:
        said = json.loads(file.attrs[MODEL])
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: {MODEL} in it is no JSON ({error})") from None
    return {MODEL: said} if isinstance(said, dict) else {}


def _texts(group: h5py.Group, attribute: str) -> list[str]:
    values = group.attrs.get(attribute, [])
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]
