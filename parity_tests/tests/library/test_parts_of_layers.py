"""Layers that a port has in parts, or alone: they are matched, carried, and compared in one form."""

from typing import Any

import keras
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from parity_tests import KerasModel, OwnTaps, TorchModule, compare_models, randomise
from parity_tests.rule.record import Array
from parity_tests.rule.result import Result
from parity_tests.tests.support.small_models import KerasBetween, Scale, pictures, tap

L = keras.layers

STEPS, MAPS = pictures(2, 5, 6), pictures(2, 7, 6, 4)


def model(given: Array, *layers: Any) -> Any:
    made = keras.Sequential([keras.Input(given.shape[1:]), *layers])
    randomise(made)
    return made


class InTwo(nn.Sequential):
    """A separable convolution as people write it in torch."""

    def __init__(self) -> None:
        super().__init__()
        self.dw = nn.Conv2d(4, 8, 3, padding=1, groups=4, bias=False)
        self.pw = nn.Conv2d(8, 6, 1)
        self.head = nn.Conv2d(6, 2, 3, padding=1)


@pytest.mark.parametrize("exchanged", [False, True])
def test_a_separable_convolution_is_two_modules_of_any_name(exchanged: bool) -> None:
    separable = L.SeparableConv2D(6, 3, padding="same", depth_multiplier=2, name="sep")
    reference, port = model(MAPS, separable, L.Conv2D(2, 3, padding="same", name="top")), InTwo()
    if exchanged:
        result = compare_models(port, reference, MAPS.transpose(0, 3, 1, 2), dtypes=("float64",))
    else:
        result = compare_models(reference, port, MAPS)
    assert result.verdict == "equal", result.summary
    assert {"forward", "gradients"} <= {record.rung for record in result.records}
    assert any("sep/depthwise_kernel" in words and "dw.weight" in words for words in result.warnings)


class Heads(nn.Module):
    """Attention with linear layers of its own."""

    def __init__(self, names: str = "qkvo", scale: float = 0.5) -> None:
        super().__init__()
        self.names, self.scale = names, scale
        for name in names:
            self.add_module(name, nn.Linear(6, 8) if name != names[-1] else nn.Linear(8, 6))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (self.get_submodule(name)(x).unflatten(-1, (2, 4)).transpose(1, 2) for name in self.names[:3])
        found = (q @ k.transpose(-1, -2) * self.scale).softmax(-1) @ v
        made: Tensor = self.get_submodule(self.names[3])(found.transpose(1, 2).flatten(2))
        return made


def attention(port: nn.Module) -> Result:
    inputs = keras.Input(STEPS.shape[1:])
    reference = keras.Model(inputs, L.MultiHeadAttention(2, 4, name="attention")(inputs, inputs))
    randomise(reference)
    return compare_models(reference, port, STEPS)


def test_attention_is_four_linear_layers_in_the_order_of_their_calls() -> None:
    result = attention(Heads())
    assert result.verdict == "equal", result.summary
    assert result.settings["names"]["q"] == "attention/_query_dense"
    assert attention(Heads(scale=0.6)).verdict == "different"


def test_attention_whose_weights_were_not_carried_is_not_called_different() -> None:
    class OwnHeads(Heads):
        def forward(self, x: Tensor) -> Tensor:
            self.get_submodule("k")(x)  # called before the others: what is query and what is key can be meant otherwise
            return super().forward(x)

    result = attention(OwnHeads())
    assert result.verdict == "incomplete"
    assert "its weights were not carried over" in result.summary


