"""Modules that one side calls once on the examples of several calls of the other."""

from collections.abc import Callable

import keras
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from parity_tests import compare_models, randomise
from parity_tests.rule.result import Result
from parity_tests.tests.support.small_models import pictures

L = keras.layers

PAIR = [pictures(2, 9, 7, 3), pictures(2, 9, 7, 3)[::-1].copy()]


class Twins(nn.Module):
    """Two pictures are embedded one after the other, or as one batch, and compared."""

    def __init__(self, as_one: bool, slope: float = 0.0, places: int = 1) -> None:
        super().__init__()
        self.conv, self.norm, self.top = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, eps=1e-3), nn.Linear(4, 5)
        self.as_one, self.slope, self.places = as_one, slope, places

    def embed(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.norm(self.conv(F.pad(x, (0, 2, 0, 2)))), self.slope)
        return F.normalize(self.top(x.mean((2, 3))), dim=self.places)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        one, other = self.embed(torch.cat([a, b])).chunk(2) if self.as_one else (self.embed(a), self.embed(b))
        return (one * other).sum(1, keepdim=True)


def in_keras() -> keras.Model:
    inputs = [keras.Input((9, 7, 3)), keras.Input((9, 7, 3))]
    layers = [
        L.ZeroPadding2D(((0, 2), (0, 2))),
        L.Conv2D(4, 3, name="conv"),
        L.BatchNormalization(name="norm"),
        L.ReLU(),
        L.GlobalAveragePooling2D(),
        L.Dense(5, name="top"),
        L.UnitNormalization(),
    ]
    made = inputs
    for layer in layers:
        made = [layer(x) for x in made]
    model = keras.Model(inputs, L.Dot(1)(made))
    randomise(model)
    return model


def torch_pair(as_one: bool) -> Twins:
    twins = Twins(as_one)
    randomise(twins)
    return twins


def compared(reference: Callable[[], object], port: nn.Module) -> Result:
    pair = PAIR if reference is in_keras else [x.transpose(0, 3, 1, 2) for x in PAIR]
    return compare_models(reference(), port, pair, dtypes=("float64",))


@pytest.mark.parametrize(
    ("reference", "as_one"), [(in_keras, True), (lambda: torch_pair(False), True), (lambda: torch_pair(True), False)]
)
def test_one_batch_may_stand_for_two_calls(reference: Callable[[], object], as_one: bool) -> None:
    result = compared(reference, Twins(as_one))
    assert result.verdict == "equal", result.summary
    side = "port" if as_one else "reference"
    assert f"top: the {side} calls it once on the examples of 2 calls" in result.warnings
    compared_taps = {record.name for record in result.records if record.rung == "forward"}
    assert "top.input" in compared_taps
    assert ("top#2.input" in compared_taps) == as_one


@pytest.mark.parametrize("as_one", [True, False])
def test_a_mistake_behind_one_is_named(as_one: bool) -> None:
    summary = compared(lambda: torch_pair(not as_one), Twins(as_one, slope=0.01)).summary
    assert summary.startswith("different: top.input is where it starts"), summary


def test_a_mistake_that_shows_in_one_batch_alone_is_named() -> None:
    summary = compared(in_keras, Twins(as_one=True, places=0)).summary
    assert summary.startswith("different: output is where it starts"), summary


def test_a_call_that_is_forgotten_is_different() -> None:
    class Forgetful(Twins):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return self.embed(a).square().sum(1, keepdim=True)

    assert compared(in_keras, Forgetful(as_one=False)).verdict == "different"
