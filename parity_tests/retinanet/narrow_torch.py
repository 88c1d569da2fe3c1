"""The port's narrow network: torchvision's residual networks have one width, and are cut."""

from dataclasses import replace

import torch
from torch import nn

from parity_tests.retinanet.narrow import fewer
from torch_retinanet import RetinaNet, RetinaNetConfig
from torch_retinanet.backbone import ResNetBackbone, get_backbone


def narrow_network(config: RetinaNetConfig) -> RetinaNet:
    """The network of a config with a sixteenth of its channels; all values of its backbone are zeros."""
    with torch.device("meta"):
        backbone = get_backbone(config)
    assert isinstance(backbone, ResNetBackbone)
    _cut(backbone)
    backbone.widths = tuple(map(fewer, backbone.widths))
    return RetinaNet(replace(config, width=fewer(config.width)), backbone=backbone)


def _cut(backbone: ResNetBackbone) -> None:
    for module in backbone.modules():
        for name, parameter in [*module.named_parameters(recurse=False)]:
            setattr(module, name, nn.Parameter(_zeros(parameter)))
        for name, buffer in [*module.named_buffers(recurse=False)]:
            setattr(module, name, _zeros(buffer))


def _zeros(tensor: torch.Tensor) -> torch.Tensor:
    """Zeros in place of a tensor whose first two axes, as far as it has them, are channels."""
    channels, sides = tensor.shape[:2], tensor.shape[2:]
    return torch.zeros((*map(fewer, channels), *sides), dtype=tensor.dtype)