class Attending(nn.Module):
    """torch's own attention, which has query, key and value in one array."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.top = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.top(self.attention(x, x, x)[0])
        return made


class Apart(nn.Module):
    """The same of four linear layers."""

    def __init__(self, query: str, scale: float = 0.5) -> None:
        super().__init__()
        self.heads, self.top = nn.Module(), nn.Linear(8, 3)
        self.names = [query, query.replace("q", "k"), query.replace("q", "v")]
        if query == "query":
            self.names = ["query", "key", "value"]
        for name in (*self.names, "out_proj"):
            self.heads.add_module(name, nn.Linear(8, 8))
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (self.heads.get_submodule(name)(x).unflatten(-1, (2, 4)).transpose(1, 2) for name in self.names)
        found = (q @ k.transpose(-1, -2) * self.scale).softmax(-1) @ v
        made: Tensor = self.top(self.heads.get_submodule("out_proj")(found.transpose(1, 2).flatten(2)))
        return made


@pytest.mark.parametrize("query", ["query", "q", "q_proj", "wq"])
def test_three_linear_layers_may_be_one_array_in_torch(query: str) -> None:
    x = pictures(2, 5, 8)
    for reference, port, names in (
        (Apart(query), Attending(), {"attention": "heads"}),
        (Attending(), Apart(query), {"heads": "attention"}),
    ):
        result = compare_models(reference, port, x, names=names, dtypes=("float64",))
        assert result.verdict == "equal", result.summary
    names = {"heads": "attention"}
    wrong = compare_models(Attending(), Apart(query, scale=0.7), x, names=names, dtypes=("float64",))
    assert wrong.summary.startswith("different: top.input is where it starts")


class LastStep(nn.Module):
    """A recurrent module and what takes its last step."""

    def __init__(self, kind: Any, slip: int = 1) -> None:
        super().__init__()
        self.cells, self.slip = kind(6, 4, batch_first=True), slip

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.cells(x)[0][:, -self.slip]
        return made


@pytest.mark.parametrize(("layer", "kind"), [(L.LSTM, nn.LSTM), (L.GRU, nn.GRU)])
def test_a_recurrent_module_that_is_tapped_gives_what_the_layer_gives(layer: Any, kind: Any) -> None:
    reference = KerasModel(model(STEPS, layer(4, name="cells")), {"cells": "cells"})
    for slip, where in ((1, "equal"), (2, "different: output is where it starts")):
        port = TorchModule(LastStep(kind, slip), {"cells": "cells"})
        assert compare_models(reference, port, STEPS).summary.startswith(where)


@pytest.mark.parametrize("form", [{}, {"return_sequences": True}, {"return_sequences": True, "return_state": True}])
def test_a_recurrent_module_alone_is_a_port(form: Any) -> None:
    inputs = keras.Input(STEPS.shape[1:])
    layer = L.Bidirectional(L.LSTM(4, **form)) if len(form) == 1 else L.LSTM(4, **form)
    reference = keras.Model(inputs, layer(inputs))
    randomise(reference)
    port = nn.LSTM(6, 4, batch_first=True, bidirectional=len(form) == 1)
    result = compare_models(reference, port, STEPS, dtypes=("float64",))
    assert result.verdict == "equal", result.summary


def test_one_layer_alone_is_a_port() -> None:
    result = compare_models(model(STEPS, L.Dense(3, name="top")), nn.Linear(6, 3), STEPS, dtypes=("float64",))
    assert result.verdict == "equal", result.summary
    assert result.settings["names"] == {"weight": "top/kernel", "bias": "top/bias"}


class Between(nn.Module):
    """Two taps of its own, and an activation between them."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.first, self.second, self.slope = nn.Linear(6, 4), nn.Linear(4, 2), slope

    def forward(self, x: Tensor, taps: Any = None) -> Any:
        x = tap(taps, "first", self.first(x))
        return tap(taps, "second", self.second(nn.functional.leaky_relu(x, self.slope)))


def test_a_gradient_that_comes_back_through_float32_is_judged_as_such() -> None:
    reference, rows = KerasBetween(), STEPS[:, 0]
    reference(rows)
    randomise(reference)
    for slope, where in ((0.3, "equal"), (0.31, "different: second is where it starts")):
        result = compare_models(KerasModel(reference, OwnTaps()), TorchModule(Between(slope), OwnTaps()), rows)
        assert result.summary.startswith(where)


def test_a_function_that_computes_in_float32_is_judged_as_such() -> None:
    def rounded(x: Array) -> Array:
        return np.tanh(x.astype(np.float32))

    right = compare_models(torch.nn.Tanh(), rounded, STEPS)
    assert right.summary.startswith("equal")
    assert "in float64 the port computes a part in float32" in " ".join(right.warnings)
    assert compare_models(torch.nn.Tanh(), lambda x: rounded(x * 1.001), STEPS).verdict == "different"


class OfHeads(nn.Linear):
    """Several axes of results from one."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).view(2, 5, 2, 4)


def test_results_that_are_no_maps_lie_on_both_sides_alike() -> None:
    heads = L.EinsumDense("abc,cde->abde", output_shape=(None, 2, 4), bias_axes="de", name="heads")
    port = nn.Sequential()
    port.add_module("heads", OfHeads(6, 8))
    result = compare_models(model(STEPS, heads), port, STEPS, dtypes=("float64",))
    assert result.verdict == "equal", result.summary
    assert "output: (2, 5, 2, 4) lies on both sides alike, and is taken for no map" in result.warnings


def test_a_kernel_that_lies_alike_and_no_other_way_stays() -> None:
    for width in (8, 6):  # of a square one the equation says it
        turned = L.EinsumDense("abc,dc->abd", output_shape=(None, width), bias_axes="d", name="top")
        assert compare_models(model(STEPS, turned), nn.Linear(6, width), STEPS, dtypes=("float64",)).verdict == "equal"


class ConvolvedSteps(nn.Module):
    """A convolution of steps, with their channels where torch has them, and a scale that is no module."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.gamma = nn.Conv1d(6, 5, 3), nn.Parameter(torch.ones(5))

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.conv(x.transpose(1, 2)).transpose(1, 2) * self.gamma
        return made


def test_steps_have_their_channels_first_in_torch_and_a_model_may_have_parameters_itself() -> None:
    result = compare_models(model(STEPS, L.Conv1D(5, 3, name="conv"), Scale(name="scale")), ConvolvedSteps(), STEPS)
    assert result.verdict == "equal", result.summary
    assert result.settings["names"] == {"gamma": "scale/gamma"}
