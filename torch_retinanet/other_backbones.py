"""Backbones that are no residual network of torchvision: those of timm, and those that users register."""

from collections.abc import Callable
from typing import Any, cast

from torch import Tensor, nn

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.config.backbones import TIMM, registered
from torch_retinanet.errors import InputError, install_hint

C5 = 5
"""The number of the coarsest map that a backbone gives."""


class TimmBackbone(nn.Module):
    """A network of timm from images (B,C,H,W) to C3, C4 and C5, where `min_level` is 2 to C2 before them.

    Attributes:
        widths: their channels.
    """

    def __init__(self, name: str, config: RetinaNetConfig) -> None:
        super().__init__()
        create_model = _create_model()
        try:
            whole = create_model(name, pretrained=False, features_only=True, in_chans=config.in_channels)
        except (RuntimeError, AttributeError, TypeError, AssertionError) as error:
            raise InputError(f"backbone: timm has no network {name!r} that gives maps ({error})") from None
        if whole.pretrained_cfg.get("fixed_input_size"):
            sides = whole.pretrained_cfg["input_size"][1:]
            raise InputError(
                f"backbone: {name!r} of timm takes pictures of {sides} alone, and a detector's have any size"
            )
        strides = whole.feature_info.reduction()
        places = [_place(name, strides, 2**level) for level in range(config.min_level, C5 + 1)]
        self.network = create_model(
            name, pretrained=False, features_only=True, in_chans=config.in_channels, out_indices=tuple(places)
        )
        self.widths = tuple(self.network.feature_info.channels())
        self.channels_last = getattr(self.network, "output_fmt", None) == "NHWC"

    def forward(self, images: Tensor) -> list[Tensor]:
        maps: list[Tensor] = self.network(images)
        return [values.permute(0, 3, 1, 2) for values in maps] if self.channels_last else maps


def build_other(config: RetinaNetConfig) -> nn.Module:
    """The backbone that a config names, which is none of torchvision's.

    Raises:
        InputError: for a network that timm does not have, or that lacks a map.
        ModuleNotFoundError: where timm is not installed.
    """
    if config.backbone.startswith(TIMM):
        return TimmBackbone(config.backbone.removeprefix(TIMM), config)
    build = registered(config.backbone)
    assert build is not None, "the config checked it"
    backbone = build(config)
    if not isinstance(backbone, nn.Module) or len(getattr(backbone, "widths", ())) != C5 + 1 - config.min_level:
        raise InputError(
            f"backbone: {config.backbone!r} makes {type(backbone).__name__}, which must be a module "
            f"whose widths are the channels of C{config.min_level} to C5"
        )
    return backbone


def _create_model() -> Callable[..., Any]:
    try:
        from timm import create_model
    except ModuleNotFoundError:
        raise ModuleNotFoundError(f"backbone: timm/ needs timm; {install_hint('timm')} brings it") from None
    return cast("Callable[..., Any]", create_model)


def _place(name: str, strides: list[int], stride: int) -> int:
    if stride not in strides:
        raise InputError(f"backbone: {name!r} of timm has maps at strides {strides}, and {stride} is needed")
    return strides.index(stride)
