"""HDF5 files of Keras 3 as KerasHub's RetinaNets have them: two in a preset's folder, or one of the whole detector.

Keras 3 stores variables by class and position of their layer. Names are those that the package gives its layers:
`stack0_block0_1_conv/kernel`, `fpn/lateral_conv_P3/bias`. Source: keras/src/saving/saving_lib.py, keras-hub 0.32.0
models/resnet/resnet_backbone.py and models/retinanet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from torch_retinanet.errors import InputError
from torch_retinanet.weights.containers.keras_archive import config_in, weights_in
from torch_retinanet.weights.containers.kind import kind_of
from torch_retinanet.weights.containers.tensor_file import TensorFile
from torch_retinanet.weights.hdf5 import datasets_in, holds, numbered, opened, read_variable, written
from torch_retinanet.weights.keras_names import in_order_of_layers, to_keras, to_torch

if TYPE_CHECKING:
    import h5py

BACKBONE_FILE, HEADS_FILE, CONFIG_FILE = "model.weights.h5", "task.weights.h5", "config.json"
"""The files of a preset that hold weights, and the one by which its folder is known."""

WITHIN = "layers/retina_net_backbone/"
"""Where the backbone and the pyramid lie in a file of the whole detector."""

ENCODER, PYRAMID = "layers/functional/layers/", "layers/feature_pyramid/"
HEADS = ("box_head", "classification_head")
VARIABLES = {"conv": ("kernel", "bias"), "norm": ("gamma", "beta", "moving_mean", "moving_variance")}
"""What a layer's variables are, in order."""

BLOCKS = {53: (3, 4, 6, 3), 104: (3, 4, 23, 3), 155: (3, 8, 36, 3)}
"""The blocks of ResNet-50, 101 and 152 by how many convolutions they have."""

MIN_LEVEL, TOP = 3, 5
"""The pyramid's finest level, and the coarsest that is made from a map of the backbone at its size."""


def is_keras_hub(path: Path) -> bool:
    """Whether a file or folder is one of KerasHub's.

    Raises:
        InputError: for a file that is not whole.
    """
    if path.is_dir():
        return (path / CONFIG_FILE).is_file() and (path / BACKBONE_FILE).is_file()
    if kind_of(path) == "keras":
        return b"keras_hub" in config_in(path)
    with opened(path) as file:
        return any(holds(file, place) for place in (PYRAMID, f"{WITHIN}{PYRAMID}", "layers/prediction_head"))


def read_keras_hub(path: Path) -> TensorFile:
    """All weights in a preset's folder, or in a file or archive of the whole detector, by the package's names.

    Raises:
        InputError: for a folder without a file, and files that are not whole.
    """
    tensors: dict[str, Tensor] = {}
    if path.name in (BACKBONE_FILE, HEADS_FILE) and (path.parent / HEADS_FILE).is_file() and is_keras_hub(path.parent):
        raise InputError(f"{path}: is a part of a KerasHub preset, whose folder is read: {path.parent}")
    for part in _parts(path):
        if not part.is_file():
            raise InputError(f"{path}: has no {part.name}, which holds the heads of a KerasHub preset")
        with opened(part, weights_in(part) if kind_of(part) == "keras" else None) as file:
            tensors |= {n: to_torch(read_variable(part, dataset)) for n, dataset in _datasets(part, file).items()}
    return TensorFile(str(path), tensors, path)


def write_part(path: Path, tensors: Mapping[str, Tensor], layers: list[str]) -> None:
    """One of the two files of a preset: the weights in it by name, of an encoder with these convolutions in order."""
    with written(path) as file:
        for name, tensor in tensors.items():
            place = _path_of(name, layers)
            dataset = file.create_dataset(place, data=to_keras(tensor).detach().cpu().numpy())
            dataset.parent.attrs["name"] = name.split("/")[-2]
        for number, head in enumerate(HEADS):
            if (group := f"layers/{numbered('prediction_head', number)}") in file:
                file.require_group(f"{group}/vars").attrs["name"] = head


