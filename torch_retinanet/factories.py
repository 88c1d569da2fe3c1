"""Detectors by the names and arguments that torchvision has: `torchvision/models/detection/retinanet.py`."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torchvision.models import ResNet50_Weights, WeightsEnum

from torch_retinanet.attributes import TORCHVISION_NAMES
from torch_retinanet.backbone import BackboneWeights
from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.detector import RetinaNetDetector
from torch_retinanet.errors import InputError
from torch_retinanet.weights.torchvision_file import download_coco

ALL_LAYERS = 5
"""Parts of a ResNet that can be trained: the stem, and four stages."""

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
    conventions = _in_our_words(conventions)
    if weights is None:
        classes = num_classes if num_classes is not None else len(class_names) or None
        config = RetinaNetConfig.torchvision(classes, **conventions)
        if isinstance(weights_backbone, str):
            weights_backbone = _imagenet(weights_backbone)
        detector = RetinaNetDetector(config, backbone_weights=weights_backbone, class_names=class_names)
    elif isinstance(weights, WeightsEnum):
        detector = RetinaNetDetector.from_weights(download_coco(weights, progress=progress), **conventions)
    else:
        detector = RetinaNetDetector.from_pretrained(weights, **conventions)
    if num_classes not in (None, detector.config.num_classes):
        raise InputError(f"num_classes: {num_classes!r} must be {detector.config.num_classes}, which the weights have")
    if class_names and len(class_names) != detector.config.num_classes:
        raise InputError(f"class_names: {len(class_names)} must be {detector.config.num_classes}, as the classes")
    detector.class_names = tuple(class_names) or detector.class_names
    detector.freeze(stages=ALL_LAYERS - _layers(trainable_backbone_layers, pretrained), norm=pretrained)
    return detector.train()


def _imagenet(name: str) -> WeightsEnum:
    if name not in ResNet50_Weights.__members__:
        raise InputError(f"weights_backbone: {name!r} must be one of {', '.join(ResNet50_Weights.__members__)}")
    return ResNet50_Weights[name]


def _in_our_words(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings by our names, where they are torchvision's; colours are from 0 to 1 there."""
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
