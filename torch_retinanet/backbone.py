"""torchvision's residual networks in the conventions of a config; mirrors `keras_reference/backbone.py`.

He et al., Deep Residual Learning for Image Recognition (2015), section 4.1.
"""

import pickle
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision.models import WeightsEnum, get_model, get_model_weights
from torchvision.models.resnet import ResNet

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.config.backbones import RESNETS
from torch_retinanet.errors import InputError
from torch_retinanet.layers import Conv2dSameStride2, PadSameStride2, PointwiseConv2d, PopulationBatchNorm2d
from torch_retinanet.other_backbones import C5, build_other
from torch_retinanet.taps import Taps, tap

BACKBONE_FIELDS = (
    *("backbone", "in_channels", "stride_in", "conv_bias", "shortcut_bias", "bn_eps"),
    *("stem_padding", "block_padding"),
)
"""The fields of a config that trained backbone weights hold for."""


@dataclass(frozen=True)
class BackboneWeights:
    """Trained weights of a backbone alone: where they come from, the config they hold for, the state dict."""

    source: str
    config: RetinaNetConfig
    tensors: Mapping[str, Tensor]


torch.fx.wrap("tap")  # one step of a traced network


class Stage(nn.Sequential):
    """The residual blocks of one resolution; with `taps`, each is written down as `name_block1`, `name_block2`."""

    def forward(self, input: Tensor, name: str = "", taps: Taps | None = None) -> Tensor:
        x = input
        for i, block in enumerate(self, start=1):
            x = tap(taps, f"{name}_block{i}", block(x))
        return x


