"""Convolutions with the BatchNorm behind them as one convolution, computed in float64."""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from torch_retinanet.layers import Conv2dSameStride2, PadSameStride2


class Folded(NamedTuple):
    """A convolution for inference.

    Attributes:
        weight: (K,C,h,w) in float64.
        bias: (K,) in float64.
        stride, padding, groups: as those of `nn.Conv2d`.
        pad: what pads its input before, or `None`.
    """

    weight: Tensor
    bias: Tensor
    stride: tuple[int, int]
    padding: tuple[int, int]
    groups: int
    pad: PadSameStride2 | None


def folded(conv: nn.Module, norm: nn.BatchNorm2d | None = None) -> Folded:
    """A convolution, and the BatchNorm in evaluation mode that its output goes through."""
    assert isinstance(conv, nn.Conv2d)
    weight = conv.weight.detach().double()
    bias = weight.new_zeros(len(weight)) if conv.bias is None else conv.bias.detach().double()
    if norm is not None:
        scale, offset = scale_and_offset(norm)
        weight, bias = weight * scale[:, None, None, None], bias * scale + offset
    stride, padding = cast("tuple[int, int]", conv.stride), cast("tuple[int, int]", conv.padding)
    return Folded(weight, bias, stride, padding, conv.groups, conv.pad if isinstance(conv, Conv2dSameStride2) else None)


def scale_and_offset(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """What a BatchNorm in evaluation mode multiplies each channel by, and then adds (K,), in float64."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = torch.rsqrt(norm.running_var.double() + norm.eps)
    if norm.affine:
        scale = scale * norm.weight.detach().double()
    offset = -norm.running_mean.double() * scale
    return scale, offset + norm.bias.detach().double() if norm.affine else offset
