"""Layers and activations of Keras without weights that have a twin in torch, each with a module that is nearly one.

All that a model of either framework is built from in practice. Needs both frameworks; Keras on any backend.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import torch
from torch import Tensor, nn
from torch.nn import functional as F

L = keras.layers
K = keras.activations
Make = Callable[[], Any]

ROWS, STEPS, MAPS, VOLUMES = (4, 6), (2, 4, 6), (2, 8, 10, 6), (2, 6, 6, 6, 4)
"""Shapes of inputs as Keras has them."""


@dataclass(frozen=True)
class Twin:
    """A layer of Keras, a module that does the same, and one that does not.

    Attributes:
        layer, module, wrong: make each.
        shapes: of the inputs, as Keras has them.
        settings: what `compare_models` is told beside.
        words: how many places a table has that is fed places, or 0.
        takes_apart: whether the layer takes its inputs one by one and not as a list.
    """

    layer: Make
    module: Make
    wrong: Make
    shapes: Sequence[tuple[int, ...]] = (ROWS,)
    settings: Mapping[str, Any] = field(default_factory=dict)
    words: int = 0
    takes_apart: bool = False


class Of(nn.Module):
    """A function of tensors as a module."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)


def _of(function: Callable[..., Tensor]) -> Make:
    return lambda: Of(function)


def _named(name: str) -> Make:
    return lambda: L.Activation(name)


def activation(name: str, module: Make, wrong: Make) -> Twin:
    """The activation of this name beside two modules."""
    return Twin(_named(name), module, wrong)


ACTIVATIONS: Mapping[str, tuple[Make, Make]] = {
    "relu": (nn.ReLU, nn.ReLU6),
    "relu6": (lambda: nn.Hardtanh(0.0, 6.0), nn.ReLU),
    "leaky_relu": (lambda: nn.LeakyReLU(0.2), nn.LeakyReLU),
    "elu": (nn.ELU, lambda: nn.ELU(0.99)),
    "selu": (nn.SELU, nn.ELU),
    "celu": (nn.CELU, lambda: nn.CELU(0.99)),
    "gelu": (nn.GELU, lambda: nn.GELU("tanh")),
    "silu": (nn.SiLU, nn.Hardswish),
    "mish": (nn.Mish, nn.SiLU),
    "softplus": (nn.Softplus, lambda: nn.Softplus(1.01)),
    "softsign": (nn.Softsign, nn.Tanh),
    "softmax": (lambda: nn.Softmax(-1), lambda: nn.Softmax(0)),
    "log_softmax": (lambda: nn.LogSoftmax(-1), lambda: nn.LogSoftmax(0)),
    "sigmoid": (nn.Sigmoid, nn.Hardsigmoid),
    "log_sigmoid": (nn.LogSigmoid, nn.Sigmoid),
    "tanh": (nn.Tanh, nn.Softsign),
    "hard_sigmoid": (nn.Hardsigmoid, _of(lambda x: (0.2 * x + 0.5).clamp(0, 1))),
    "hard_silu": (nn.Hardswish, nn.SiLU),
    "hard_tanh": (nn.Hardtanh, nn.Tanh),
    "tanh_shrink": (nn.Tanhshrink, lambda: nn.Softshrink(0.4)),
    "soft_shrink": (nn.Softshrink, nn.Hardshrink),
    "hard_shrink": (nn.Hardshrink, nn.Softshrink),
    "glu": (nn.GLU, lambda: nn.GLU(0)),
    "exponential": (_of(torch.exp), _of(torch.expm1)),
    "squareplus": (_of(lambda x: (x + (x * x + 4).sqrt()) / 2), nn.Softplus),
    "sparse_sigmoid": (_of(lambda x: (0.5 * (x + 1)).clamp(0, 1)), nn.Hardsigmoid),
    "linear": (nn.Identity, _of(lambda x: x * (1 + 1e-9))),
}


