"""KerasHub's `RetinaNetObjectDetector`: the folder of a preset, and `save_weights` of the whole detector.

Source: keras-hub 0.32.0 models/retinanet/retinanet_backbone.py, feature_pyramid.py, prediction_head.py.
"""

import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeGuard

from torch import Tensor

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.errors import InputError
from torch_retinanet.files import atomic_write
from torch_retinanet.weights.containers.keras_hub_files import (
    BACKBONE_FILE,
    HEADS,
    HEADS_FILE,
    encoder_layers,
    write_part,
)
from torch_retinanet.weights.containers.kind import kind_of
from torch_retinanet.weights.containers.tensor_file import TensorFile
from torch_retinanet.weights.keras_names import NORM_VARIABLES, place_in_block
from torch_retinanet.weights.published.keras_hub_preset import prepared_otherwise, preset_files, read_preset
from torch_retinanet.weights.published.published import DEEP, Published
from torch_retinanet.weights.weights_file import check_numpy

WIDTH = 256
"""Filters of the pyramid, which KerasHub's presets do not say."""

OUR_HEADS = {"box_head": "box_head", "cls_head": "classification_head"}
P6 = "fpn/coarser_P6/kernel"


def keras_hub_name(name: str) -> str:
    """The name in KerasHub of a tensor of ours."""
    layer, _, variable = name.rpartition(".")
    kind = {"weight": "kernel"}.get(variable, variable)
    if layer.startswith("fpn.backbone."):
        theirs = _encoder_layer(layer.removeprefix("fpn.backbone."))
        return f"{theirs}/{NORM_VARIABLES[variable] if theirs.endswith('_bn') else kind}"
    if head := re.fullmatch(r"(cls_head|box_head)\.(\d+)(\.[01])?", layer):
        within = {".0": f"conv2d_{head[2]}", ".1": f"group_norm_{head[2]}", None: "logits_layer"}[head[3]]
        return f"{OUR_HEADS[head[1]]}/{within}/{NORM_VARIABLES[variable] if head[3] == '.1' else kind}"
    level = re.fullmatch(r"fpn\.conv_c(\d)_(\dx\d)", layer)
    if level is None:
        return name
    theirs = "lateral_conv" if level[2] == "1x1" else "output_conv" if int(level[1]) <= 5 else "coarser"
    return f"fpn/{theirs}_P{level[1]}/{kind}"


def _encoder_layer(layer: str) -> str:
    if layer in ("conv1", "bn1"):
        return {"conv1": "conv1_conv", "bn1": "conv1_bn"}[layer]
    stage, block, number, kind = place_in_block(layer)
    return f"stack{stage - 1}_block{block}_{number}_{kind}"


def tell(found: TensorFile, config: RetinaNetConfig) -> dict[str, Any]:
    """Where P6 comes from, by its kernel; and what the JSON files of a preset say.

    Raises:
        InputError: for a preset that says what no config can hold.
    """
    said: dict[str, Any] = {}
    if P6 in found.tensors and "fpn/output_conv_P3/bias" in found.tensors:
        from_p5 = found.tensors[P6].shape[1:2] == found.tensors["fpn/output_conv_P3/bias"].shape
        said["p6_source"] = "p5" if from_p5 else "c5"
    return said | read_preset(found.path) if _says_more(found.path) else said


def differs(found: TensorFile) -> str:
    """What a preset says of its pictures that is done otherwise here.

    Raises:
        InputError: for a file that is not KerasHub's.
    """
    return prepared_otherwise(found.path) if _says_more(found.path) else ""


def _says_more(path: Path | None) -> TypeGuard[Path]:
    """Whether there is more than weights: in a folder, or an archive."""
    return path is not None and (path.is_dir() or kind_of(path) == "keras")


def write(path: Path, tensors: Mapping[str, Tensor], *, second: bool) -> None:
    """The folder of a preset, which `RetinaNetObjectDetector.from_preset` reads.

    Raises:
        InputError: for a width that its RetinaNet cannot have.
    """
    check_numpy(str(path), tensors)
    heads = {name: tensor for name, tensor in tensors.items() if name.startswith(HEADS)}
    backbone = {name: tensor for name, tensor in tensors.items() if name not in heads}
    blocks = tuple(_blocks(backbone, stage) for stage in range(4))
    depth = sum(name.startswith("box_head/conv2d_") and name.endswith("/kernel") for name in heads)
    if (width := len(tensors["fpn/lateral_conv_P3/bias"])) != WIDTH:
        raise InputError(f"{path}: KerasHub's RetinaNet has width={WIDTH}, and this one {width}")
    for file, part in ((BACKBONE_FILE, backbone), (HEADS_FILE, heads)):
        with atomic_write(path / file) as beside:
            write_part(beside, part, encoder_layers(blocks))
    classes = len(tensors["classification_head/logits_layer/bias"]) * 4 // len(tensors["box_head/logits_layer/bias"])
    count = sum(tensor.numel() for tensor in backbone.values())
    for file, said in preset_files(
        classes=classes, blocks=blocks, depth=depth, second=second, parameters=count
    ).items():
        with atomic_write(path / file) as beside:
            beside.write_text(json.dumps(said, indent=4), encoding="utf-8")


def _blocks(tensors: Mapping[str, Tensor], stage: int) -> int:
    return sum(bool(re.fullmatch(rf"stack{stage}_block\d+_1_conv/kernel", name)) for name in tensors)


def _published(preset: str, title: str, second: bool) -> Published:
    return Published(
        preset=preset,
        title=title,
        their_name=keras_hub_name,
        tell=tell,
        differs=differs,
        has_counters=False,
        suffixes=(),
        backbones=DEEP,
        is_folder=True,
        write=partial(write, second=second),
    )


KERAS_HUB = _published("keras_hub", "KerasHub's RetinaNet", False)
KERAS_HUB_V2 = _published("keras_hub_v2", "KerasHub's RetinaNet v2", True)
