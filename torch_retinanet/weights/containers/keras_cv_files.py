"""HDF5 files of Keras 3 as KerasCV's RetinaNets have them: alone, in a preset's folder, or in a `.keras` archive.

Keras 3 stores variables by class and position of their layer. Names are those that the package gives its layers, or by
which it holds them: `v2_stack_0_block1_1_conv/kernel`, `feature_pyramid/conv_c3_1x1/bias`, `box_head/conv2d_0/kernel`.
Layers without variables are listed too. Source: keras/src/saving/saving_lib.py, keras-cv 0.9.0
models/object_detection/retinanet and models/backbones/resnet_v1/resnet_v1_backbone.py.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from torch_retinanet.errors import InputError
from torch_retinanet.weights.containers.keras_archive import CONFIG_MEMBER, LARGEST_CONFIG, config_in, weights_in
from torch_retinanet.weights.containers.kind import kind_of
from torch_retinanet.weights.containers.tensor_file import TensorFile
from torch_retinanet.weights.hdf5 import datasets_in, holds, numbered, opened, read_variable
from torch_retinanet.weights.keras_names import in_order_of_layers, to_keras, to_torch

if TYPE_CHECKING:
    import h5py

WEIGHTS_FILE = "model.weights.h5"
"""The weights in the folder of a preset, which lie beside its config."""

ENCODER, PYRAMID = "layers/functional/layers/", "layers/feature_pyramid/"
HEADS = ("box_head", "classification_head")
"""In the order in which layers are numbered: that in which the model calls them."""

VARIABLES = {"conv": ("kernel", "bias"), "norm": ("gamma", "beta", "moving_mean", "moving_variance")}
"""What a layer's variables are, in order."""

SIGN = f"{PYRAMID}conv_c3_1x1"
"""What a file of KerasCV's RetinaNet has, and one of KerasHub's has not."""

RESCALING, INPUT = f"{ENCODER}rescaling", f"{ENCODER}input_layer"
"""Layers without variables: the one that divides pictures by 255, and one that every backbone has."""

BASIC = {20: (2, 2, 2, 2), 36: (3, 4, 6, 3)}
"""The blocks of ResNet-18 and 34 by how many convolutions they have."""

BLOCKS = {53: (3, 4, 6, 3), 104: (3, 4, 23, 3), 155: (3, 8, 36, 3)}
"""The blocks of ResNet-50, 101 and 152."""

LATERAL, OUTPUT = (3, 4, 5), (3, 4, 5, 6, 7)
"""The levels with a 1x1 convolution, and with a 3x3 one."""


def is_keras_cv(path: Path) -> bool:
    """Whether a file or folder is one of KerasCV's RetinaNet.

    Raises:
        InputError: for a file that is not whole.
    """
    if path.is_dir():
        weights = path / WEIGHTS_FILE
        return (path / CONFIG_MEMBER).is_file() and weights.is_file() and is_keras_cv(weights)
    if kind_of(path) == "keras":
        return b"keras_cv" in config_in(path)
    with opened(path) as file:
        return holds(file, SIGN)


def read_keras_cv(path: Path) -> TensorFile:
    """All weights by the package's names. Settings are `model`, what an archive or a folder says its model is, and
    `rescales`, whether it divides pictures by 255, where that is known.

    Raises:
        InputError: for files that are not whole, and a config that is no JSON.
    """
    weights = path / WEIGHTS_FILE if path.is_dir() else path
    settings: dict[str, Any] = {}
    if (text := _config_of(path)) is not None:
        settings["model"] = _read_json(path, text)
    with opened(weights, _archived(path)) as file:
        tensors = {n: to_torch(read_variable(weights, dataset)) for n, dataset in _datasets(weights, file).items()}
        if holds(file, INPUT):
            settings["rescales"] = holds(file, RESCALING)
    return TensorFile(str(path), tensors, path, settings=settings)


def write_variables(file: h5py.File, tensors: Mapping[str, Tensor], *, rescales: bool) -> None:
    """What the weights of a model are in a file: by name, as a fresh process would number its layers."""
    layers = encoder_layers(sum(n.endswith("_conv/kernel") for n in tensors))
    for name, tensor in tensors.items():
        owner, _, variable = name.rpartition("/")
        place, kind = _path_of(owner, layers), "conv" if variable in VARIABLES["conv"] else "norm"
        data = to_keras(tensor).detach().cpu().numpy()
        dataset = file.create_dataset(f"{place}/vars/{VARIABLES[kind].index(variable)}", data=data)
        dataset.parent.attrs["name"] = owner
    for number, name in enumerate(_numbered_layers(tensors)):
        file[f"{_path_of(name, layers)}/vars"].attrs["name"] = numbered("conv2d", number)
    for place in (INPUT, RESCALING) if rescales else (INPUT,):
        file.require_group(f"{place}/vars").attrs["name"] = place.rpartition("/")[2]


