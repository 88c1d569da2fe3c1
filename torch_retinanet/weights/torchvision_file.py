"""torchvision's `retinanet_resnet50_fpn`: its state dict in a `.pth` file, and its published COCO weights.

Source: torchvision 0.29.1, models/detection/retinanet.py and ops/feature_pyramid_network.py.
"""

import pickle
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.models import WeightsEnum
from torchvision.models.detection import RetinaNet_ResNet50_FPN_Weights

from torch_retinanet.backbone import download_tensors
from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.errors import InputError
from torch_retinanet.weights.keras_names import COUNTER
from torch_retinanet.weights.weights_file import WeightsFile, check_floating, check_shapes, expected_shapes

COCO_NAMES = tuple(RetinaNet_ResNet50_FPN_Weights.__members__)
"""What torchvision calls its COCO weights: `COCO_V1`, and `DEFAULT`."""

COCO_FILE = "retinanet_resnet50_fpn_coco"
"""How the file of the COCO weights begins; their BatchNorm was trained with an eps of 0 (`overwrite_eps`)."""

BACKBONES = {
    **{(False, 2): "resnet18", (False, 6): "resnet34"},
    **{(True, 6): "resnet50", (True, 23): "resnet101", (True, 36): "resnet152"},
}
"""A ResNet by whether its blocks have three convolutions, and the blocks of its third stage."""

LAST = {"cls_head": ("classification_head", "cls_logits"), "box_head": ("regression_head", "bbox_reg")}
"""torchvision's names of a head, and of its last convolution."""


def read_torchvision(path: Path) -> WeightsFile:
    """The model in a state dict that torchvision's RetinaNet wrote, in the conventions of the preset `torchvision`.

    Raises:
        InputError: for a file that is not whole, would run code, or holds another model.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        if "Unsupported" in str(error) or "weights_only" in str(error):
            raise InputError(f"{path}: holds more than tensors; save the model's state_dict() alone") from None
        raise InputError(f"{path}: not a whole file of tensors ({type(error).__name__})") from None
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise InputError(f"{path}: holds no state dict, a table of tensors by name")
    return from_state_dict(path.name, found, is_coco=path.name.startswith(COCO_FILE))


def download_coco(weights: WeightsEnum | str = "COCO_V1", *, progress: bool = True) -> WeightsFile:
    """The published COCO weights with the names of their 91 classes; errors are those of `download_tensors`."""
    weights = RetinaNet_ResNet50_FPN_Weights.verify(weights)
    found = download_tensors(weights, argument="weights", progress=progress)
    contents = from_state_dict(str(weights), found, is_coco=True)
    names = weights.meta["categories"]
    return contents if len(names) != contents.config.num_classes else replace(contents, class_names=tuple(names))


def from_state_dict(source: str, found: Mapping[str, Tensor], *, is_coco: bool = False) -> WeightsFile:
    """A state dict of torchvision's RetinaNet in our names; `is_coco` for those that were trained with an eps of 0.

    Raises:
        InputError: for a state dict of another model, naming the first tensor that does not fit.
    """
    named = {_today(name): tensor for name, tensor in found.items()}
    config = _config(source, named)
    config = config.changed(bn_eps=0.0) if is_coco else config
    expected = expected_shapes(config)
    counters = {name: torch.zeros((), dtype=torch.int64) for name in expected if name.endswith(COUNTER)}
    shapes = {torchvision_name(name): shape for name, shape in expected.items() if name not in counters}
    kept = {name: tensor for name, tensor in named.items() if not name.endswith(COUNTER)}
    check_shapes(source, {name: tuple(tensor.shape) for name, tensor in kept.items()}, shapes)
    check_floating(source, kept)
    tensors = {name: kept[torchvision_name(name)] for name in expected if name not in counters}
    return WeightsFile(config, tensors | counters)


def torchvision_name(name: str) -> str:
    """The name in torchvision's state dict of a tensor of ours."""
    name = name.replace("fpn.backbone.", "backbone.body.")
    for i, level in enumerate((3, 4, 5)):
        name = name.replace(f"fpn.conv_c{level}_1x1.", f"backbone.fpn.inner_blocks.{i}.0.")
        name = name.replace(f"fpn.conv_c{level}_3x3.", f"backbone.fpn.layer_blocks.{i}.0.")
    for level in (6, 7):
        name = name.replace(f"fpn.conv_c{level}_3x3.", f"backbone.fpn.extra_blocks.p{level}.")
    if head := re.fullmatch(r"(cls_head|box_head)\.(\d+)\.(0\.)?(weight|bias)", name):
        theirs, last = LAST[head[1]]
        layer = f"conv.{head[2]}.0" if head[3] else last
        return f"head.{theirs}.{layer}.{head[4]}"
    return name


def _today(name: str) -> str:
    """A name as torchvision has it since 0.12; before, a head's convolutions and ReLUs were numbered together."""
    name = re.sub(r"(inner|layer)_blocks\.(\d)\.(weight|bias)", r"\1_blocks.\2.0.\3", name)
    return re.sub(r"_head\.conv\.(\d+)\.(weight|bias)", lambda m: f"_head.conv.{int(m[1]) // 2}.0.{m[2]}", name)


def _config(source: str, named: Mapping[str, Tensor]) -> RetinaNetConfig:
    first, last = "backbone.fpn.inner_blocks.0.0.weight", "head.classification_head.cls_logits.bias"
    if first not in named or last not in named:
        raise InputError(f"{source}: is no RetinaNet of torchvision, as it has no tensor {last}")
    if "head.classification_head.conv.0.1.weight" in named:
        raise InputError(f"{source}: holds retinanet_resnet50_fpn_v2, whose heads have GroupNorm; v1 can be read")
    sizes: dict[str, Any] = {
        "num_classes": len(named[last]) // RetinaNetConfig.torchvision().anchors_per_cell,
        "width": len(named[first]),
        "head_depth": _count(named, r"head\.classification_head\.conv\.(\d+)\."),
        "backbone": _backbone(source, named),
    }
    return RetinaNetConfig.torchvision(**sizes)


def _backbone(source: str, named: Mapping[str, Tensor]) -> str:
    blocks = _count(named, r"backbone\.body\.layer3\.(\d+)\.")
    kind = BACKBONES.get(("backbone.body.layer1.0.conv3.weight" in named, blocks))
    if kind is None:
        raise InputError(f"{source}: its backbone is none of {', '.join(BACKBONES.values())}")
    return kind


def _count(named: Mapping[str, Tensor], pattern: str) -> int:
    return len({match[1] for name in named if (match := re.match(pattern, name))})
