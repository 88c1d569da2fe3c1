"""A ResNet of this package by packed convolutions, those of 3x3 pixels by Winograd's way where that is faster."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from torch_retinanet.backbone import ResNetBackbone
from torch_retinanet.inference.folding import folded
from torch_retinanet.inference.packed import PackedConv
from torch_retinanet.inference.plain import is_plain
from torch_retinanet.inference.way import InferenceWay


class PackedBlock:
    """A residual block; with BatchNorm in its convolutions."""

    def __init__(self, block: BasicBlock | Bottleneck, way: InferenceWay) -> None:
        pairs = [(block.conv1, block.bn1), (block.conv2, block.bn2)]
        pairs += [(block.conv3, block.bn3)] if isinstance(block, Bottleneck) else []
        *first, last = [folded(conv, norm) for conv, norm in pairs]
        self.first = [way.conv_relu(conv) for conv in first]
        self.last = PackedConv(last, way.dtype, way.device)
        self.shortcut = None
        if block.downsample is not None:
            self.shortcut = PackedConv(folded(*block.downsample), way.dtype, way.device)

    def __call__(self, x: Tensor, *, keep: bool) -> Tensor:
        """The block's output, which takes the place of `x` unless that is to be kept."""
        total = x if self.shortcut is None else self.shortcut(x)
        if total is x and keep:
            total = x.clone()
        for conv in self.first:
            x = conv(x)
        return self.last.added_to(x, total, relu=True)


class PackedResNet:
    """Images (B,C,H,W) in channels last to the maps of a `ResNetBackbone`, finest first."""

    def __init__(self, backbone: ResNetBackbone, way: InferenceWay) -> None:
        self.min_level, self.maxpool = backbone.min_level, backbone.maxpool
        self.stem = PackedConv(folded(backbone.conv1, backbone.bn1), way.dtype, way.device)
        layers: list[Any] = [backbone.layer1, backbone.layer2, backbone.layer3, backbone.layer4]
        self.stages = [[PackedBlock(block, way) for block in layer] for layer in layers]

    def __call__(self, images: Tensor) -> list[Tensor]:
        x, found = self.maxpool(self.stem(images, relu=True)), []
        for stage in self.stages:
            for i, block in enumerate(stage):
                x = block(x, keep=i == 0)
            found.append(x)
        return found[self.min_level - 2 :]


def packed_backbone(backbone: nn.Module, way: InferenceWay) -> Callable[[Tensor], list[Tensor]]:
    """A backbone for inference; what is no `ResNetBackbone`, or has parts of the user's own, is copied as it is."""
    if isinstance(backbone, ResNetBackbone) and is_plain(backbone):
        return PackedResNet(backbone, way)
    copied: Callable[[Tensor], list[Tensor]] = way.copied(backbone)
    return copied
