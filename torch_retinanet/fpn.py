"""The feature pyramid in the conventions of a config; mirrors `keras_reference/fpn.py`.

Lin et al., Feature Pyramid Networks (2017), section 3, with the levels P6 and P7 of RetinaNet (Lin et al. 2017, section
4, footnote 2).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from torch_retinanet.backbone import ResNetBackbone, get_backbone, init_bias, init_glorot, norm_layer, run_backbone
from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.errors import InputError
from torch_retinanet.layers import Conv2dSameStride2, PointwiseConv2d
from torch_retinanet.other_backbones import C5
from torch_retinanet.taps import Taps, tap

torch.fx.wrap("tap")  # one step of a traced network
torch.fx.wrap("_stretched")


class FeaturePyramidNetwork(nn.Module):
    """Images (B,C,H,W) to the levels P3 to P7, each (B,width,h,w), at strides 8, 16, 32, 64 and 128.

    The config can begin with P2, at a stride of 4, and end with P5 or P6.

    Raises:
        InputError: for sides that do not divide by 32, where levels are upsampled times 2.
    """

    conv_c3_1x1: nn.Conv2d
    conv_c4_1x1: nn.Conv2d
    conv_c5_1x1: nn.Conv2d
    conv_c3_3x3: nn.Conv2d
    conv_c4_3x3: nn.Conv2d
    conv_c5_3x3: nn.Conv2d  # where `top_down` is "merged"

    def __init__(self, config: RetinaNetConfig, *, backbone: nn.Module | None = None) -> None:
        super().__init__()
        self.backbone: ResNetBackbone | Any = backbone if backbone is not None else get_backbone(config)
        self.min_level, self.max_level, width = config.min_level, config.max_level, config.width
        merged, widths = range(self.min_level, C5 + 1), self._widths()
        for i, channels in zip(merged, widths, strict=True):
            self.add_module(f"conv_c{i}_1x1", PointwiseConv2d(channels, width, kernel_size=1))
        for i in merged[:-1] if config.top_down == "output" else merged:
            self.add_module(f"conv_c{i}_3x3", nn.Conv2d(width, width, kernel_size=3, padding=1))
        self.p6_from_c5 = config.p6_layer == "conv" and config.p6_source == "c5"
        self.p6_is_pooled = config.p6_layer == "pool"
        if self.p6_is_pooled:
            self.every_second = nn.MaxPool2d(kernel_size=1, stride=2)
        elif self.max_level >= 6:
            self.conv_c6_3x3 = _stride2_conv(config, widths[-1] if self.p6_from_c5 else width)
        if self.max_level == 7:
            self.conv_c7_3x3 = _stride2_conv(config, width)
        self.norms: nn.ModuleList | None = None
        if config.pyramid_norm == "batch":
            self.norms = nn.ModuleList(norm_layer(config)(width) for _ in config.levels)
        self.upsample_2x = UPSAMPLERS[config.upsample]
        self.p7_relu, self.top_down = config.p7_relu, config.top_down
        self._init_convolutions(config)

    def forward(self, images: Tensor, taps: Taps | None = None) -> list[Tensor]:
        features = dict(enumerate(run_backbone(self.backbone, images, taps), start=self.min_level))
        if (count := C5 + 1 - self.min_level) != len(features):
            raise InputError(f"backbone: it gives {len(features)} maps, and its widths are {count}")
        lateral = {i: tap(taps, f"lateral{i}", self._conv(i, "1x1")(c)) for i, c in features.items()}
        self._check_sides(images)
        levels = (self._merged_first if self.top_down == "merged" else self._output_first)(lateral, taps)
        if self.max_level >= 6:
            levels.append(tap(taps, f"{self._level}6", self.p6_layer(features[C5] if self.p6_from_c5 else levels[-1])))
        if self.max_level == 7:
            levels.append(tap(taps, f"{self._level}7", self._p7(levels[-1])))
        return levels if self.norms is None else self._normed(levels, taps)

    @property
    def _level(self) -> str:
        """What the taps of levels are called before a BatchNorm, where there is one; after it they are p3, p4, ..."""
        return "p" if self.norms is None else "before_norm"

    def _normed(self, levels: Sequence[Tensor], taps: Taps | None) -> list[Tensor]:
        assert self.norms is not None
        numbered = zip(levels, self.norms, strict=True)
        return [tap(taps, f"p{i}", norm(x)) for i, (x, norm) in enumerate(numbered, start=self.min_level)]

    def _merged_first(self, lateral: Mapping[int, Tensor], taps: Taps | None) -> list[Tensor]:
        """All maps are merged, and each then goes through its 3x3 convolution."""
        merged = {C5: lateral[C5]}
        for i in range(C5 - 1, self.min_level - 1, -1):
            merged[i] = tap(taps, f"merged{i}", lateral[i] + self.upsample_2x(merged[i + 1], lateral[i]))
        return [tap(taps, f"{self._level}{i}", self._conv(i, "3x3")(merged[i])) for i in lateral]

    def _output_first(self, lateral: Mapping[int, Tensor], taps: Taps | None) -> list[Tensor]:
        """P5 is its lateral map; each level below takes what came out of the one above."""
        levels = {C5: tap(taps, f"{self._level}{C5}", lateral[C5])}
        for i in range(C5 - 1, self.min_level - 1, -1):
            merged = tap(taps, f"merged{i}", lateral[i] + self.upsample_2x(levels[i + 1], lateral[i]))
            levels[i] = tap(taps, f"{self._level}{i}", self._conv(i, "3x3")(merged))
        return [levels[i] for i in lateral]

    def _widths(self) -> Sequence[int]:
        widths: Sequence[int] = getattr(self.backbone, "widths", ())
        if len(widths) != C5 + 1 - self.min_level:
            needed = f"the channels of C{self.min_level} to C{C5}"
            raise InputError(f"backbone: its widths {widths!r} must be {needed}, as min_level={self.min_level} says")
        return widths

    def _conv(self, level: int, kind: str) -> nn.Module:
        return self.get_submodule(f"conv_c{level}_{kind}")

    @property
    def p6_layer(self) -> nn.Module:
        """What makes P6 of C5 or P5."""
        return self.every_second if self.p6_is_pooled else self.conv_c6_3x3

    def _p7(self, p6: Tensor) -> Tensor:
        p7: Tensor = self.conv_c7_3x3(F.relu(p6) if self.p7_relu == "before" else p6)
        return F.relu(p7) if self.p7_relu == "after" else p7

    def _check_sides(self, images: Tensor) -> None:
        height, width = images.shape[-2:]
        if self.upsample_2x not in TO_SIZE and (height % 32 != 0 or width % 32 != 0):
            raise InputError(f"images: sides {height}x{width} do not divide by 32, which upsampling times 2 needs")

    def _init_convolutions(self, config: RetinaNetConfig) -> None:
        for conv in (m for m in self.children() if isinstance(m, nn.Conv2d)):
            if config.body_init == "glorot_uniform":
                init_glorot(conv)
            else:
                nn.init.kaiming_uniform_(conv.weight, a=1)
                init_bias(conv)


def nearest_2x(level: Tensor, below: Tensor) -> Tensor:
    """Each pixel of `level` twice in both directions."""
    return F.interpolate(level, scale_factor=2, mode="nearest")


def nearest_to_size(level: Tensor, below: Tensor) -> Tensor:
    """`level` at the size of the level `below`, each pixel the nearest by rounding down."""
    return F.interpolate(level, size=below.shape[-2:], mode="nearest")


def bilinear_2x(level: Tensor, below: Tensor) -> Tensor:
    """`level` enlarged twice, bilinear between pixel centres."""
    return F.interpolate(level, scale_factor=2, mode="bilinear", align_corners=False)


def bilinear_to_size(level: Tensor, below: Tensor) -> Tensor:
    """`level` at the size of the level `below`, bilinear, where both are laid on their top left corners.

    As `tf.compat.v1.image.resize_images` does it: the last pixel stands for what lies beyond.
    """
    height, width = below.shape[-2:]
    return _stretched(_stretched(level, height, -2), width, -1)


def _stretched(level: Tensor, side: int, axis: int) -> Tensor:
    """One axis of a level at another length; places are whole numbers and remainders, without rounding."""
    old = level.shape[axis]
    places = torch.arange(side, device=level.device) * old
    first = places // side
    share = (places % side).to(level.dtype) / side
    low, high = level.index_select(axis, first), level.index_select(axis, (first + 1).clamp(max=old - 1))
    return low + (high - low) * (share[:, None] if axis == -2 else share)


UPSAMPLERS = {
    **{"nearest_2x": nearest_2x, "nearest_to_size": nearest_to_size},
    **{"bilinear_2x": bilinear_2x, "bilinear_to_size": bilinear_to_size},
}

TO_SIZE = (nearest_to_size, bilinear_to_size)
"""Those of them that take any size."""


def _stride2_conv(config: RetinaNetConfig, in_channels: int) -> nn.Conv2d:
    if config.stride2_padding == "same":
        return Conv2dSameStride2(in_channels, config.width, kernel_size=3)
    return nn.Conv2d(in_channels, config.width, kernel_size=3, stride=2, padding=1)
