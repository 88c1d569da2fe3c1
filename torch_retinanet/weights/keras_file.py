"""`.weights.h5` and `.keras` files of the Keras reference, read and written without Keras.

Keras 3 names the layers of a functional or sequential model by class and position (`fpn/backbone/layers/conv2d_17`),
and what a model holds as attributes by attribute; variables by position (`vars/0`). Source:
keras/src/saving/saving_lib.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.errors import InputError
from torch_retinanet.files import atomic_write
from torch_retinanet.weights.containers.keras_archive import CONFIG_MEMBER, config_in, weights_in, write_archive
from torch_retinanet.weights.containers.kind import kind_of
from torch_retinanet.weights.foreign_hdf5 import described
from torch_retinanet.weights.hdf5 import datasets_in, holds, numbered, opened, read_variable, shape_of, written
from torch_retinanet.weights.keras_names import (
    in_order_of_layers,
    keras_name,
    keras_shape,
    keras_variables,
    torch_tensors,
)
from torch_retinanet.weights.weights_file import WeightsFile, check_numpy, check_shapes, expected_shapes

if TYPE_CHECKING:
    import h5py

WRITTEN_BY = {"written_by": "torch_retinanet"}
"""What an archive says beside its model."""

BLOCKS = (3, 4, 6, 3)
"""Residual blocks in the stages of ResNet-50 (He et al. 2015, table 1)."""

KERAS_PRESETS = ("notebook", "keras_io")
"""The presets that the Keras reference can build, hence that its files can hold."""

CONVENTIONS = ("p7_relu", "head_init")
"""The conventions in which the presets of the Keras reference differ; a `.keras` archive says them, and `ANCHORS`."""

ANCHORS = ("anchor_scale", "anchor_scales", "anchor_ratios", "anchor_sizes", "min_level", "max_level")
"""The conventions that the Keras reference has in every preset; a `.weights.h5` file cannot say them."""

PARTS = ("fpn", "cls_head")
"""Attributes of the reference's model, which no other has."""

POSITIONS = {"kernel": 0, "bias": 1, "gamma": 0, "beta": 1, "moving_mean": 2, "moving_variance": 3}


def is_keras_reference(path: Path) -> bool:
    """Whether an HDF5 file has a part of the Keras reference.

    Raises:
        InputError: for a file that is not whole.
    """
    with opened(path) as file:
        return any(holds(file, part) for part in PARTS)


def read_keras(path: Path, preset: str | None) -> WeightsFile:
    """The model in a Keras file: of the preset that a `.keras` archive says, else of `preset`, else of the notebook.

    Raises:
        InputError: for a file that is not whole, or of another model, and for a preset that Keras files do not have.
    """
    is_archive = kind_of(path) == "keras"
    archived, said = (weights_in(path), _said(path, config_in(path))) if is_archive else (None, {})
    preset = said.get("preset") or preset or KERAS_PRESETS[0]
    if preset not in KERAS_PRESETS:
        raise InputError(f"preset: {preset!r} must be one that Keras files can hold: {', '.join(KERAS_PRESETS)}")
    with opened(path, archived) as file:
        found = {name: shape_of(dataset) for name, dataset in _datasets(file).items()}
        if not any(holds(file, part) for part in PARTS):
            raise InputError(f"{path}: holds {described(file)}, and no model of the Keras reference")
        config = RetinaNetConfig.preset(preset, **{name: said[name] for name in ANCHORS if name in said})
        config = replace(config, num_classes=_num_classes(path, found, config.anchors_per_cell))
        expected = expected_shapes(config)
        shapes = {key: keras_shape(shape) for name, shape in expected.items() if (key := keras_name(name))}
        check_shapes(str(path), found, {_h5_path(key): shape for key, shape in shapes.items()})
        _check_layer_names(path, file)
        variables = read_variables(path, file, shapes)
    return WeightsFile(config, torch_tensors(variables, expected))


def write_keras(path: Path, contents: WeightsFile) -> None:
    """A `.keras` archive, or a `.weights.h5` file, which Keras loads as its own.

    Raises:
        InputError: for a backbone alone, and for a config that the Keras reference cannot build.
    """
    if contents.part != "model":
        raise InputError(f"{path}: a Keras file holds a whole model, and the source holds a {contents.part} alone")
    preset = keras_preset(contents.config)
    if preset is None:
        raise InputError(f"{path}: a Keras file holds preset {', '.join(KERAS_PRESETS)}, not {contents.config.name}")
    changed = [n for n in contents.config.differences(RetinaNetConfig.preset(preset)) if n in ANCHORS]
    if path.suffix != ".keras" and changed:
        said = ", ".join(f"{name}={getattr(contents.config, name)!r}" for name in changed)
        raise InputError(f"{path}: cannot say {said}, without which boxes are wrong; a .keras file can")
    variables = keras_variables(contents.tensors)
    check_numpy(str(path), variables)
    with atomic_write(path) as beside:
        if path.suffix == ".keras":
            model = _model_config(_config(preset, contents.config))
            write_archive(beside, model, WRITTEN_BY, partial(write_variables, variables=variables))
        else:
            with written(beside) as file:
                write_variables(file, variables)


