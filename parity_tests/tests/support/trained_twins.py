"""Layers of Keras with weights that have a twin in torch, each with a module that is nearly one; and all twins."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
from torch import Tensor, nn

from parity_tests.tests.support.keras_twins import (
    ACTIVATIONS,
    MAPS,
    PLAIN,
    POOLS,
    STEPS,
    VOLUMES,
    Make,
    Of,
    Twin,
    activation,
)

L = keras.layers

FIRST = {"layouts": {"input": (0, 2, 1), "layer": (0, 2, 1), "output": (0, 2, 1)}}
"""Steps with channels first in the port."""


class Separable(nn.Module):
    """A convolution of each channel by itself, and one of pixels."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(6, 6, 3, padding=dilation, dilation=dilation, groups=6, bias=False)
        self.pointwise = nn.Conv2d(6, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.pointwise(self.depthwise(x))
        return found


class Recurrent(nn.Module):
    """A recurrent module of torch that gives its outputs alone; `backwards` reads the steps from the last one on."""

    def __init__(self, core: nn.RNNBase, *, backwards: bool) -> None:
        super().__init__()
        self.core, self.backwards = core, backwards

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.core(x.flip(1) if self.backwards else x)[0]
        return found


def recurrent(kind: Callable[..., nn.RNNBase], *, backwards: bool = False, **settings: Any) -> Make:
    """A recurrent module for steps of six numbers."""
    return lambda: Recurrent(kind(6, 4, batch_first=True, **settings), backwards=backwards)


class Attention(nn.Module):
    """Attention that takes queries and values, as Keras' does, and gives its result alone."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.core = nn.MultiheadAttention(6, heads, batch_first=True)

    def forward(self, query: Tensor, value: Tensor) -> Tensor:
        found: Tensor = self.core(query, value, value, need_weights=False)[0]
        return found


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
        lambda: L.LSTM(4, return_sequences=True), recurrent(nn.LSTM), recurrent(nn.LSTM, backwards=True), (STEPS,)
    ),
    "GRU": Twin(
        lambda: L.GRU(4, return_sequences=True), recurrent(nn.GRU), recurrent(nn.GRU, backwards=True), (STEPS,)
    ),
    "SimpleRNN": Twin(
        lambda: L.SimpleRNN(4, return_sequences=True),
        recurrent(nn.RNN),
        recurrent(nn.RNN, nonlinearity="relu"),
        (STEPS,),
    ),
    "Bidirectional": Twin(
        lambda: L.Bidirectional(L.GRU(4, return_sequences=True)),
        recurrent(nn.GRU, bidirectional=True),
        recurrent(nn.GRU, bidirectional=True, backwards=True),
        (STEPS,),
    ),
    "RNN of two cells": Twin(
        lambda: L.RNN([L.LSTMCell(4), L.LSTMCell(4)], return_sequences=True),
        recurrent(nn.LSTM, num_layers=2),
        recurrent(nn.LSTM, num_layers=2, backwards=True),
        (STEPS,),
    ),
    "MultiHeadAttention": Twin(
        lambda: L.MultiHeadAttention(2, 3),
        lambda: Attention(2),
        lambda: Attention(3),
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
    **{name: activation(name, *pair) for name, pair in ACTIVATIONS.items()},
    **PLAIN,
    **POOLS,
    **TRAINED,
}
