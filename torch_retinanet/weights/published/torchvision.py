"""torchvision's `retinanet_resnet50_fpn` and its v2: their state dicts, and the published COCO weights.

Source: torchvision 0.29.1, models/detection/retinanet.py and ops/feature_pyramid_network.py.
"""

import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from torchvision.models import WeightsEnum
from torchvision.models.detection import RetinaNet_ResNet50_FPN_V2_Weights, RetinaNet_ResNet50_FPN_Weights

from torch_retinanet.backbone import download_tensors
from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.errors import InputError
from torch_retinanet.weights.containers.tensor_file import TensorFile
from torch_retinanet.weights.published.published import Assumption, Published
from torch_retinanet.weights.weights_file import WeightsFile

COCO_NAMES = tuple(RetinaNet_ResNet50_FPN_Weights.__members__)
"""What torchvision calls its COCO weights: `COCO_V1`, and `DEFAULT`."""

COCO_FILE, COCO_DIGEST = "retinanet_resnet50_fpn_coco-eeacb38b.pth", "eeacb38b"
"""The file of `COCO_V1`, and how its SHA-256 begins; its BatchNorm was trained with an eps of 0 (`overwrite_eps`)."""

LAST = {"cls_head": ("classification_head", "cls_logits"), "box_head": ("regression_head", "bbox_reg")}
"""torchvision's names of a head, and of its last convolution."""


def torchvision_name(name: str) -> str:
    """The name in torchvision's state dict of a tensor of ours."""
    name = name.replace("fpn.backbone.", "backbone.body.")
    for i, level in enumerate((3, 4, 5)):
        name = name.replace(f"fpn.conv_c{level}_1x1.", f"backbone.fpn.inner_blocks.{i}.0.")
        name = name.replace(f"fpn.conv_c{level}_3x3.", f"backbone.fpn.layer_blocks.{i}.0.")
    for level in (6, 7):
        name = name.replace(f"fpn.conv_c{level}_3x3.", f"backbone.fpn.extra_blocks.p{level}.")
    if head := re.fullmatch(r"(cls_head|box_head)\.(\d+)\.([01]\.)?(weight|bias)", name):
        theirs, last = LAST[head[1]]
        layer = f"conv.{head[2]}.{head[3]}" if head[3] else f"{last}."
        return f"head.{theirs}.{layer}{head[4]}"
    return name


def name_of_today(name: str) -> str:
    """A name as torchvision has it since 0.12; before, a head's convolutions and ReLUs were numbered together."""
    name = re.sub(r"(inner|layer)_blocks\.(\d)\.(weight|bias)", r"\1_blocks.\2.0.\3", name)
    return re.sub(r"_head\.conv\.(\d+)\.(weight|bias)", lambda m: f"_head.conv.{int(m[1]) // 2}.0.{m[2]}", name)


def download_coco(
    weights: WeightsEnum | str = "COCO_V1", *, preset: str = "torchvision", progress: bool = True
) -> WeightsFile:
    """The published COCO weights of a preset, with the names of their 91 classes.

    Errors are those of `download_tensors`; a name or enum that the preset does not have is refused.
    """
    published, known, eps = COCO[preset]
    found_at = _verified(weights, known)
    tensors = download_tensors(found_at, argument="weights", progress=progress)
    published = replace(published, tell=lambda found, config: {"bn_eps": eps})
    return published.read(TensorFile(str(found_at), tensors, class_names=tuple(found_at.meta["categories"])))


def _verified(weights: WeightsEnum | str, known: type[WeightsEnum]) -> WeightsEnum:
    if isinstance(weights, known):
        return weights
    if isinstance(weights, str) and weights in known.__members__:
        return known[weights]
    raise InputError(f"weights: {weights!r} must be one of {', '.join(known.__members__)} of {known.__name__}")


def _eps_of_coco(found: TensorFile, config: RetinaNetConfig) -> dict[str, Any]:
    """The weights `COCO_V1` are known by the name of their file, or by its digest."""
    if found.path is None:
        return {}
    is_coco = found.path.name == COCO_FILE or (
        _classes(found) == config.num_classes * config.anchors_per_cell and _digest(found.path).startswith(COCO_DIGEST)
    )
    return {"bn_eps": 0.0} if is_coco else {}


def _assumed(found: TensorFile, config: RetinaNetConfig) -> tuple[Assumption, ...]:
    words = (
        f"its file does not say BatchNorm's eps: {config.bn_eps:g} is assumed, and what was trained from torchvision's "
        "first COCO weights has 0, which bn_eps=0 states"
    )
    return (Assumption(("bn_eps",), words),) if config.bn_eps else ()


def _classes(found: TensorFile) -> int:
    """Outputs of the class head: anchors of a cell times classes."""
    last = found.tensors.get("head.classification_head.cls_logits.bias")
    return 0 if last is None or not last.ndim else len(last)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


TORCHVISION = Published(
    preset="torchvision",
    title="torchvision's retinanet_resnet50_fpn",
    their_name=torchvision_name,
    today=name_of_today,
    tell=_eps_of_coco,
    assumed=_assumed,
)

TORCHVISION_V2 = Published(
    preset="torchvision_v2", title="torchvision's retinanet_resnet50_fpn_v2", their_name=torchvision_name
)

COCO: dict[str, tuple[Published, type[WeightsEnum], float]] = {
    "torchvision": (TORCHVISION, RetinaNet_ResNet50_FPN_Weights, 0.0),
    "torchvision_v2": (TORCHVISION_V2, RetinaNet_ResNet50_FPN_V2_Weights, 1e-5),
}
"""torchvision's weights of its presets, and the eps with which their BatchNorm was trained."""