class Lasting(nn.Module):
    """A module of torch for maps whose channels come last."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.core = module

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.core(x.movedim(-1, 1)).movedim(1, -1)
        return found


def _last(module: Make) -> Make:
    return lambda: Lasting(module())


PLAIN = {
    "LeakyReLU": Twin(L.LeakyReLU, lambda: nn.LeakyReLU(0.3), nn.LeakyReLU),
    "ReLU(6)": Twin(lambda: L.ReLU(6.0), nn.ReLU6, nn.ReLU),
    "ReLU(negative_slope)": Twin(lambda: L.ReLU(negative_slope=0.1), lambda: nn.LeakyReLU(0.1), nn.LeakyReLU),
    "ReLU(threshold)": Twin(lambda: L.ReLU(threshold=0.3), lambda: nn.Threshold(0.3, 0.0), nn.ReLU),
    "ELU(0.7)": Twin(lambda: L.ELU(0.7), lambda: nn.ELU(0.7), nn.ELU),
    "Softmax": Twin(L.Softmax, lambda: nn.Softmax(-1), lambda: nn.Softmax(0)),
    "Rescaling": Twin(lambda: L.Rescaling(1 / 255, 0.1), _of(lambda x: x / 255 + 0.1), _of(lambda x: x / 256 + 0.1)),
    "Normalization": Twin(
        lambda: L.Normalization(mean=0.3, variance=0.7),
        _of(lambda x: (x - 0.3) / 0.7**0.5),
        _of(lambda x: (x - 0.3) / 0.7),
    ),
    "UnitNormalization": Twin(L.UnitNormalization, _of(F.normalize), _of(lambda x: F.normalize(x, p=1))),
    "Identity": Twin(L.Identity, nn.Identity, _of(lambda x: x + 1e-9)),
    "Dropout": Twin(lambda: L.Dropout(0.5), lambda: nn.Dropout(0.5), _of(lambda x: x * 0.5)),
    "GaussianNoise": Twin(lambda: L.GaussianNoise(0.5), nn.Identity, _of(lambda x: x + 0.5)),
    "SpatialDropout2D": Twin(lambda: L.SpatialDropout2D(0.5), nn.Dropout2d, _of(lambda x: x * 2), (MAPS,)),
    "Flatten": Twin(L.Flatten, nn.Flatten, _of(lambda x: x.mT.flatten(1)), (STEPS,)),
    "Reshape": Twin(lambda: L.Reshape((3, 2)), lambda: nn.Unflatten(1, (3, 2)), lambda: nn.Unflatten(1, (2, 3))),
    "Permute": Twin(lambda: L.Permute((2, 1)), _of(lambda x: x.mT), _of(lambda x: x.reshape(2, 6, 4)), (STEPS,)),
    "RepeatVector": Twin(
        lambda: L.RepeatVector(3), _of(lambda x: x[:, None].repeat(1, 3, 1)), _of(lambda x: x[:, None].repeat(1, 2, 1))
    ),
    "Masking": Twin(L.Masking, nn.Identity, nn.ReLU, (STEPS,)),
    "Add": Twin(L.Add, _of(torch.add), _of(torch.sub), (ROWS, ROWS)),
    "Subtract": Twin(L.Subtract, _of(torch.sub), _of(lambda x, y: y - x), (ROWS, ROWS)),
    "Multiply": Twin(L.Multiply, _of(torch.mul), _of(torch.add), (ROWS, ROWS)),
    "Average": Twin(L.Average, _of(lambda x, y: (x + y) / 2), _of(torch.add), (ROWS, ROWS)),
    "Maximum": Twin(L.Maximum, _of(torch.maximum), _of(torch.minimum), (ROWS, ROWS)),
    "Minimum": Twin(L.Minimum, _of(torch.minimum), _of(torch.maximum), (ROWS, ROWS)),
    "Concatenate": Twin(
        L.Concatenate, _of(lambda x, y: torch.cat([x, y], -1)), _of(lambda x, y: torch.cat([y, x], -1)), (ROWS, ROWS)
    ),
    "Dot": Twin(
        lambda: L.Dot(axes=1),
        _of(lambda x, y: (x * y).sum(1, True)),
        _of(lambda x, y: (x * y).mean(1, True)),
        2 * (ROWS,),
    ),
    "Attention": Twin(
        L.Attention,
        _of(lambda q, v: (q @ v.mT).softmax(-1) @ v),
        _of(lambda q, v: F.scaled_dot_product_attention(q, v, v)),
        (STEPS, STEPS),
    ),
}

POOLS = {
    "MaxPooling1D": Twin(L.MaxPooling1D, _last(lambda: nn.MaxPool1d(2)), _last(lambda: nn.AvgPool1d(2)), (STEPS,)),
    "MaxPooling2D": Twin(L.MaxPooling2D, lambda: nn.MaxPool2d(2), lambda: nn.AvgPool2d(2), (MAPS,)),
    "AveragePooling1D": Twin(
        lambda: L.AveragePooling1D(2), _last(lambda: nn.AvgPool1d(2)), _last(lambda: nn.MaxPool1d(2)), (STEPS,)
    ),
    "AveragePooling2D": Twin(
        lambda: L.AveragePooling2D(3, 2, "same"),
        lambda: SameAverage(),
        lambda: nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.AvgPool2d(3, 2)),
        (MAPS,),
    ),
    "MaxPooling3D": Twin(lambda: L.MaxPooling3D(2), lambda: nn.MaxPool3d(2), lambda: nn.AvgPool3d(2), (VOLUMES,)),
    "AveragePooling3D": Twin(
        lambda: L.AveragePooling3D(2), lambda: nn.AvgPool3d(2), lambda: nn.MaxPool3d(2), (VOLUMES,)
    ),
    "GlobalAveragePooling1D": Twin(
        L.GlobalAveragePooling1D, _of(lambda x: x.mean(1)), _of(lambda x: x.amax(1)), (STEPS,)
    ),
    "GlobalAveragePooling2D": Twin(
        L.GlobalAveragePooling2D, _of(lambda x: x.mean((2, 3))), _of(lambda x: x.sum((2, 3))), (MAPS,)
    ),
    "GlobalMaxPooling1D": Twin(L.GlobalMaxPooling1D, _of(lambda x: x.amax(1)), _of(lambda x: x.mean(1)), (STEPS,)),
    "GlobalMaxPooling2D": Twin(
        L.GlobalMaxPooling2D, _of(lambda x: x.amax((2, 3))), _of(lambda x: x.mean((2, 3))), (MAPS,)
    ),
    "AdaptiveAveragePooling2D": Twin(
        lambda: L.AdaptiveAveragePooling2D((3, 4)),
        lambda: nn.AdaptiveAvgPool2d((3, 4)),
        lambda: nn.AdaptiveMaxPool2d((3, 4)),
        (MAPS,),
    ),
    "ZeroPadding1D": Twin(
        lambda: L.ZeroPadding1D((1, 2)),
        _of(lambda x: F.pad(x, (0, 0, 1, 2))),
        _of(lambda x: F.pad(x, (0, 0, 2, 1))),
        (STEPS,),
    ),
    "ZeroPadding2D": Twin(
        lambda: L.ZeroPadding2D(((0, 1), (2, 3))),
        lambda: nn.ZeroPad2d((2, 3, 0, 1)),
        lambda: nn.ZeroPad2d((3, 2, 0, 1)),
        (MAPS,),
    ),
    "Cropping2D": Twin(
        lambda: L.Cropping2D(((0, 1), (2, 3))),
        lambda: nn.ZeroPad2d((-2, -3, 0, -1)),
        lambda: nn.ZeroPad2d((-3, -2, 0, -1)),
        (MAPS,),
    ),
    "CenterCrop": Twin(
        lambda: L.CenterCrop(4, 6), _of(lambda x: x[..., 2:6, 2:8]), _of(lambda x: x[..., 2:6, 1:7]), (MAPS,)
    ),
    "UpSampling1D": Twin(
        lambda: L.UpSampling1D(2), _of(lambda x: x.repeat_interleave(2, 1)), _of(lambda x: x.repeat(1, 2, 1)), (STEPS,)
    ),
    "UpSampling2D": Twin(
        lambda: L.UpSampling2D(2),
        lambda: nn.Upsample(scale_factor=2),
        lambda: nn.Upsample(scale_factor=2, mode="bilinear"),
        (MAPS,),
    ),
    "UpSampling2D(bilinear)": Twin(
        lambda: L.UpSampling2D(2, interpolation="bilinear"),
        lambda: nn.Upsample(scale_factor=2, mode="bilinear"),
        lambda: nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
        (MAPS,),
    ),
    "Resizing of a picture": Twin(
        lambda: L.Resizing(80, 133),
        _of(lambda x: F.interpolate(x, (80, 133), mode="bilinear")),
        _of(lambda x: F.interpolate(x, (80, 133), mode="bilinear", align_corners=True)),
        ((1, 301, 407, 3),),
    ),
    "Resizing": Twin(
        lambda: L.Resizing(5, 7),
        _of(lambda x: F.interpolate(x, (5, 7), mode="bilinear")),
        _of(lambda x: F.interpolate(x, (5, 7), mode="bilinear", antialias=True)),
        (MAPS,),
    ),
}


class SameAverage(nn.Module):
    """An average of 3x3 pixels at every second one, of those that lie in the map; Keras' same padding."""

    def forward(self, x: Tensor) -> Tensor:
        ones = torch.ones_like(x[:1, :1])
        sums = [F.avg_pool2d(F.pad(t, (0, 1, 0, 1)), 3, 2, divisor_override=1) for t in (x, ones)]
        return sums[0] / sums[1]
