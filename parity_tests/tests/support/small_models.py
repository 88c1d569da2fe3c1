"""Small models of a user's own, in both frameworks, and what may go wrong in them: what several tests share."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# isort: split
import keras
import numpy as np

from parity_tests import randomise
from parity_tests.rule.record import Array

TAPS = {name: name for name in ("conv", "norm", "act", "mix", "dense")}


def pictures(*shape: int) -> Array:
    """Noise of both signs, the same each time."""
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


IMAGES = pictures(2, 8, 6, 3)


class Same(nn.Conv2d):
    """Stride 2 and TensorFlow's "same" on even sides."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (0, 1, 0, 1)))


class Port(nn.Module):
    """The reference in torch, or with other parts than the right ones."""

    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        self.conv = parts.get("conv", Same(3, 4, 3, stride=2))
        self.norm = parts.get("norm", nn.BatchNorm2d(4, eps=1e-3))
        self.act = parts.get("act", nn.ReLU(inplace=True))
        self.between = parts.get("between", nn.Identity())
        self.mix = parts.get("mix", nn.Conv2d(4, 4, 1))
        self.dense = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(self.mix(self.between(self.act(self.norm(self.conv(x))))).mean((2, 3)))


def keras_model() -> Any:
    """The reference, for pictures of any size, with random weights."""
    x = images = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", name="conv")(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.ReLU(name="act")(x)
    x = keras.layers.Conv2D(4, 1, name="mix")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(images, keras.layers.Dense(5, name="dense")(x), name="own")
    randomise(model)
    return model


class SwappedSides(nn.Module):
    """Height and width swapped, where a map is square."""

    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(2, 3)


class Backwards(torch.autograd.Function):
    """A ReLU that lets half of each gradient through."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.relu()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0] * (ctx.saved_tensors[0] > 0) / 2


class HalfGradient(nn.Module):
    """That ReLU as a module."""

    def forward(self, x: Tensor) -> Any:
        return Backwards.apply(x)


class NotANumber(nn.Module):
    """A ReLU that loses one value."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.relu()
        x[1, 0, 0, 0] = torch.nan
        return x


class Block(keras.layers.Layer):
    """Layers in an attribute and in a sequential model, with names that Keras gives them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = keras.layers.Conv2D(3, 3, padding="same")
        self.inner = keras.Sequential([keras.layers.Dense(3, name="deep")])

    def call(self, x: Any) -> Any:
        return x + self.inner(self.conv(x))


class Nested(keras.Model):
    """Layers in layers in a list, as Keras users write them, without names."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = [Block(), Block()]

    def call(self, x: Any) -> Any:
        for block in self.blocks:
            x = block(x)
        return x


class Pixelwise(nn.Linear):
    """A dense layer over the channels of maps, channels first."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class TorchBlock(nn.Module):
    """The same in torch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.inner = nn.Conv2d(3, 3, 3, padding=1), nn.ModuleDict({"deep": Pixelwise(3, 3)})

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner["deep"](self.conv(x))


class TorchNested(nn.Module):
    """The same in torch."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([TorchBlock(), TorchBlock()])

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks[1](self.blocks[0](x))


def tap(taps: Any, name: str, value: Any) -> Any:
    """As the built-in pair does it."""
    if taps is None:
        return value
    taps[name] = value
    return taps[name]


class TappedKeras(keras.Model):
    """Two layers of Keras that write what they make."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = keras.layers.Dense(4), keras.layers.Dense(2)

    def call(self, x: Any, taps: Any = None) -> Any:
        x = tap(taps, "first", self.first(x))
        x = tap(taps, "act", keras.ops.relu(x))
        return tap(taps, "second", self.second(x))


class Renamed(nn.Module):
    """The port with names of its own."""

    def __init__(self, eps: float = 1e-3) -> None:
        super().__init__()
        port = Port(norm=nn.BatchNorm2d(4, eps=eps))
        self.stem = nn.Sequential(port.conv, port.norm, nn.ReLU())
        self.mix, self.top = port.mix, port.dense

    def forward(self, x: Tensor) -> Any:
        return self.top(self.mix(self.stem(x)).mean((2, 3)))


class KerasBetween(keras.Model):
    """Two layers with a slope between them that TensorFlow has in float32 alone."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act, self.second = keras.layers.Dense(4), keras.layers.LeakyReLU(0.3), keras.layers.Dense(2)

    def call(self, x: Any, taps: Any = None) -> Any:
        return tap(taps, "second", self.second(self.act(tap(taps, "first", self.first(x)))))


class Scale(keras.layers.Layer):
    """A scale for each channel."""

    def build(self, shape: Any) -> None:
        self.gamma = self.add_weight(shape=shape[-1:], name="gamma")

    def call(self, x: Any) -> Any:
        return x * self.gamma
