"""The detector that a run trains: its conventions, its first weights, and which of them stay as they are."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import WeightsEnum, get_model_weights

from torch_retinanet.backbone import BackboneWeights
from torch_retinanet.config.backbones import RESNETS
from torch_retinanet.detector import RetinaNetDetector
from torch_retinanet.errors import InputError
from torch_retinanet.train.config import TrainConfig
from torch_retinanet.weights import read_backbone


def build_detector(config: TrainConfig, class_names: Sequence[str], *, is_trained: bool = False) -> RetinaNetDetector:
    """A detector with the first weights of a run, in training mode, as far as these are not those of a whole model.

    Args:
        config: the settings.
        class_names: of the data.
        is_trained: whether weights of a whole model, or of a checkpoint, shall replace the first ones.

    Raises:
        InputError: for settings that no model can have, and weights that do not fit.
    """
    conventions = config.model_config(len(class_names))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        detector = RetinaNetDetector(
            conventions,
            backbone_weights=None if is_trained else _backbone_weights(config),
            class_names=tuple(class_names),
        )
    detector.freeze(stages=config.frozen_stages, norm=config.frozen_norm)
    return detector.train()


class FunctionLoss(nn.Module):
    """A loss that is a function."""

    def __init__(self, function: Callable[..., dict[str, Tensor]]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *given: Any) -> dict[str, Tensor]:
        """What the function makes of logits (B,N,K), deltas (B,N,4), targets and anchors (N,4)."""
        return self.function(*given)


def as_module(loss: Callable[..., dict[str, Tensor]]) -> nn.Module:
    """A loss that can be a part of a detector."""
    return loss if isinstance(loss, nn.Module) else FunctionLoss(loss)


def _backbone_weights(config: TrainConfig) -> WeightsEnum | BackboneWeights | None:
    backbone = config.model_config(1).backbone
    if config.backbone_weights is None:
        return None
    if config.backbone_weights == "imagenet":
        if backbone not in RESNETS:
            raise InputError(f"backbone_weights: 'imagenet' are torchvision's, which backbone {backbone!r} is not")
        return get_model_weights(backbone).DEFAULT
    try:
        return read_backbone(config.backbone_weights)
    except FileNotFoundError:
        what = f"backbone_weights: {str(config.backbone_weights)!r} must be 'imagenet', or a file that is there"
        raise InputError(f"{what}; leave it out for random values") from None
