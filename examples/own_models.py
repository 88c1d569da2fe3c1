"""A small network of one's own in Keras and in torch, with the classic mistake, and mended.

    python examples/own_models.py

ends with

    different: conv is where it starts (isolated 6.3e+00, budget 7.0e-14 at 4x16x12x3)
    mended, equal
"""

import sys

import torch  # before TensorFlow, which `keras` brings in
from torch import Tensor, nn
from torch.nn import functional as F

# isort: split
import keras
import numpy as np
from rich.console import Console

from parity_tests import KerasModel, TorchModule, compare_models, randomise
from parity_tests.report import print_report
from parity_tests.rule.result import Result

SHAPE = (4, 16, 12, 3)
"""A batch of 4 pictures, higher than wide, channels last."""


def keras_network() -> keras.Model:
    """Convolution with stride 2, BatchNorm, ReLU, mean over the picture, dense."""
    images = keras.Input(SHAPE[1:])
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", name="conv")(images)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.ReLU(name="relu")(x)
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(images, keras.layers.Dense(5, name="dense")(x), name="network")


class SameConv2d(nn.Conv2d):
    """A 3x3 convolution with stride 2 that pads even sides as TensorFlow does: one pixel after, none before."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(F.pad(images, (0, 1, 0, 1)))


class Network(nn.Module):
    """The same network in torch, around the convolution that is given to it."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv
        self.norm = nn.BatchNorm2d(8, eps=1e-3)
        self.relu = nn.ReLU()
        self.dense = nn.Linear(8, 5)

    def forward(self, images: Tensor) -> Tensor:
        x = self.relu(self.norm(self.conv(images)))
        return self.dense(x.mean(dim=(2, 3)))


def compare(conv: nn.Conv2d) -> Result:
    """The Keras network with random weights against the one in torch; names are the same on both sides."""
    taps = {name: name for name in ("conv", "norm", "relu", "dense")}
    reference = keras_network()
    randomise(reference)
    images = np.random.default_rng(0).normal(size=SHAPE)
    return compare_models(KerasModel(reference, taps), TorchModule(Network(conv), taps), images)


def main() -> int:
    """Print both comparisons; 0 where the mistake is found and the mended network is equal."""
    wrong = compare(nn.Conv2d(3, 8, 3, stride=2, padding=1))  # what one writes for "same"
    mended = compare(SameConv2d(3, 8, 3, stride=2))
    print_report(wrong, Console(width=120))
    print(wrong.summary.partition(";")[0])
    print(f"mended, {mended.verdict}")
    return int((wrong.verdict, mended.verdict) != ("different", "equal"))


if __name__ == "__main__":
    torch.manual_seed(0)
    sys.exit(main())