def encoder_layers(blocks: tuple[int, ...]) -> list[str]:
    """The convolutions of an encoder in the order of its layers."""
    return ["conv1", *(f"stack{stage}_block{block}_{n}" for stage, block, n in in_order_of_layers(blocks))]


def _parts(path: Path) -> Iterator[Path]:
    yield from (path / BACKBONE_FILE, path / HEADS_FILE) if path.is_dir() else (path,)


def _datasets(path: Path, file: h5py.File) -> dict[str, h5py.Dataset]:
    """The variables of the model by name; those of the optimiser that trained it are left aside."""
    found = datasets_in(file)
    places = [place for place in found if not place.startswith(("optimizer/", "metrics/"))]
    convolutions = sum(f"{ENCODER}conv2d" in place for place in places)
    order = encoder_layers(BLOCKS.get(convolutions, ()))
    named = {_name_of(file, place, order): found[place] for place in places}
    if len(named) < len(places):
        raise InputError(f"{path}: two of its layers have one name")
    return named


def _name_of(file: h5py.File, place: str, order: list[str]) -> str:
    """The package's name of what stands at a place; the place itself, where it has none."""
    layer, _, number = place.partition("/vars/")
    inner, kind = layer.removeprefix(WITHIN), "norm" if "normalization" in layer else "conv"
    if not number.isdigit() or int(number) >= len(VARIABLES[kind]):
        return place
    position = int(match[1]) if (match := re.search(r"_(\d+)$", inner)) else 0
    said = file[f"{layer}/vars"].attrs.get("name")
    if inner.startswith(ENCODER):
        known = f"{order[position]}_{'bn' if kind == 'norm' else 'conv'}" if position < len(order) else inner
        name = str(said or known)
    elif inner.startswith(PYRAMID):
        name = _pyramid_name(inner, position)
    else:
        name = _head_name(file, inner, position, kind)
    return f"{name}/{VARIABLES[kind][int(number)]}"


def _pyramid_name(inner: str, position: int) -> str:
    level = MIN_LEVEL + position
    kind = "lateral_conv" if "lateral_conv_layers" in inner else "output_conv" if level <= TOP else "coarser"
    return f"fpn/{kind}_P{level}"


def _head_name(file: h5py.File, inner: str, position: int, kind: str) -> str:
    group = re.match(r"layers/prediction_head(_1)?(?=/)", inner)
    if group is None:
        return inner
    said = file[f"{group[0]}/vars"].attrs.get("name") if f"{group[0]}/vars" in file else None
    head = said or HEADS[1 if group[1] else 0]
    if inner.endswith("/prediction_layer"):
        return f"{head}/logits_layer"
    return f"{head}/{'group_norm' if kind == 'norm' else 'conv2d'}_{position}"


def _path_of(name: str, layers: list[str]) -> str:
    """Where a weight of a name stands in the files of a preset."""
    *owner, layer, variable = name.split("/")
    kind = "conv" if variable in VARIABLES["conv"] else "norm"
    number = VARIABLES[kind].index(variable)
    if not owner:
        position = layers.index(layer.rpartition("_")[0])
        place = ENCODER + numbered("conv2d" if kind == "conv" else "batch_normalization", position)
    elif owner == ["fpn"]:
        group = "lateral_conv_layers" if layer.startswith("lateral") else "output_conv_layers"
        place = f"{PYRAMID}{group}/{numbered('conv2d', int(layer[-1]) - MIN_LEVEL)}"
    else:
        place = f"layers/{numbered('prediction_head', HEADS.index(owner[0]))}/{_head_layer(layer)}"
    return f"{place}/vars/{number}"


def _head_layer(layer: str) -> str:
    if layer == "logits_layer":
        return "prediction_layer"
    kind, _, number = layer.rpartition("_")
    if kind == "conv2d":
        return f"conv_layers/{numbered('conv2d', int(number))}"
    return f"group_norm_layers/{numbered('group_normalization', int(number))}"
