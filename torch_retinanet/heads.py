"""The class and box heads; mirrors `keras_reference/heads.py`.

Lin et al., Focal Loss for Dense Object Detection (2017), section 4: four 3x3 convolutions of 256 filters with ReLU (by
default), one 3x3 convolution without; the same weights at all levels.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from torch_retinanet.backbone import init_bias, init_glorot, norm_layer
from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.taps import Taps, tap

PRIOR_PROBABILITY = 0.01
"""The score that a fresh class head gives each anchor (Lin et al. 2017, section 4.1)."""


torch.fx.wrap("tap")  # one step of a traced network


class Head(nn.Sequential):
    """Layers from a level (B,width,h,w) to (B,filters,h,w); with `taps`, each is written down as `name.0`, `name.1`.

    `place` is that of the level among those that there are, from 0 on, for layers that have parameters of each.
    """

    def forward(self, input: Tensor, name: str = "", taps: Taps | None = None, *, place: int = 0) -> Tensor:
        x = input
        for i, layer in enumerate(self):
            x = tap(taps, f"{name}.{i}", layer(x, place) if isinstance(layer, NormByLevel) else layer(x))
        return x


class NormByLevel(nn.Module):
    """A convolution that all levels share, a BatchNorm of each level's own, and ReLU."""

    def __init__(self, config: RetinaNetConfig) -> None:
        super().__init__()
        self.add_module("0", nn.Conv2d(config.width, config.width, kernel_size=3, padding=1))
        self.norms = nn.ModuleList(norm_layer(config)(config.width) for _ in config.levels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, input: Tensor, place: int) -> Tensor:
        output: Tensor = self.of_level(place)(input)
        return output

    def of_level(self, place: int) -> nn.Sequential:
        """The layers that a level goes through."""
        return nn.Sequential(self.get_submodule("0"), self.norms[place], self.relu)


def build_head(output_filters: int, config: RetinaNetConfig) -> Head:
    """A head from a level (B,width,h,w) to (B,output_filters,h,w)."""
    width, norm, bias = config.width, None, True
    if config.head_norm == "group":
        norm, bias = partial(nn.GroupNorm, config.gn_groups, eps=config.gn_eps), config.gn_conv_bias
    layer: Callable[[], nn.Module] = partial(
        Conv2dNormActivation, width, width, kernel_size=3, norm_layer=norm, bias=bias
    )
    if config.head_norm == "batch":
        layer = partial(NormByLevel, config)
    towers = [layer() for _ in range(config.head_depth)]
    return Head(*towers, nn.Conv2d(width, output_filters, kernel_size=3, padding=1))


def init_head(head: Head, config: RetinaNetConfig, *, prior: float | None = None) -> None:
    """Fresh values for a head as `config.head_init` says; `prior` is the score its last bias shall give."""
    if config.head_init == "glorot_uniform":
        init_glorot(head)
        return
    convolutions = [module for module in head.modules() if isinstance(module, nn.Conv2d)]
    for conv in convolutions:
        if config.head_init == "he_prior":
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        elif config.head_init == "orthogonal_prior":
            init_orthogonal(conv.weight)
        else:
            nn.init.normal_(conv.weight, std=0.01)
        init_bias(conv)
    if config.head_init == "he_prior" or (config.head_init == "zeros_prior" and prior is not None):
        nn.init.zeros_(convolutions[-1].weight)
    if prior is not None:
        init_bias(convolutions[-1], -math.log((1 - prior) / prior))


@torch.no_grad()
def init_orthogonal(weight: Tensor) -> None:
    """A fresh kernel (O,I,h,w) whose columns by output channel are orthonormal, or its rows where those are fewer.

    Source: keras/src/initializers/random_initializers.py Orthogonal, whose matrix is (h*w*I, O).
    """
    matrix = torch.empty(weight[0].numel(), weight.shape[0])
    height, width = weight.shape[2:]
    nn.init.orthogonal_(matrix)
    weight.copy_(matrix.reshape(height, width, weight.shape[1], weight.shape[0]).permute(3, 2, 0, 1))


def row_column_anchor(output: Tensor, values: int) -> Tensor:
    """A head's output (B,A*values,h,w) as (B,h*w*A,values): the A anchors of a cell together, cells by row, column."""
    batch, channels, height, width = output.shape
    return output.permute(0, 2, 3, 1).reshape(batch, height * width * channels // values, values)


def anchor_row_column(output: Tensor, values: int) -> Tensor:
    """A head's output (B,A*values,h,w) as (B,A*h*w,values): the whole map of the first anchor, then of the second."""
    batch, channels, height, width = output.shape
    maps = output.reshape(batch, channels // values, values, height, width)
    return maps.permute(0, 1, 3, 4, 2).reshape(batch, height * width * channels // values, values)


FLATTENERS = {"row_column_anchor": row_column_anchor, "anchor_row_column": anchor_row_column}
