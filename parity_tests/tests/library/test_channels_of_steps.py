"""Steps, arrays of three axes, whose channels are last in layers of one kind and second in layers of another."""

from typing import Any

import keras
import pytest
from torch import Tensor, nn

from parity_tests import compare_models, randomise
from parity_tests.tests.support.small_models import pictures

L = keras.layers

STEPS = pictures(2, 7, 6)


def in_keras(*layers: Any) -> keras.Model:
    model = keras.Sequential([keras.Input(STEPS.shape[1:]), *layers])
    randomise(model)
    return model


class StepsOfChannels(nn.Module):
    """Layers on arrays with their channels second, or last."""

    def __init__(self, *layers: nn.Module, last: bool = False) -> None:
        super().__init__()
        self.layers, self.last = nn.Sequential(*layers), last

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.layers(x) if self.last else self.layers(x.mT).mT
        return made


def dense(channels: int = 5) -> keras.Model:
    return in_keras(L.Dense(channels, activation="gelu", name="first"), L.Dense(channels, name="second"))


def convolutions(channels: int = 5, approximate: str = "none") -> StepsOfChannels:
    return StepsOfChannels(nn.Conv1d(6, channels, 1), nn.GELU(approximate), nn.Conv1d(channels, channels, 1))


def linear() -> StepsOfChannels:
    return StepsOfChannels(nn.Linear(6, 5), nn.GELU(), nn.Linear(5, 5), last=True)


@pytest.mark.parametrize(
    ("reference", "port"),
    [
        (dense, convolutions),
        (lambda: dense(7), lambda: convolutions(7)),  # as many channels as steps
        (linear, convolutions),
        (convolutions, linear),
        (lambda: in_keras(L.Conv1D(5, 1, activation="gelu"), L.Conv1D(5, 1)), linear),
        (
            lambda: in_keras(L.TimeDistributed(L.Dense(5)), L.Dense(5)),
            lambda: StepsOfChannels(*[*convolutions().layers][::2]),
        ),
    ],
)
def test_dense_layers_may_be_convolutions_of_steps(reference: Any, port: Any) -> None:
    result = compare_models(reference(), port(), STEPS, dtypes=("float64",))
    assert result.summary.startswith("equal: 5 taps agree"), result.summary


@pytest.mark.parametrize("reference", [dense, linear])
def test_a_mistake_between_them_is_named(reference: Any) -> None:
    summary = compare_models(reference(), convolutions(approximate="tanh"), STEPS, dtypes=("float64",)).summary
    where = "second.input" if reference is dense else "layers.2.input"
    assert summary.startswith(f"different: {where} is where it starts"), summary


@pytest.mark.parametrize(
    ("reference", "port"),
    [
        (L.BatchNormalization, nn.BatchNorm1d(5, eps=1e-3)),
        (lambda: L.GroupNormalization(1), nn.GroupNorm(1, 5, eps=1e-3)),
        (lambda: L.PReLU(shared_axes=[1]), nn.PReLU(5)),
    ],
)
def test_what_follows_a_convolution_has_them_where_it_has(reference: Any, port: nn.Module) -> None:
    before, after = L.Conv1D(5, 3, padding="same"), L.Conv1D(3, 1)
    twin = StepsOfChannels(nn.Conv1d(6, 5, 3, padding=1), port, nn.Conv1d(5, 3, 1))
    result = compare_models(in_keras(before, reference(), after), twin, STEPS, dtypes=("float64",))
    assert result.summary.startswith("equal: 7 taps agree"), result.summary
