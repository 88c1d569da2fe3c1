"""The detector that a run trains: its conventions, its first weights, and which of them stay as they are."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torchvision.models import WeightsEnum, get_model_weights

from torch_retinanet.backbone import BackboneWeights
from torch_retinanet.config.backbones import RESNETS
from torch_retinanet.detector import RetinaNetDetector
from torch_retinanet.errors import InputError
from torch_retinanet.train.config import TrainConfig
from torch_retinanet.weights import find_weights, read_backbone


def build_detector(config: TrainConfig, class_names: Sequence[str], *, first_weights: bool = True) -> RetinaNetDetector:
    """A detector with the first weights of a run, in training mode; or with random ones, which others shall replace.

    Raises:
        InputError: for settings that no model can have, and weights that do not fit.
    """
    conventions = config.model_config(len(class_names))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        detector = RetinaNetDetector(
            conventions,
            backbone_weights=_backbone_weights(config) if first_weights else None,
            class_names=tuple(class_names),
        )
    if config.weights is not None and first_weights:
        _go_on_from(detector, config.weights)
    detector.freeze(stages=config.frozen_stages, norm=config.frozen_norm)
    detector.train()
    return detector


def _backbone_weights(config: TrainConfig) -> WeightsEnum | BackboneWeights | None:
    if config.backbone_weights is None or config.weights is not None:
        return None
    if config.backbone_weights == "imagenet":
        if config.backbone not in RESNETS:
            raise InputError(
                f"backbone_weights: 'imagenet' are torchvision's, which backbone {config.backbone!r} is not"
            )
        return get_model_weights(config.backbone).DEFAULT
    return read_backbone(config.backbone_weights)


def _go_on_from(detector: RetinaNetDetector, path: str | Path) -> None:
    """Take over all weights of a file; those of the last class layer only where the classes are the same."""
    contents = find_weights(path)
    if contents.part != "model":
        raise InputError(f"weights: {path} holds a {contents.part} alone; backbone_weights takes it")
    if differences := contents.config.differences(detector.config, acts_on="result"):
        needed = " ".join(f"{name}={getattr(contents.config, name)}" for name in differences)
        raise InputError(f"weights: {path} has other conventions; --conventions {needed} takes them over")
    tensors = dict(contents.tensors)
    if contents.config.num_classes != detector.config.num_classes or contents.class_names != detector.class_names:
        last = f"cls_head.{len(detector.model.cls_head) - 1}."
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(last)}
    detector.model.load_state_dict(tensors, strict=False)
