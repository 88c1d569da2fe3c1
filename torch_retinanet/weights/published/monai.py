"""MONAI's RetinaNet detector in two dimensions: the state dict of `detector.network`.

Source: MONAI 1.6.1, apps/detection/networks/retinanet_network.py, networks/nets/resnet.py and
networks/blocks/feature_pyramid_network.py.
"""

import re
from typing import Any

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.errors import InputError
from torch_retinanet.weights.containers.tensor_file import TensorFile
from torch_retinanet.weights.published.published import ANCHORS, DEEP, Assumption, Published

HEADS = {"cls_head": ("classification_head", "cls_logits"), "box_head": ("regression_head", "bbox_reg")}
"""Its names of a head, whose convolutions, GroupNorms and ReLUs are numbered together, and of its last convolution."""

BODY, PYRAMID = "feature_extractor.body", "feature_extractor.fpn"
STEM, P6 = f"{BODY}.conv1.weight", f"{PYRAMID}.extra_blocks.p6.weight"

PLANE = 4
"""Axes of the kernel of a convolution on pictures; on volumes it has one more."""


def monai_name(name: str) -> str:
    """The name in its network of a tensor of ours."""
    if name.startswith("fpn.backbone."):
        return f"{BODY}.{name.removeprefix('fpn.backbone.')}"
    if level := re.fullmatch(r"fpn\.conv_c(\d)_(\dx\d)\.(weight|bias)", name):
        blocks = "inner_blocks" if level[2] == "1x1" else "layer_blocks"
        place = f"extra_blocks.p{level[1]}" if level[1] in "67" else f"{blocks}.{int(level[1]) - 3}"
        return f"{PYRAMID}.{place}.{level[3]}"
    if head := re.fullmatch(r"(cls_head|box_head)\.(\d+)\.(?:([01])\.)?(weight|bias)", name):
        theirs, last = HEADS[head[1]]
        return f"{theirs}.{f'conv.{3 * int(head[2]) + int(head[3])}' if head[3] else last}.{head[4]}"
    return name


def without_start(name: str) -> str:
    """A name in the state dict of the whole detector as it is in that of its network."""
    return name.removeprefix("network.")


def told(found: TensorFile, config: RetinaNetConfig) -> dict[str, Any]:
    """The channels of a picture, and what makes the levels above P5.

    Raises:
        InputError: for a network on volumes, and one whose pyramid takes other layers than 2, 3 and 4.
    """
    shapes = {without_start(name): tuple(tensor.shape) for name, tensor in found.tensors.items()}
    if len(shapes.get(STEM, ())) > PLANE:
        raise InputError(f"{found.source}: holds MONAI's detector of volumes, and preset monai is that of pictures")
    if monai_name("fpn.backbone.layer4.0.conv1.weight") not in shapes or f"{PYRAMID}.inner_blocks.3.weight" in shapes:
        raise InputError(f"{found.source}: its pyramid takes other layers; it must have returned_layers=(2, 3, 4)")
    said = _of_channels(shapes[STEM][1]) if len(shapes.get(STEM, ())) == PLANE else {}
    if P6 not in shapes:
        return said
    from_p5 = shapes[P6][:1] == shapes[P6][1:2]
    return {**said, "max_level": 7, "p6_layer": "conv", "p6_source": "p5" if from_p5 else "c5"}


def _of_channels(count: int) -> dict[str, Any]:
    """Pictures of so many channels, from 0 to 1."""
    return {"in_channels": count, "pixel_mean": (0.0,) * count, "pixel_std": (255.0,) * count}


def _assumed(found: TensorFile, config: RetinaNetConfig) -> tuple[Assumption, ...]:
    words = (
        "its file does not say the sizes of anchors and the stride of the first layer: torchvision's and 2 are assumed"
    )
    return (Assumption(ANCHORS, words),)


def _says(config: RetinaNetConfig) -> dict[str, Any]:
    """Channels; and levels where they are those of its LastLevelP6P7."""
    said = _of_channels(config.in_channels)
    if (config.max_level, config.p6_layer) != (7, "conv"):
        return said
    return {**said, "max_level": 7, "p6_layer": "conv", "p6_source": config.p6_source}


MONAI = Published(
    preset="monai",
    title="MONAI's RetinaNet detector",
    their_name=monai_name,
    today=without_start,
    tell=told,
    assumed=_assumed,
    suffixes=(".pt", ".pth"),
    backbones=("resnet18", "resnet34", *DEEP),
    says=_says,
)