class ResNetBackbone(nn.Module):
    """Images (B,C,H,W) to C3 (B,c3,H/8,W/8), C4 (B,c4,H/16,W/16) and C5 (B,c5,H/32,W/32).

    Where `min_level` is 2, C2 (B,c2,H/4,W/4) comes before them.

    Attributes:
        widths: c3, c4 and c5, for ResNet-50 512, 1024 and 2048; before them c2, 256, where it is given.
    """

    def __init__(self, resnet: ResNet, min_level: int = 3) -> None:
        super().__init__()
        self.min_level = min_level
        self.conv1, self.bn1, self.relu, self.maxpool = resnet.conv1, resnet.bn1, resnet.relu, resnet.maxpool
        self.layer1, self.layer2 = Stage(*resnet.layer1), Stage(*resnet.layer2)
        self.layer3, self.layer4 = Stage(*resnet.layer3), Stage(*resnet.layer4)
        self.widths = tuple(resnet.fc.in_features // 2 ** (C5 - level) for level in range(min_level, C5 + 1))

    def forward(self, images: Tensor, taps: Taps | None = None) -> list[Tensor]:
        stem = tap(taps, "stem", self.maxpool(self.relu(self.bn1(self.conv1(images)))))
        c2 = self.layer1(stem, "conv2", taps)
        c3 = self.layer2(c2, "conv3", taps)
        c4 = self.layer3(c3, "conv4", taps)
        c5 = self.layer4(c4, "conv5", taps)
        levels = [(2, c2), (3, c3), (4, c4), (5, c5)]
        return [tap(taps, f"c{i}", level) for i, level in levels if i >= self.min_level]


def get_backbone(config: RetinaNetConfig, weights: WeightsEnum | BackboneWeights | None = None) -> ResNetBackbone | Any:
    """The backbone of `config`: a residual network without its classifier, in its conventions, or what else it names.

    Args:
        config: the conventions.
        weights: torchvision's or converted weights, for a config in whose conventions they were trained; by default
            fresh values as `config.body_init` says.

    Raises:
        InputError: where the weights need other conventions, are of no known kind, or their file is damaged.
        ConnectionError: where torchvision's weights cannot be downloaded.
    """
    if config.backbone not in RESNETS:
        if weights is not None:
            raise InputError(f"backbone_weights: they are those of a ResNet, and backbone {config.backbone!r} is none")
        return build_other(config)
    return _get_resnet(config, weights)


def _get_resnet(config: RetinaNetConfig, weights: WeightsEnum | BackboneWeights | None) -> ResNetBackbone:
    resnet = get_model(config.backbone, norm_layer=norm_layer(config))
    _place_strides(resnet, config)
    _pad_blocks(resnet, config)
    _make_stem(resnet, config)
    _add_biases(resnet, config)
    if config.body_init == "glorot_uniform":
        init_glorot(resnet)
    _make_pointwise(resnet)
    backbone = ResNetBackbone(resnet, config.min_level)
    if weights is not None:
        backbone.load_state_dict(_trained_tensors(weights, config))
    return backbone


class Frozen(NamedTuple):
    """What of a backbone is kept as it is: the first of its 5 parts, and all its BatchNorm."""

    stages: int = 0
    norm: bool = False


def run_backbone(backbone: nn.Module, images: Tensor, taps: Taps | None) -> list[Tensor]:
    """The maps of a backbone, finest first; with `taps`, those of a ResNet with each of its blocks by name."""
    if isinstance(backbone, ResNetBackbone):
        found: list[Tensor] = backbone(images, taps)
        return found
    maps = backbone(images)
    first = C5 + 1 - len(maps)
    is_traced = torch.compiler.is_compiling() or not isinstance(images.shape[-1], int)
    if len(maps) == len(getattr(backbone, "widths", ())) and not is_traced:
        _check_maps(maps, first, images)
    return [tap(taps, f"c{i}", level) for i, level in enumerate(maps, start=first)]


def _check_maps(maps: Sequence[Tensor], first: int, images: Tensor) -> None:
    sides = images.shape[-2], images.shape[-1]
    for level, values in enumerate(maps, start=first):
        found, needed = tuple(values.shape[-2:]), tuple(-(-side // 2**level) for side in sides)
        if found != needed:
            raise InputError(f"backbone: its C{level} has sides {found}, and of images of {sides} must have {needed}")


def parts_to_freeze(backbone: nn.Module, frozen: Frozen) -> list[nn.Module]:
    """The first stages of a backbone's 5 parts, the stem and four stages; with `norm`, all its BatchNorm too.

    Raises:
        InputError: for more stages than there are, and stages of what is no ResNet.
    """
    parts: list[list[nn.Module]] = []
    if isinstance(backbone, ResNetBackbone):
        parts = [[backbone.conv1, backbone.bn1], [backbone.layer1], [backbone.layer2], [backbone.layer3]]
        parts.append([backbone.layer4])
    if not 0 <= frozen.stages <= len(parts):
        whose = "" if parts else f" of {type(backbone).__name__}, which has no stages that are known"
        raise InputError(f"frozen_stages: {frozen.stages!r} must be from 0 to {len(parts)}{whose}")
    norms = [module for module in backbone.modules() if isinstance(module, _BatchNorm)] if frozen.norm else []
    return [*(module for part in parts[: frozen.stages] for module in part), *norms]


def init_glorot(module: nn.Module) -> None:
    """Fresh values as `keras.layers.Conv2D` draws: Glorot uniform kernels (Glorot and Bengio 2010), zero biases."""
    for conv in (m for m in module.modules() if isinstance(m, nn.Conv2d)):
        nn.init.xavier_uniform_(conv.weight)
        init_bias(conv)


def init_bias(conv: nn.Conv2d, value: float = 0.0) -> None:
    """Set all biases of a convolution that has some to `value`."""
    if conv.bias is not None:
        nn.init.constant_(conv.bias, value)


def norm_layer(config: RetinaNetConfig) -> Callable[[int], nn.Module]:
    """What makes a BatchNorm of so many channels."""
    norm = PopulationBatchNorm2d if config.bn_running_var == "population" else nn.BatchNorm2d
    return partial(norm, eps=config.bn_eps, momentum=config.bn_momentum)


def _pad_blocks(resnet: ResNet, config: RetinaNetConfig) -> None:
    if config.block_padding == "symmetric":
        return
    for stage in (resnet.layer2, resnet.layer3, resnet.layer4):
        for name, conv in stage[0].named_children():
            if isinstance(conv, nn.Conv2d) and conv.kernel_size == (3, 3) and conv.stride == (2, 2):
                padded = Conv2dSameStride2(
                    conv.in_channels, conv.out_channels, kernel_size=3, bias=False, groups=conv.groups
                )
                nn.init.kaiming_normal_(padded.weight, mode="fan_out", nonlinearity="relu")
                setattr(stage[0], name, padded)


def _place_strides(resnet: ResNet, config: RetinaNetConfig) -> None:
    if config.stride_in == "1x1":
        for stage in (resnet.layer2, resnet.layer3, resnet.layer4):
            stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)


def _add_biases(resnet: ResNet, config: RetinaNetConfig) -> None:
    for name, conv in resnet.named_modules():
        if isinstance(conv, nn.Conv2d) and (config.conv_bias or (config.shortcut_bias and "downsample" in name)):
            conv.bias = nn.Parameter(torch.zeros(conv.out_channels))


def _make_pointwise(resnet: ResNet) -> None:
    for module in list(resnet.modules()):
        for name, conv in module.named_children():
            if isinstance(conv, nn.Conv2d) and (conv.kernel_size, conv.stride, conv.groups) == ((1, 1), (1, 1), 1):
                setattr(module, name, PointwiseConv2d.of(conv))


def _make_stem(resnet: ResNet, config: RetinaNetConfig) -> None:
    first = resnet.conv1
    if config.stem_padding == "same":
        resnet.conv1 = Conv2dSameStride2(config.in_channels, first.out_channels, kernel_size=7, bias=False)
        resnet.maxpool = nn.Sequential(PadSameStride2(kernel=3), nn.MaxPool2d(kernel_size=3, stride=2))
    elif config.in_channels != first.in_channels:
        resnet.conv1 = nn.Conv2d(config.in_channels, first.out_channels, 7, stride=2, padding=3, bias=False)
    if resnet.conv1 is not first:
        nn.init.kaiming_normal_(resnet.conv1.weight, mode="fan_out", nonlinearity="relu")


def _trained_tensors(weights: WeightsEnum | BackboneWeights, config: RetinaNetConfig) -> Mapping[str, Tensor]:
    if isinstance(weights, BackboneWeights):
        _check_conventions(weights.source, weights.config, config)
        return weights.tensors
    if isinstance(weights, get_model_weights(config.backbone)):
        _check_conventions(str(weights), replace(RetinaNetConfig.torchvision(), backbone=config.backbone), config)
        tensors = download_tensors(weights, argument="backbone_weights", progress=sys.stderr.isatty())
        return {name: tensor for name, tensor in tensors.items() if not name.startswith("fc.")}
    needed = get_model_weights(config.backbone).__name__
    raise InputError(f"backbone_weights: {weights!r} must be a {needed} or what read_backbone gave")


def _check_conventions(source: str, trained: RetinaNetConfig, config: RetinaNetConfig) -> None:
    clashes = [c for c in BACKBONE_FIELDS if getattr(trained, c) != getattr(config, c)]
    if clashes:
        needs = ", ".join(f"{c}={getattr(trained, c)!r}" for c in clashes)
        raise InputError(f"backbone_weights: {source} needs {needs}, and preset {config.name} has it otherwise")


def download_tensors(weights: WeightsEnum, *, argument: str, progress: bool) -> Mapping[str, Tensor]:
    """Published weights of torchvision, through its own download and cache; a refusal begins with `argument`.

    Raises:
        ConnectionError: where they cannot be downloaded, saying where the file can be put.
        InputError: where the file in the cache is damaged.
    """
    try:
        tensors: Mapping[str, Tensor] = weights.get_state_dict(progress=progress, check_hash=True, weights_only=True)
    except (OSError, HTTPException) as error:  # a connection that is refused, or that breaks off on the way
        file = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
        said = f"{argument}: {weights} cannot be downloaded: {getattr(error, 'reason', error)}"
        raise ConnectionError(f"{said}; put {weights.url} into {file}") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise InputError(f"{argument}: the file of {weights} is damaged ({_first_line(error)})") from None
    return tensors


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
