"""KerasCV's `RetinaNet` on its ResNets: `.keras` archives, `.weights.h5` files, and the folders of presets.

Source: keras-cv 0.9.0 models/object_detection/retinanet, models/backbones/resnet_v1/resnet_v1_backbone.py.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.errors import InputError
from torch_retinanet.weights.containers.keras_archive import write_archive
from torch_retinanet.weights.containers.keras_cv_files import write_variables
from torch_retinanet.weights.containers.tensor_file import TensorFile
from torch_retinanet.weights.hdf5 import written
from torch_retinanet.weights.keras_names import NORM_VARIABLES, place_in_block
from torch_retinanet.weights.published.keras_cv_config import (
    BACKBONES,
    RESCALED,
    WIDTH,
    model_config,
    read_model,
    rescales,
)
from torch_retinanet.weights.published.published import Published
from torch_retinanet.weights.weights_file import WeightsFile, check_numpy

OUR_HEADS = {"box_head": "box_head", "cls_head": "classification_head"}

ANCHORS = ("anchor_scale", "anchor_sizes", "anchor_scales", "anchor_ratios", "clip_anchors")
"""What an archive says of anchors, and a `.weights.h5` cannot."""

THRESHOLDS = ("match_iou", "ignore_iou", "score_threshold", "nms_iou")
"""What else it says, whatever the numbers are."""

NOW = "%Y-%m-%d@%H:%M:%S"


class Model(NamedTuple):
    """What a file holds: tensors by its names, and the config that they are for."""

    tensors: Mapping[str, Tensor]
    config: RetinaNetConfig


def keras_cv_name(name: str) -> str:
    """The name in KerasCV of a tensor of ours."""
    layer, _, variable = name.rpartition(".")
    kind = {"weight": "kernel"}.get(variable, variable)
    if layer.startswith("fpn.backbone."):
        theirs = _backbone_layer(layer.removeprefix("fpn.backbone."))
        return f"{theirs}/{NORM_VARIABLES[variable] if theirs.endswith('_bn') else kind}"
    if head := re.fullmatch(r"(cls_head|box_head)\.(\d+)(\.0)?", layer):
        return f"{OUR_HEADS[head[1]]}/{f'conv2d_{head[2]}' if head[3] else 'prediction_layer'}/{kind}"
    return f"feature_pyramid/{layer.removeprefix('fpn.')}/{kind}" if layer.startswith("fpn.conv_") else name


def _backbone_layer(layer: str) -> str:
    if layer in ("conv1", "bn1"):
        return {"conv1": "conv1_conv", "bn1": "conv1_bn"}[layer]
    stage, block, number, kind = place_in_block(layer)
    return f"v2_stack_{stage - 1}_block{block + 1}_{number}_{kind}"


def tell(found: TensorFile, config: RetinaNetConfig) -> dict[str, Any]:
    """How pictures are scaled, by the layers of the backbone; and what an archive or a preset says.

    Raises:
        InputError: for what no config can hold.
    """
    if "model" in found.settings:
        return read_model(found.source, found.settings["model"])
    if "rescales" not in found.settings:
        return {}
    return {"pixel_std": (RESCALED if found.settings["rescales"] else 1.0,) * 3}


def says(config: RetinaNetConfig) -> dict[str, Any]:
    """What a file can say of a config; colours on another scale are brought to that of 255."""
    said = {name: getattr(config, name) for name in (*ANCHORS, *THRESHOLDS)}
    if config.nms_classes == "each":
        said["nms_classes"] = "each"
    if config.detections_per_picture:
        said["detections_per_picture"] = config.detections_per_picture
    return said | ({"pixel_std": config.pixel_std} if set(config.pixel_std) == {1.0} else {})


def held(tensors: Mapping[str, Tensor], contents: WeightsFile) -> Model:
    """Tensors with their config."""
    return Model(tensors, contents.config)


def write(path: Path, model: Model) -> None:
    """An archive that `keras.saving.load_model` reads, or a file for the model's `load_weights`.

    Raises:
        InputError: for a width that the package cannot have, and anchors that the file cannot say.
    """
    check_numpy(str(path), model.tensors)
    if model.config.width != WIDTH:
        raise InputError(f"{path}: KerasCV's RetinaNet has width={WIDTH}, and this one {model.config.width}")
    write_model(path, model)


def write_model(path: Path, model: Model) -> None:
    """The same, of any width."""
    variables = partial(write_variables, tensors=model.tensors, rescales=rescales(model.config))
    if path.suffix == ".keras":
        metadata = {"keras_version": "3.15.1", "date_saved": datetime.now(timezone.utc).strftime(NOW)}
        write_archive(path, model_config(model.config), metadata, variables)
        return
    usual = RetinaNetConfig.preset("keras_cv")
    if changed := [name for name in ANCHORS if getattr(model.config, name) != getattr(usual, name)]:
        said = ", ".join(f"{name}={getattr(model.config, name)!r}" for name in changed)
        raise InputError(f"{path}: cannot say {said}, without which boxes are wrong; a .keras file can")
    with written(path) as file:
        variables(file)


KERAS_CV = Published(
    preset="keras_cv",
    title="KerasCV's RetinaNet",
    their_name=keras_cv_name,
    tell=tell,
    has_counters=False,
    suffixes=(".keras", ".weights.h5"),
    backbones=tuple(BACKBONES),
    says=says,
    held=held,
    write=write,
)
