"""Every layer and activation of Keras that has a twin in torch, each with a module that is nearly one.

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

ROWS, STEPS, MAPS, VOLUMES = (4, 6), (2, 8, 6), (2, 8, 10, 6), (2, 6, 6, 6, 4)
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


def _activation(name: str, module: Make, wrong: Make) -> Twin:
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


class Separable(nn.Module):
    """A convolution of each channel by itself, and one of pixels."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(6, 6, 3, padding=dilation, dilation=dilation, groups=6, bias=False)
        self.pointwise = nn.Conv2d(6, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.pointwise(self.depthwise(x))
        return found


def recurrent(base: Any, *, turned: bool = False, **settings: Any) -> Make:
    """A recurrent module of torch that gives its outputs alone; `turned` reads the steps from the last one on."""

    class Outputs(base):  # type: ignore[misc]
        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = super().forward(x.flip(1) if turned else x)[0]
            return found

    return lambda: Outputs(6, 4, batch_first=True, **settings)


class SelfAttention(nn.MultiheadAttention):
    """Attention that takes queries and values, as Keras' does, and gives its result alone."""

    def forward(self, query: Tensor, value: Tensor) -> Tensor:  # type: ignore[override]
        found: Tensor = super().forward(query, value, value, need_weights=False)[0]
        return found


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


FIRST = {"layouts": {"input": (0, 2, 1), "layer": (0, 2, 1), "output": (0, 2, 1)}}
"""Steps with channels first in the port."""


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
    "Permute": Twin(lambda: L.Permute((2, 1)), _of(lambda x: x.mT), _of(lambda x: x.reshape(2, 6, 8)), (STEPS,)),
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


class RectifiedLinear(nn.Linear):
    """A dense layer with a ReLU that its twin has not."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu()


class RectifiedEmbedding(nn.Embedding):
    """A table with a ReLU that its twin has not."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu()


class SquashedPReLU(nn.PReLU):
    """A PReLU with a tangent that its twin has not."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).tanh()


class SameAverage(nn.Module):
    """An average of 3x3 pixels at every second one, of those that lie in the map; Keras' same padding."""

    def forward(self, x: Tensor) -> Tensor:
        ones = torch.ones_like(x[:1, :1])
        sums = [F.avg_pool2d(F.pad(t, (0, 1, 0, 1)), 3, 2, divisor_override=1) for t in (x, ones)]
        return sums[0] / sums[1]


TRAINED = {
    "Dense": Twin(lambda: L.Dense(5), lambda: nn.Linear(6, 5), lambda: RectifiedLinear(6, 5)),
    "Conv1D": Twin(
        lambda: L.Conv1D(5, 3, padding="same"),
        lambda: nn.Conv1d(6, 5, 3, padding=1),
        lambda: nn.Conv1d(6, 5, 3, padding=2, dilation=2),
        (STEPS,),
        FIRST,
    ),
    "Conv2D": Twin(
        lambda: L.Conv2D(5, 3, padding="same"),
        lambda: nn.Conv2d(6, 5, 3, padding=1),
        lambda: nn.Conv2d(6, 5, 3, padding=1, padding_mode="replicate"),
        (MAPS,),
    ),
    "Conv2D(groups)": Twin(
        lambda: L.Conv2D(4, 3, groups=2),
        lambda: nn.Conv2d(6, 4, 3, groups=2),
        lambda: nn.Conv2d(6, 4, 3, groups=2, dilation=2),
        (MAPS,),
    ),
    "Conv3D": Twin(
        lambda: L.Conv3D(3, 2), lambda: nn.Conv3d(4, 3, 2), lambda: nn.Conv3d(4, 3, 2, padding=1), (VOLUMES,)
    ),
    "BatchNormalization": Twin(
        L.BatchNormalization, lambda: nn.BatchNorm2d(6, eps=1e-3), lambda: nn.BatchNorm2d(6), (MAPS,)
    ),
    "LayerNormalization": Twin(
        L.LayerNormalization, lambda: nn.LayerNorm(6, eps=1e-3), lambda: nn.LayerNorm(6), (STEPS,)
    ),
    "GroupNormalization": Twin(
        lambda: L.GroupNormalization(3),
        lambda: nn.GroupNorm(3, 6, eps=1e-3),
        lambda: nn.GroupNorm(2, 6, eps=1e-3),
        (MAPS,),
    ),
    "RMSNormalization": Twin(
        L.RMSNormalization,
        lambda: nn.RMSNorm(6, eps=1e-6),
        lambda: nn.RMSNorm(6, eps=1e-3),
        (STEPS,),
    ),
    "PReLU": Twin(L.PReLU, lambda: nn.PReLU(6), lambda: SquashedPReLU(6)),
    "PReLU of maps": Twin(lambda: L.PReLU(shared_axes=[1, 2]), lambda: nn.PReLU(6), lambda: SquashedPReLU(6), (MAPS,)),
    "TimeDistributed": Twin(
        lambda: L.TimeDistributed(L.Dense(5)),
        lambda: nn.Linear(6, 5),
        lambda: RectifiedLinear(6, 5),
        (STEPS,),
    ),
    "DepthwiseConv1D": Twin(
        lambda: L.DepthwiseConv1D(3),
        lambda: nn.Conv1d(6, 6, 3, groups=6),
        lambda: nn.Conv1d(6, 6, 3, groups=6, padding=1),
        (STEPS,),
        FIRST,
    ),
    "DepthwiseConv2D": Twin(
        lambda: L.DepthwiseConv2D((3, 2), depth_multiplier=2),
        lambda: nn.Conv2d(6, 12, (3, 2), groups=6),
        lambda: nn.Conv2d(6, 12, (3, 2), groups=6, dilation=2),
        (MAPS,),
    ),
    "SeparableConv2D": Twin(
        lambda: L.SeparableConv2D(5, 3, padding="same"), lambda: Separable(1), lambda: Separable(2), (MAPS,)
    ),
    "SeparableConv2D in a sequence": Twin(
        lambda: L.SeparableConv2D(5, 3, padding="same"),
        lambda: nn.Sequential(*Separable(1).children()),
        lambda: nn.Sequential(*Separable(2).children()),
        (MAPS,),
    ),
    "Conv1DTranspose": Twin(
        lambda: L.Conv1DTranspose(5, 2, 2),
        lambda: nn.ConvTranspose1d(6, 5, 2, 2),
        lambda: nn.ConvTranspose1d(6, 5, 2, 2, dilation=2, padding=1, output_padding=1),
        (STEPS,),
        FIRST,
    ),
    "Conv2DTranspose": Twin(
        lambda: L.Conv2DTranspose(5, 4, 2, padding="same"),
        lambda: nn.ConvTranspose2d(6, 5, 4, 2, 1),
        lambda: nn.ConvTranspose2d(6, 5, 4, 2, 0),
        (MAPS,),
    ),
    "Embedding": Twin(
        lambda: L.Embedding(7, 4), lambda: nn.Embedding(7, 4), lambda: RectifiedEmbedding(7, 4), ((3, 5),), words=7
    ),
    "LSTM": Twin(
        lambda: L.LSTM(4, return_sequences=True), recurrent(nn.LSTM), recurrent(nn.LSTM, turned=True), (STEPS,)
    ),
    "GRU": Twin(lambda: L.GRU(4, return_sequences=True), recurrent(nn.GRU), recurrent(nn.GRU, turned=True), (STEPS,)),
    "SimpleRNN": Twin(
        lambda: L.SimpleRNN(4, return_sequences=True),
        recurrent(nn.RNN),
        recurrent(nn.RNN, nonlinearity="relu"),
        (STEPS,),
    ),
    "Bidirectional": Twin(
        lambda: L.Bidirectional(L.GRU(4, return_sequences=True)),
        recurrent(nn.GRU, bidirectional=True),
        recurrent(nn.GRU, bidirectional=True, turned=True),
        (STEPS,),
    ),
    "RNN of two cells": Twin(
        lambda: L.RNN([L.LSTMCell(4), L.LSTMCell(4)], return_sequences=True),
        recurrent(nn.LSTM, num_layers=2),
        recurrent(nn.LSTM, num_layers=2, turned=True),
        (STEPS,),
    ),
    "MultiHeadAttention": Twin(
        lambda: L.MultiHeadAttention(2, 3),
        lambda: SelfAttention(6, 2, batch_first=True),
        lambda: SelfAttention(6, 3, batch_first=True),
        (STEPS, STEPS),
        takes_apart=True,
    ),
    "EinsumDense": Twin(
        lambda: L.EinsumDense("abc,cde->abde", (None, 2, 4), bias_axes="de"),
        lambda: nn.Sequential(nn.Linear(6, 8), nn.Unflatten(-1, (2, 4))),
        lambda: nn.Sequential(nn.Linear(6, 8), nn.Unflatten(-1, (4, 2)), Of(lambda x: x.mT)),
        (STEPS,),
        {"names": {"layer.0": "layer"}, "layouts": dict.fromkeys(("layer", "output"), (0, 1, 2, 3))},
    ),
}

TWINS: Mapping[str, Twin] = {
    **{name: _activation(name, *pair) for name, pair in ACTIVATIONS.items()},
    **PLAIN,
    **POOLS,
    **TRAINED,
}
