"""The ImageNet weights of `keras.applications`, read without Keras.

The file `resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5` lists its layers in the attribute `layer_names`, the
variables of each in `weight_names`. Source: keras/src/legacy/saving/legacy_h5_format.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torch_retinanet.backbone import BackboneWeights
from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.errors import InputError
from torch_retinanet.weights.foreign_hdf5 import described
from torch_retinanet.weights.hdf5 import opened, read_variable, shape_of, within
from torch_retinanet.weights.keras_names import keras_name, keras_shape, torch_tensors
from torch_retinanet.weights.weights_file import BACKBONE, check_shapes, expected_shapes

if TYPE_CHECKING:
    import h5py


def read_keras_applications(path: Path) -> BackboneWeights:
    """The ResNet-50 in an ImageNet file of `keras.applications`, without classifier.

    Raises:
        InputError: for a file that is not whole, or of another model.
    """
    config = RetinaNetConfig.notebook()
    expected = {BACKBONE + name: shape for name, shape in expected_shapes(config, "backbone").items()}
    with opened(path) as file:
        datasets = _datasets(path, file)
        shapes = {key: keras_shape(shape) for name, shape in expected.items() if (key := keras_name(name))}
        check_shapes(str(path), {key: shape_of(dataset) for key, dataset in datasets.items()}, shapes)
        variables = {key: read_variable(path, dataset) for key, dataset in datasets.items()}
    tensors = {name.removeprefix(BACKBONE): tensor for name, tensor in torch_tensors(variables, expected).items()}
    return BackboneWeights(str(path), config, tensors)


def _datasets(path: Path, file: h5py.File) -> dict[str, h5py.Dataset]:
    if "layer_names" not in file.attrs:
        raise InputError(f"{path}: holds {described(file)}, and no ImageNet weights of keras.applications")
    datasets = {}
    if "conv1_conv" not in file or "predictions" in file:
        raise InputError(f"{path}: holds {described(file)}, and must be an ImageNet file without its top (notop)")
    for layer in map(_text, file.attrs["layer_names"]):
        for name in map(_text, within(path, file, layer).attrs["weight_names"]):
            variable = name.rpartition("/")[2].partition(":")[0]
            datasets[f"fpn/backbone/{layer}/{variable}"] = within(path, file, f"{layer}/{name}")
    return datasets


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
