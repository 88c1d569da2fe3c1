"""Modules within a port that have their channels elsewhere than its maps, or other axes of length one."""

from typing import Any

import keras
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from parity_tests import compare_models, randomise
from parity_tests.rule.result import Result
from parity_tests.tests.support.small_models import Scale, pictures

L = keras.layers

IMAGES = pictures(2, 8, 6, 3)


def block_in_keras() -> keras.Model:
    x = inputs = keras.Input(IMAGES.shape[1:])
    for layer in (L.Conv2D(4, 3, padding="same", name="conv"), L.LayerNormalization(epsilon=1e-6, name="norm")):
        x = layer(x)
    made = Scale(name="scale")(L.Dense(4, name="second")(L.Dense(8, activation="gelu", name="first")(x)))
    model = keras.Model(inputs, L.Conv2D(5, 1, name="last")(made))
    randomise(model)
    return model


class ScaledBlock(nn.Module):
    """Channels last within, and a factor that is no module."""

    def __init__(self, approximate: str) -> None:
        super().__init__()
        self.norm, self.first, self.second = nn.LayerNorm(4, eps=1e-6), nn.Linear(4, 8), nn.Linear(8, 4)
        self.gamma, self.approximate = nn.Parameter(torch.ones(4)), approximate

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.first(self.norm(x.permute(0, 2, 3, 1))), approximate=self.approximate)
        made: Tensor = (self.gamma * self.second(x)).permute(0, 3, 1, 2)
        return made


class BlockPort(nn.Module):
    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.conv, self.block, self.last = nn.Conv2d(3, 4, 3, padding=1), ScaledBlock(approximate), nn.Conv2d(4, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.last(self.block(self.conv(x)))
        return made


def of_block(approximate: str) -> Result:
    return compare_models(block_in_keras(), BlockPort(approximate), IMAGES, dtypes=("float64",))


def test_a_block_may_have_its_channels_last_and_a_factor_of_its_own() -> None:
    result = of_block("none")
    assert result.verdict == "equal", result.summary
    taps = {record.name for record in result.records if record.rung == "forward"}
    assert {"norm", "first", "second", "last.input"} <= taps
    assert "scale" not in taps  # in the port the block has its parameter, and makes more than it


def test_a_mistake_within_it_is_named() -> None:
    assert of_block("tanh").summary.startswith("different: second.input is where it starts")


class OwnScale(nn.Module):
    """A factor of a module's own, of channels that lie last."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class ScaledBetween(nn.Module):
    """It stands between convolutions, and the picture may be shifted before it."""

    def __init__(self, shift: float) -> None:
        super().__init__()
        self.conv, self.scale, self.last, self.shift = nn.Conv2d(3, 4, 3), OwnScale(), nn.Conv2d(4, 5, 1), shift

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).permute(0, 2, 3, 1) + self.shift
        made: Tensor = self.last(self.scale(x).permute(0, 3, 1, 2))
        return made


@pytest.mark.parametrize(("shift", "summary"), [(0.0, "equal"), (0.1, "different: scale.input is where it starts")])
def test_a_module_of_ones_own_may_have_them_last_as_shapes_tell(shift: float, summary: str) -> None:
    layers = [L.Conv2D(4, 3, name="conv"), Scale(name="scale"), L.Conv2D(5, 1, name="last")]
    reference = keras.Sequential([keras.Input(IMAGES.shape[1:]), *layers])
    randomise(reference)
    result = compare_models(reference, ScaledBetween(shift), IMAGES, dtypes=("float64",))
    assert result.summary.startswith(summary)
    assert "scale: (2, 6, 4, 4) lies on both sides alike, and is taken for no map" in result.warnings


class Pointwise(nn.Module):
    """A dense layer of channels: a convolution of one pixel, or one that has its channels last."""

    def __init__(self, *, linear: bool, bias: float = 0.0) -> None:
        super().__init__()
        self.conv, self.mix = nn.Conv2d(3, 4, 3), nn.Linear(4, 4) if linear else nn.Conv2d(4, 4, 1)
        self.linear, self.bias, self.last = linear, bias, nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x) + self.bias
        made: Tensor = self.last(self.mix(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) if self.linear else self.mix(x))
        return made


@pytest.mark.parametrize(("bias", "summary"), [(0.0, "equal"), (0.1, "different: mix.input is where it starts")])
def test_two_torch_modules_may_have_them_in_different_places(bias: float, summary: str) -> None:
    reference, port = Pointwise(linear=False), Pointwise(linear=True, bias=bias)
    assert compare_models(reference, port, pictures(2, 3, 8, 6), dtypes=("float64",)).summary.startswith(summary)


def gate_in_keras() -> keras.Model:
    x = inputs = keras.Input(IMAGES.shape[1:])
    x = L.Conv2D(4, 3, name="conv")(x)
    s = L.Dense(2, activation="relu", name="squeeze")(L.GlobalAveragePooling2D()(x))
    x = L.Multiply()([x, L.Reshape((1, 1, 4))(L.Dense(4, activation="sigmoid", name="excite")(s))])
    model = keras.Model(inputs, L.Conv2D(3, 1, name="last")(x))
    randomise(model)
    return model


class Gate(nn.Module):
    """Squeeze and excite by convolutions of one pixel."""

    def __init__(self, gate: Any) -> None:
        super().__init__()
        self.conv, self.last = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 3, 1)
        self.squeeze, self.excite, self.gate = nn.Conv2d(4, 2, 1), nn.Conv2d(2, 4, 1), gate

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        made: Tensor = self.last(x * self.gate(self.excite(self.squeeze(x.mean((2, 3), keepdim=True)).relu())))
        return made


@pytest.mark.parametrize(
    ("gate", "summary"), [(torch.sigmoid, "equal"), (F.hardsigmoid, "different: last.input is where it starts")]
)
def test_dense_layers_may_be_convolutions_of_one_pixel(gate: Any, summary: str) -> None:
    result = compare_models(gate_in_keras(), Gate(gate), IMAGES, dtypes=("float64",))
    assert result.summary.startswith(summary)
    assert {"squeeze.input", "squeeze", "excite"} <= {r.name for r in result.records if r.where.mode == "isolated"}


def test_the_output_of_the_model_has_no_axes_more() -> None:
    result = compare_models(nn.Linear(4, 2), nn.Sequential(nn.Linear(4, 2), nn.Unflatten(1, (2, 1))), pictures(3, 4))
    assert "shape (3, 2, 1), and the reference has (3, 2)" in result.summary