def encoder_layers(convolutions: int) -> list[str]:
    """The convolutions of a backbone that has so many, without their ending, in the order of its layers."""
    if convolutions in BASIC:
        places = [
            (stage, block, number)
            for stage, count in enumerate(BASIC[convolutions])
            for block in range(count)
            for number in ((1, 0, 2) if block == 0 and stage > 0 else (1, 2))
        ]
    else:
        places = list(in_order_of_layers(BLOCKS.get(convolutions, ())))
    return ["conv1", *(f"v2_stack_{stage}_block{block + 1}_{number}" for stage, block, number in places)]


def _config_of(path: Path) -> bytes | None:
    """What is said of the model; nothing where weights stand alone."""
    if not path.is_dir():
        return config_in(path) if kind_of(path) == "keras" else None
    beside = path / CONFIG_MEMBER
    if beside.stat().st_size > LARGEST_CONFIG:
        raise InputError(f"{beside}: must have {LARGEST_CONFIG} bytes at most")
    return beside.read_bytes()


def _read_json(path: Path, text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: {CONFIG_MEMBER} in it is not readable ({error})") from None


def _archived(path: Path) -> io.BytesIO | None:
    return weights_in(path) if not path.is_dir() and kind_of(path) == "keras" else None


def _datasets(path: Path, file: h5py.File) -> dict[str, h5py.Dataset]:
    """The variables of layers by name; those of an optimiser and of what counts matched boxes are left aside."""
    found = {place: dataset for place, dataset in datasets_in(file).items() if place.startswith("layers/")}
    order = encoder_layers(sum(place.startswith(f"{ENCODER}conv2d") for place in found))
    named = {_name_of(file, place, order): dataset for place, dataset in found.items()}
    if len(named) < len(found):
        raise InputError(f"{path}: two of its layers have one name")
    return named


def _name_of(file: h5py.File, place: str, order: Sequence[str]) -> str:
    """The package's name of what stands at a place; the place itself, where it has none."""
    layer, _, number = place.partition("/vars/")
    kind = "norm" if "normalization" in layer else "conv"
    if not number.isdigit() or int(number) >= len(VARIABLES[kind]):
        return place
    position = int(match[1]) if (match := re.search(r"_(\d+)$", layer)) else 0
    if layer.startswith(ENCODER):
        known = f"{order[position]}_{'bn' if kind == 'norm' else 'conv'}" if position < len(order) else layer
        owner = str(file[f"{layer}/vars"].attrs.get("name", known))
    elif layer.startswith(PYRAMID):
        owner = f"feature_pyramid/{layer.removeprefix(PYRAMID)}"
    else:
        owner = _head_layer(layer, position)
    return f"{owner}/{VARIABLES[kind][int(number)]}"


def _head_layer(layer: str, position: int) -> str:
    found = re.fullmatch(r"layers/prediction_head(_1)?/(prediction_layer|conv_layers/conv2d(_\d+)?)", layer)
    if found is None:
        return layer
    head = HEADS[1 if found[1] else 0]
    return f"{head}/{found[2]}" if found[2] == "prediction_layer" else f"{head}/conv2d_{position}"


def _path_of(owner: str, layers: Sequence[str]) -> str:
    """Where a layer of a name stands in a file."""
    head, _, layer = owner.partition("/")
    if not layer:
        convolution, _, kind = owner.rpartition("_")
        name = "conv2d" if kind == "conv" else "batch_normalization"
        return ENCODER + numbered(name, layers.index(convolution))
    if head == "feature_pyramid":
        return PYRAMID + layer
    within = f"layers/{numbered('prediction_head', HEADS.index(head))}"
    if layer == "prediction_layer":
        return f"{within}/{layer}"
    return f"{within}/conv_layers/{numbered('conv2d', int(layer.rpartition('_')[2]))}"


def _numbered_layers(tensors: Mapping[str, Tensor]) -> list[str]:
    """The convolutions that have a number and no name, in the order in which a model makes them."""
    pyramid = [f"feature_pyramid/conv_c{i}_1x1" for i in LATERAL] + [f"feature_pyramid/conv_c{i}_3x3" for i in OUTPUT]
    depth = sum(name.startswith("box_head/conv2d_") and name.endswith("/kernel") for name in tensors)
    within = [*(f"conv2d_{number}" for number in range(depth)), "prediction_layer"]
    return [*pyramid, *(f"{head}/{layer}" for head in reversed(HEADS) for layer in within)]
