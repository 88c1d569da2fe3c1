"""Which modules compute what their kind says, so that others may compute it for them in less time."""

from typing import cast

from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.ops import Conv2dNormActivation

from torch_retinanet.backbone import ResNetBackbone, Stage
from torch_retinanet.heads import Head, NormByLevel
from torch_retinanet.layers import Conv2dSameStride2, PadSameStride2, PointwiseConv2d, PopulationBatchNorm2d

NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm, PopulationBatchNorm2d)
"""Norms that become part of a convolution."""

KINDS: set[type[nn.Module]] = {
    *(nn.Conv2d, PointwiseConv2d, Conv2dSameStride2, PadSameStride2),
    *(nn.MaxPool2d, nn.ReLU, nn.Sequential, nn.ModuleList, *NORMS),
    *(BasicBlock, Bottleneck, Stage, ResNetBackbone, Conv2dNormActivation, NormByLevel, Head),
}
"""What is known; a kind derived from one of these is none of them, as it may compute something else."""


def is_plain(*modules: nn.Module, also: type[nn.Module] | None = None) -> bool:
    """Whether all parts of modules are of known kinds, or of one more, and hold nothing of the user's own."""
    parts = [part for module in modules for part in module.modules()]
    known = all((type(part) in KINDS and _is_common(part)) or type(part) is also for part in parts)
    return known and all(map(is_untouched, parts))


def is_untouched(part: nn.Module) -> bool:
    """Whether a module has no hooks, which may change what comes out, and no `forward` of its own."""
    return not part._forward_hooks and not part._forward_pre_hooks and "forward" not in vars(part)


def _is_common(part: nn.Module) -> bool:
    """Whether a norm has counted means, and a convolution no dilation and a border of zeros."""
    if isinstance(part, nn.Conv2d):
        return part.dilation == (1, 1) and part.padding_mode == "zeros" and not isinstance(part.padding, str)
    return not isinstance(part, NORMS) or cast("object", part.running_mean) is not None
