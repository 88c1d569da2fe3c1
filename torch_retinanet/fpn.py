"""The feature pyramid in the conventions of a config; mirrors `keras_reference/fpn.py`.

Lin et al., Feature Pyramid Networks (2017), section 3, with the levels P6 and P7 of RetinaNet (Lin et al. 2017, section
4, footnote 2).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from torch_retinanet.backbone import ResNetBackbone, get_backbone, init_bias, init_glorot
from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.errors import InputError
from torch_retinanet.layers import Conv2dSameStride2
from torch_retinanet.taps import Taps, tap

torch.fx.wrap("tap")  # one step of a traced network


class FeaturePyramidNetwork(nn.Module):
    """Images (B,3,H,W) to the levels P3 to P7, each (B,width,h,w), at strides 8, 16, 32, 64 and 128.

    Raises:
        InputError: for sides that do not divide by 32, where levels are upsampled times 2.
    """

    def __init__(self, config: RetinaNetConfig, *, backbone: ResNetBackbone | None = None) -> None:
        super().__init__()
        self.backbone = backbone if backbone is not None else get_backbone(config)
        (c3, c4, c5), width = self.backbone.widths, config.width
        self.conv_c3_1x1 = nn.Conv2d(c3, width, kernel_size=1)
        self.conv_c4_1x1 = nn.Conv2d(c4, width, kernel_size=1)
        self.conv_c5_1x1 = nn.Conv2d(c5, width, kernel_size=1)
        self.conv_c3_3x3 = nn.Conv2d(width, width, kernel_size=3, padding=1)
        self.conv_c4_3x3 = nn.Conv2d(width, width, kernel_size=3, padding=1)
        self.conv_c5_3x3 = nn.Conv2d(width, width, kernel_size=3, padding=1)
        self.conv_c6_3x3 = _stride2_conv(config, c5 if config.p6_source == "c5" else width)
        self.conv_c7_3x3 = _stride2_conv(config, width)
        self.upsample_2x = UPSAMPLERS[config.upsample]
        self.p6_from_c5 = config.p6_source == "c5"
        self.p7_relu_after = config.p7_relu == "after"
        self._init_convolutions(config)

    def forward(self, images: Tensor, taps: Taps | None = None) -> list[Tensor]:
        c3, c4, c5 = self.backbone(images, taps)
        lateral3 = tap(taps, "lateral3", self.conv_c3_1x1(c3))
        lateral4 = tap(taps, "lateral4", self.conv_c4_1x1(c4))
        lateral5 = tap(taps, "lateral5", self.conv_c5_1x1(c5))
        self._check_sides(images)
        merged4 = tap(taps, "merged4", lateral4 + self.upsample_2x(lateral5, lateral4))
        merged3 = tap(taps, "merged3", lateral3 + self.upsample_2x(merged4, lateral3))
        p3 = tap(taps, "p3", self.conv_c3_3x3(merged3))
        p4 = tap(taps, "p4", self.conv_c4_3x3(merged4))
        p5 = tap(taps, "p5", self.conv_c5_3x3(lateral5))
        p6 = tap(taps, "p6", self.conv_c6_3x3(c5 if self.p6_from_c5 else p5))
        p7 = tap(taps, "p7", self._p7(p6))
        return [p3, p4, p5, p6, p7]

    def _p7(self, p6: Tensor) -> Tensor:
        return F.relu(self.conv_c7_3x3(p6)) if self.p7_relu_after else self.conv_c7_3x3(F.relu(p6))

    def _check_sides(self, images: Tensor) -> None:
        height, width = images.shape[-2:]
        if self.upsample_2x is not nearest_to_size and (height % 32 != 0 or width % 32 != 0):
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


UPSAMPLERS = {"nearest_2x": nearest_2x, "nearest_to_size": nearest_to_size, "bilinear_2x": bilinear_2x}


def _stride2_conv(config: RetinaNetConfig, in_channels: int) -> nn.Conv2d:
    if config.stride2_padding == "same":
        return Conv2dSameStride2(in_channels, config.width, kernel_size=3)
    return nn.Conv2d(in_channels, config.width, kernel_size=3, stride=2, padding=1)
