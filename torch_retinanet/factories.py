"""Detectors by the names and arguments that torchvision has: `torchvision/models/detection/retinanet.py`."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torchvision.models import ResNet50_Weights, WeightsEnum

from torch_retinanet.backbone import BackboneWeights
from torch_retinanet.config import TORCHVISION_NAMES, RetinaNetConfig
from torch_retinanet.detector import RetinaNetDetector
from torch_retinanet.errors import InputError
from torch_retinanet.weights.published.torchvision import COCO_NAMES, download_coco

ALL_LAYERS = 5
"""Parts of a ResNet that can be trained: the stem, and four stages."""

ELSEWHERE = {
    "pretrained": "weights='COCO_V1' has taken its place",
    "pretrained_backbone": "weights_backbone='IMAGENET1K_V1' has taken its place",
    "anchor_generator": "anchors are conventions, as anchor_sizes and anchor_ratios, or set `detector.anchors`",
    "head": "heads are conventions, as head_depth and head_norm",
    "norm_layer": "norms are conventions, as bn_eps, pyramid_norm and head_norm",
}
"""What torchvision's functions take, or took, and where it is found here."""

TRAINED_LAYERS = 3
"""How many of them torchvision trains by default, the last ones, where the others are trained already."""


def retinanet_resnet50_fpn(
    *,
    weights: str | Path | WeightsEnum | None = None,
    progress: bool = True,
    num_classes: int | None = None,
    weights_backbone: WeightsEnum | BackboneWeights | str | None = ResNet50_Weights.IMAGENET1K_V1,
    trainable_backbone_layers: int | None = None,
    class_names: Sequence[str] = (),
    **conventions: Any,
) -> RetinaNetDetector:
    """RetinaNet with ResNet-50, as `torchvision.models.detection.retinanet_resnet50_fpn` makes it.

    Other conventions by keyword, as `anchor_scale=2`; `retinanet conventions` lists them. Labels are 0 to K - 1.

    Args:
        weights: torchvision's COCO weights, `"COCO_V1"` or their enum; or what `RetinaNetDetector.from_pretrained`
            reads.
        progress: whether a download shows a bar.
        num_classes: K; 91 by default.
        weights_backbone: ImageNet weights of the backbone, where `weights` are none. `None` for random ones.
        trainable_backbone_layers: how many of the backbone's 5 parts are trained, the last ones; by default 3 where
            the weights are trained already, else 5. BatchNorm of trained weights keeps its statistics.
        class_names: of the K labels.
        conventions: fields of `RetinaNetConfig` that differ from torchvision's, by our names or by torchvision's, as
            `min_size`, `score_thresh` or `image_mean`.

    Returns:
        The detector in training mode, as torchvision's is.

    Raises:
        InputError: for unknown weights or fields, and another number of classes than the weights have.
        ConnectionError: where weights cannot be downloaded; the sentence says where the file can be put.
    """
    pretrained = weights is not None or weights_backbone is not None
    asked = Asked(weights, progress, num_classes, weights_backbone, class_names, conventions)
    detector = _made("torchvision", asked)
    detector.freeze(stages=ALL_LAYERS - _layers(trainable_backbone_layers, pretrained), norm=pretrained)
    return detector.train()


def retinanet_resnet50_fpn_v2(
    *,
    weights: str | Path | WeightsEnum | None = None,
    progress: bool = True,
    num_classes: int | None = None,
    weights_backbone: WeightsEnum | BackboneWeights | str | None = None,
    trainable_backbone_layers: int | None = None,
    class_names: Sequence[str] = (),
    **conventions: Any,
) -> RetinaNetDetector:
    """The improved RetinaNet, as `torchvision.models.detection.retinanet_resnet50_fpn_v2` makes it.

    GroupNorm in the heads, P6 from C5, GIoU as the loss of boxes. Arguments, defaults apart, and errors are those of
    `retinanet_resnet50_fpn`; BatchNorm is trained, whatever weights are given.
    """
    pretrained = weights is not None or weights_backbone is not None
    asked = Asked(weights, progress, num_classes, weights_backbone, class_names, conventions)
    detector = _made("torchvision_v2", asked)
    detector.freeze(stages=ALL_LAYERS - _layers(trainable_backbone_layers, pretrained))
    return detector.train()


class Asked(NamedTuple):
    """What a factory is asked for."""

    weights: str | Path | WeightsEnum | None
    progress: bool
    num_classes: int | None
    weights_backbone: WeightsEnum | BackboneWeights | str | None
    class_names: Sequence[str]
    conventions: dict[str, Any]


def _made(preset: str, asked: Asked) -> RetinaNetDetector:
    """A detector of a preset, with the weights that are asked for."""
    detector = _with_weights(preset, asked, _in_our_words(asked.conventions))
    classes = detector.config.num_classes
    if asked.num_classes not in (None, classes):
        raise InputError(f"num_classes: {asked.num_classes!r} must be {classes}, which the weights have")
    if asked.class_names and len(asked.class_names) != classes:
        raise InputError(f"class_names: {len(asked.class_names)} must be {classes}, as the classes")
    detector.class_names = tuple(asked.class_names) or detector.class_names
    return detector


def _with_weights(preset: str, asked: Asked, conventions: dict[str, Any]) -> RetinaNetDetector:
    weights, backbone = asked.weights, asked.weights_backbone
    if isinstance(weights, WeightsEnum) or str(weights) in COCO_NAMES:
        coco = download_coco(weights, preset=preset, progress=asked.progress)
        return RetinaNetDetector.from_weights(coco, **conventions)
    if weights is not None:
        return RetinaNetDetector.from_pretrained(weights, **conventions)
    classes = asked.num_classes if asked.num_classes is not None else len(asked.class_names) or None
    config = RetinaNetConfig.preset(preset, classes, **conventions)
    trained = _imagenet(backbone) if isinstance(backbone, str) else backbone
    return RetinaNetDetector(config, backbone_weights=trained, class_names=asked.class_names)


def _imagenet(name: str) -> WeightsEnum:
    if name not in ResNet50_Weights.__members__:
        raise InputError(f"weights_backbone: {name!r} must be one of {', '.join(ResNet50_Weights.__members__)}")
    return ResNet50_Weights[name]


def _in_our_words(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings by our names, where they are torchvision's; colours are from 0 to 1 there."""
    for name in settings:
        if name in ELSEWHERE:
            raise InputError(f"{name}: is no argument here; {ELSEWHERE[name]}")
    found = {TORCHVISION_NAMES.get(name, name): value for name, value in settings.items()}
    for theirs, ours in (("image_mean", "pixel_mean"), ("image_std", "pixel_std")):
        if theirs in found:
            found[ours] = tuple(255 * float(value) for value in found.pop(theirs))
    return found


def _layers(asked: int | None, pretrained: bool) -> int:
    if pretrained:
        return TRAINED_LAYERS if asked is None else asked
    if asked is not None:
        warnings.warn(
            f"trainable_backbone_layers: {asked} acts on trained weights alone; all are trained", stacklevel=3
        )
    return ALL_LAYERS