def keras_preset(config: RetinaNetConfig) -> str | None:
    """The preset of the Keras reference in which the weights of `config` give the same; `None` where there is none.

    Fresh values, sizes of pictures, the scale of anchors and which detections are kept may be others.
    """
    for name in KERAS_PRESETS:
        preset = RetinaNetConfig.preset(name, **_anchors(config))
        if not config.differences(preset, acts_on="result"):
            return name
    return None


def _config(preset: str, config: RetinaNetConfig) -> RetinaNetConfig:
    """What of a config a Keras file holds: its preset, classes and anchors."""
    return RetinaNetConfig.preset(preset, num_classes=config.num_classes, **_anchors(config))


def _anchors(config: RetinaNetConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in ANCHORS}


def _model_config(config: RetinaNetConfig) -> dict[str, object]:
    return {
        "module": "keras_reference.model",
        "class_name": "RetinaNet",
        "config": {
            "name": "retina_net",
            "conventions": {name: getattr(config, name) for name in ("num_classes", *CONVENTIONS, *ANCHORS)},
            "input_shape": [None, None, 3],
        },
        "registered_name": "keras_reference>RetinaNet",
        "build_config": {"input_shape": [None, 128, 128, 3]},
    }


def read_variables(path: Path, file: h5py.File, names: Iterable[str]) -> dict[str, Tensor]:
    """Keras variables by Keras name, each from its place in a file."""
    return {name: read_variable(path, file[_h5_path(name)]) for name in names}


def write_variables(file: h5py.File, variables: Mapping[str, Tensor]) -> None:
    """Put Keras variables by Keras name in their places in a file, where Keras looks for them."""
    for key, variable in variables.items():
        dataset = file.create_dataset(_h5_path(key), data=variable.detach().cpu().numpy())
        dataset.parent.attrs["name"] = key.split("/")[-2]


def _said(path: Path, text: bytes) -> dict[str, Any]:
    try:
        said = json.loads(text)["config"]["conventions"]
    except (KeyError, TypeError):
        return {}
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: {CONFIG_MEMBER} in it is not readable ({error})") from None
    for name in KERAS_PRESETS:
        preset = RetinaNetConfig.preset(name)
        if isinstance(said, dict) and all(said.get(c) == getattr(preset, c) for c in CONVENTIONS):
            lists = {n: tuple(said[n]) if isinstance(said[n], list) else said[n] for n in ANCHORS if n in said}
            return {"preset": name, **lists}
    raise InputError(f"{path}: its conventions {said!r} are those of no preset that Keras files can hold")


def _datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    """All variables of the model by path; those of the optimizer that trained it are left aside."""
    return {name: item for name, item in datasets_in(file).items() if not name.startswith("optimizer/")}


def _num_classes(path: Path, found: Mapping[str, tuple[int, ...]], anchors_per_cell: int) -> int:
    bias = found.get(_h5_path("cls_head/4/bias"), (0,))
    if len(bias) != 1 or bias[0] == 0 or bias[0] % anchors_per_cell:
        raise InputError(f"{path}: holds no class head, whose last bias would be {_h5_path('cls_head/4/bias')}")
    return bias[0] // anchors_per_cell


def _check_layer_names(path: Path, file: h5py.File) -> None:
    """Positions alone could mix up two layers of one shape; later versions of Keras 3 write the names beside them."""
    for layer in (f"{name}_{kind}" for name in _backbone_positions() for kind in ("conv", "bn")):
        group = file[_h5_path(f"fpn/backbone/{layer}/{'kernel' if layer.endswith('conv') else 'gamma'}")].parent
        if group.attrs.get("name", layer) != layer:
            raise InputError(f"{path}: {group.name} is layer {group.attrs['name']}, and {layer} was to stand there")


def _h5_path(key: str) -> str:
    """Where a Keras variable stands in the file: `fpn/backbone/conv1_conv/kernel` at `…/layers/conv2d/vars/0`."""
    layer, _, variable = key.rpartition("/")
    if backbone := re.fullmatch(r"fpn/backbone/(\w+)_(conv|bn)", layer):
        kind = {"conv": "conv2d", "bn": "batch_normalization"}[backbone[2]]
        layer = f"fpn/backbone/layers/{numbered(kind, _backbone_positions().index(backbone[1]))}"
    elif head := re.fullmatch(r"(cls_head|box_head)/(\d)", layer):
        layer = f"{head[1]}/layers/{numbered('conv2d', int(head[2]))}"
    return f"{layer}/vars/{POSITIONS[variable]}"


def _backbone_positions() -> list[str]:
    """Convolutions of the backbone in the order of its layers."""
    return ["conv1", *(f"conv{stage + 2}_block{block + 1}_{n}" for stage, block, n in in_order_of_layers(BLOCKS))]
