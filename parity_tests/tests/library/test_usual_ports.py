"""Right ports as people write them: activations and padding outside of layers, files with folded layers."""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import keras
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from parity_tests import KerasModel, OnnxModel, TorchModule, compare_models, randomise
from parity_tests.rule.result import Result
from parity_tests.tests.support.small_models import pictures

L = keras.layers

ROWS, IMAGES = pictures(4, 6), pictures(2, 16, 12, 3)


def chain(shape: tuple[int, ...], *layers: Any) -> Any:
    model = keras.Sequential([keras.Input(shape), *layers])
    randomise(model)
    return model


def dense(activation: Any = "gelu") -> Any:
    return chain((6,), L.Dense(8, activation=activation, name="first"), L.Dense(3, activation="softmax", name="last"))


class Dense(nn.Module):
    """Activations are functions between the layers."""

    def __init__(self, approximate: str = "none", temperature: float = 1.0) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 3)
        self.approximate, self.temperature = approximate, temperature

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.first(x), approximate=self.approximate)
        made: Tensor = (self.last(x) * self.temperature).softmax(-1)
        return made


def test_activations_of_layers_may_come_after_them() -> None:
    assert compare_models(dense(), Dense(), ROWS).summary.startswith("equal")
    assert compare_models(Dense(), dense(), ROWS).summary.startswith("equal")


@pytest.mark.parametrize(
    ("port", "where"), [(Dense(approximate="tanh"), "last.input"), (Dense(temperature=1.001), "output")]
)
def test_a_mistake_in_one_is_named_behind_its_layer(port: nn.Module, where: str) -> None:
    assert compare_models(dense(), port, ROWS).summary.startswith(f"different: {where} is where it starts")


def test_a_port_that_has_them_within_its_layers_is_equal_too() -> None:
    class Activated(nn.Module):
        def __init__(self, act: nn.Module) -> None:
            super().__init__()
            self.layer, self.act = nn.Linear(6, 3), act

        def forward(self, x: Tensor) -> Tensor:
            made: Tensor = self.act(self.layer(x))
            return made

    model = chain((6,), L.Dense(3, activation="tanh", name="first"))
    names = {"first.layer": "first", "first": "first"}
    for act, verdict in ((nn.Tanh(), "equal"), (nn.Hardtanh(), "different")):
        port = nn.Sequential()
        port.add_module("first", Activated(act))
        result = compare_models(
            KerasModel(model, {"first": "first"}), TorchModule(port, {"first": "first"}), ROWS, names=names
        )
        assert result.verdict == verdict, result.summary


class Padded(nn.Module):
    """A convolution whose picture is padded before it is called."""

    def __init__(self, *padding: int) -> None:
        super().__init__()
        self.stem, self.next, self.padding = nn.Conv2d(3, 4, 3, stride=2), nn.Conv2d(4, 5, 1), padding

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.next(F.relu(self.stem(F.pad(x, self.padding))))
        return made


class Shift(nn.Module):
    """Adds a number."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def forward(self, x: Tensor) -> Tensor:
        return x + self.by


def padded(*padding: int) -> Result:
    layers = L.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="stem"), L.Conv2D(5, 1, name="next")
    return compare_models(chain((16, 12, 3), *layers), Padded(*padding), IMAGES)


def test_a_port_may_pad_before_a_layer_that_pads_by_itself() -> None:
    result = padded(0, 1, 0, 1)
    assert result.summary.startswith("equal")
    said = "stem.input: the port makes it (2, 17, 13, 3), and the reference has it (2, 16, 12, 3)"
    assert f"{said}; the port's stem is run on what arrives" in result.warnings


def test_padding_on_other_sides_is_named_at_the_layer() -> None:
    assert padded(1, 1, 1, 1).summary.startswith("different: stem is where it starts")


@pytest.mark.parametrize(("padding", "inside"), [("valid", 1), ("same", 0)])
def test_a_mistake_before_a_layer_that_is_padded_outside_is_named_there(padding: str, inside: int) -> None:
    around = [L.ZeroPadding2D(1)] if inside else []
    layers = [L.Conv2D(3, 1, name="stem"), *around, L.Conv2D(4, 3, padding=padding, name="next")]
    reference = chain((16, 12, 3), *layers)
    for shift in (0.0, 0.1):
        frame = nn.Identity() if inside else nn.ZeroPad2d(1)
        stem, last = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 4, 3, padding=inside)
        port = nn.Sequential(OrderedDict(stem=stem, act=Shift(shift), frame=frame, next=last))
        result = compare_models(reference, port, IMAGES, dtypes=("float64",))
        assert result.summary.startswith("different: next.input is where it starts" if shift else "equal")
        assert "next.input" in {record.name for record in result.records}


class Normed(nn.Sequential):
    """What an exporter makes one layer of."""

    def __init__(self, eps: float = 1e-5) -> None:
        super().__init__(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, eps=eps), nn.ReLU(), nn.Conv2d(4, 2, 1))


@pytest.mark.parametrize(("eps", "verdict"), [(1e-5, "incomplete"), (1e-2, "different")])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_file_with_folded_layers_is_judged_as_float32(eps: float, verdict: str, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    model, exported, file = Normed(), Normed(eps), tmp_path / "model.onnx"
    randomise(model)
    exported.load_state_dict(model.state_dict())
    given = torch.from_numpy(pictures(2, 3, 9, 8))
    torch.onnx.export(exported.eval(), (given,), file, dynamo=False)
    assert compare_models(model, OnnxModel(file), given.numpy()).verdict == verdict
