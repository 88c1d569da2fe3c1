"""Without a table modules are matched by values, order and shape; what can be meant otherwise is said, not guessed."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from torch import Tensor, nn

from parity_tests import KerasModel, TorchModule, compare_models, randomise
from parity_tests.tests.support.compared_twins import OneModule
from parity_tests.tests.support.small_models import IMAGES, TAPS, Renamed, keras_model
from parity_tests.tests.support.trained_twins import Attention, recurrent

L = keras.layers


def noise(*shape: int) -> Any:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def said(result: Any) -> list[str]:
    return [words for words in result.warnings if words.startswith("names:")]


def test_a_torch_and_a_keras_model_of_one_order_need_no_table() -> None:
    model = keras_model()
    result = compare_models(model, Renamed(), IMAGES)
    assert result.verdict == "equal", result.summary
    table = result.settings["names"]
    assert {"stem.0": "conv", "stem.1": "norm", "top": "dense"}.items() <= table.items()
    assert said(result) == [f"names: modules were matched by values, order and shape: names={table}"]
    given = compare_models(model, Renamed(), IMAGES, names=table)
    assert (given.summary, said(given)) == (result.summary, [])


def test_a_mistake_is_named_at_its_layer() -> None:
    result = compare_models(keras_model(), Renamed(eps=1e-5), IMAGES)
    assert result.summary.startswith("different: norm is where it starts")


class Chain(nn.Module):
    """Dense layers of one shape under names, defined in an order, called in another."""

    def __init__(self, names: str, called: str = "", width: int = 6) -> None:
        super().__init__()
        for name in names:
            setattr(self, name, nn.Linear(6, width if name == names[-1] else 6))
        self.called = called or names

    def forward(self, x: Tensor) -> Tensor:
        for name in self.called:
            x = getattr(self, name)(x).tanh()
        return x


def table_of(reference: nn.Module, port: nn.Module, **settings: Any) -> tuple[str, dict[str, str], list[str]]:
    result = compare_models(reference, port, noise(4, 6), **settings)
    return result.verdict, dict(result.settings["names"]), said(result)[1 if result.settings["names"] else 0 :]


def test_two_torch_models_of_one_order_need_no_table() -> None:
    assert table_of(Chain("abc"), Chain("xyz")) == ("equal", {"x": "a", "y": "b", "z": "c"}, [])


def test_an_order_that_calls_contradict_is_said_and_not_guessed() -> None:
    verdict, table, words = table_of(Chain("abc"), Chain("xyz", "yxz"))
    assert (verdict, table) == ("incomplete", {"z": "c"})
    assert words == ["names: a and b of the reference may be x or y of the port; names says which"]
    assert table_of(Chain("abc"), Chain("xyz", "yxz"), names={"y": "a", "x": "b", "z": "c"})[0] == "equal"


def test_values_that_are_alike_tell_what_no_order_does() -> None:
    reference, port = Chain("abc"), Chain("xyz", "yxz")
    for theirs, ours in zip("abc", "yxz", strict=True):
        getattr(port, ours).load_state_dict(getattr(reference, theirs).state_dict())
    assert table_of(reference, port) == ("equal", {"y": "a", "x": "b", "z": "c"}, [])


def test_one_more_on_a_side_leaves_those_that_fit_alone() -> None:
    verdict, table, words = table_of(Chain("abc", width=3), Chain("wxyz", width=3))
    assert (verdict, table) == ("incomplete", {"z": "c"})
    assert words == ["names: a and b of the reference may be w or x or y of the port; names says which"]


def test_a_table_that_is_given_is_the_only_one() -> None:
    assert table_of(Chain("abc"), Chain("xyz"), names={"x": "a"})[1:] == ({"x": "a"}, [])
    assert table_of(Chain("abc"), Chain("xyz"), names={})[1] == {}


class Steps(nn.Module):
    """A layer of steps and a dense one."""

    def __init__(self, layer: nn.Module, inputs: int) -> None:
        super().__init__()
        self.inner, self.head, self.inputs = OneModule(layer), nn.Linear(inputs, 3), inputs

    def forward(self, x: Tensor) -> Tensor:
        fed = (x, x) if isinstance(self.inner.layer, Attention) else (x,)
        found: Tensor = self.head(self.inner(*fed))
        return found


def steps_of_keras(make: Callable[[], Any]) -> Any:
    inputs, layer = keras.Input((8, 6)), make()
    x = layer(inputs, inputs) if isinstance(layer, L.MultiHeadAttention) else layer(inputs)
    model = keras.Model(inputs, L.Dense(3)(x), name="own")
    randomise(model)
    return model


@pytest.mark.parametrize(
    ("make", "port", "wrong", "width"),
    [
        (lambda: L.LSTM(4, return_sequences=True), recurrent(nn.LSTM), recurrent(nn.LSTM, backwards=True), 4),
        (lambda: L.GRU(4, return_sequences=True), recurrent(nn.GRU), recurrent(nn.GRU, backwards=True), 4),
        (
            lambda: L.MultiHeadAttention(2, 3),
            lambda: Attention(2),
            lambda: Attention(3),
            6,
        ),
    ],
)
def test_layers_made_of_layers_are_matched_as_one(make: Any, port: Any, wrong: Any, width: int) -> None:
    model = steps_of_keras(make)
    result = compare_models(model, Steps(port(), width), noise(2, 8, 6))
    assert result.verdict == "equal", (result.summary, result.coverage)
    assert compare_models(model, Steps(wrong(), width), noise(2, 8, 6)).verdict == "different"


@pytest.mark.parametrize(("name", "table"), [("dense", {}), ("other", {"other": "dense"})])
def test_a_layer_that_is_spread_over_steps_is_tapped_whole(name: str, table: dict[str, str]) -> None:
    inputs = keras.Input((8, 6))
    model = keras.Model(inputs, L.TimeDistributed(L.Dense(5), name="dense")(inputs), name="own")
    port = nn.Sequential()
    port.add_module(name, nn.Linear(6, 5))
    result = compare_models(model, port, noise(2, 8, 6))
    assert (result.verdict, result.settings["names"]) == ("equal", table), (result.summary, result.coverage)
    assert "dense" in {record.name for record in result.records if record.rung == "forward"}


def test_taps_of_the_user_s_are_not_renamed() -> None:
    taps = {"conv": "stem.0", "norm": "stem.1", "act": "stem.2", "mix": "mix", "dense": "top"}
    result = compare_models(KerasModel(keras_model(), TAPS), TorchModule(Renamed(), taps), IMAGES)
    assert result.verdict == "equal", result.summary


def test_a_tap_keeps_its_name_where_the_table_means_a_module_within_it() -> None:
    model, tap = steps_of_keras(lambda: L.LSTM(4, return_sequences=True)), {"inner": "inner"}
    reference, port = TorchModule(Steps(recurrent(nn.LSTM)(), 4), tap), KerasModel(model, {"inner": "lstm"})
    model.get_layer(index=1).name = "lstm"
    result = compare_models(reference, port, noise(2, 8, 6))
    assert result.verdict == "equal", (result.summary, result.coverage)
    assert "inner" in {record.name for record in result.records if record.rung == "forward"}
    assert compare_models(reference, port, noise(2, 8, 6), names=result.settings["names"]).summary == result.summary


def test_one_attention_of_torch_beside_another_is_compared_whole() -> None:
    result = compare_models(OneModule(Attends(2)), OneModule(Attends(2)), noise(2, 8, 6))
    assert result.verdict == "equal", (result.summary, result.coverage)
    assert compare_models(OneModule(Attends(2)), OneModule(Attends(3)), noise(2, 8, 6)).verdict == "different"


class Attends(nn.Module):
    """Attention of a sequence by itself."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.attention = Attention(heads)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.attention(x, x)
        return found
