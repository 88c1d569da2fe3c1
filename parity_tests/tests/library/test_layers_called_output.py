"""Layers that are called as the comparison calls what a model takes and gives: `input` and `output`."""

from typing import Any

import keras
import pytest
from torch import Tensor, nn
from torch.nn import functional as F

from parity_tests import compare_models, randomise
from parity_tests.tests.support.small_models import pictures

L = keras.layers

ROWS = pictures(4, 6)


def in_keras() -> keras.Model:
    layers = [L.Dense(5, activation="relu", name="input"), L.Dense(3, name="output")]
    model = keras.Sequential([keras.Input((6,)), *layers])
    randomise(model)
    return model


class PortOfOutputs(nn.Module):
    def __init__(self, last: str = "output", slope: float = 0.0) -> None:
        super().__init__()
        self.input, self.last, self.slope = nn.Linear(6, 5), last, slope
        setattr(self, last, nn.Linear(5, 3))

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = getattr(self, self.last)(F.leaky_relu(self.input(x), self.slope))
        return made


@pytest.mark.parametrize(
    ("reference", "port", "names"),
    [
        (in_keras, PortOfOutputs, None),
        (in_keras, lambda: PortOfOutputs("fc"), None),
        (in_keras, lambda: PortOfOutputs("fc"), {"fc": "output"}),
        (lambda: PortOfOutputs("fc"), PortOfOutputs, {"output": "fc"}),
    ],
)
def test_a_layer_may_be_called_output(reference: Any, port: Any, names: dict[str, str] | None) -> None:
    result = compare_models(reference(), port(), ROWS, names=names)
    assert result.summary.startswith("equal: 5 taps agree"), result.summary


@pytest.mark.parametrize("last", ["output", "fc"])
def test_its_tap_has_a_name_of_its_own(last: str) -> None:
    result = compare_models(in_keras(), PortOfOutputs(last, slope=0.01), ROWS)
    assert result.summary.startswith("different: output_layer.input is where it starts"), result.summary
