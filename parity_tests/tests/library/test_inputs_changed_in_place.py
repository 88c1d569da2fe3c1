"""A model that changes what it is given in place changes neither the user's arrays nor what the other side is given."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

# isort: split
import keras
import numpy as np
import pytest
import tensorflow as tf

from parity_tests import JaxFunction, KerasModel, TorchModule, compare_models, randomise
from parity_tests.rule.record import Array
from parity_tests.rule.result import Result
from parity_tests.tests.support.comparisons import different
from parity_tests.tests.support.small_models import pictures

ROWS = pictures(4, 3)
IDS: Any = np.arange(1, 13).reshape(4, 3)
EVERY_RUNG = ("parameters", "forward", "backward", "gradients", "training", "step", "trajectory")


def compare(reference: Any, port: Any, inputs: Array, **settings: Any) -> Result:
    """The result; the arrays that were handed over are what they were."""
    batches = settings.get("batches", ())
    before = [values.copy() for values in (inputs, *batches)]
    result = compare_models(reference, port, inputs, **settings)
    assert all(np.array_equal(*each) for each in zip(before, (inputs, *batches), strict=True))
    return result


def doubled(x: Array) -> Array:
    return x * 2.0


def doubled_in_place(x: Array) -> Array:
    x *= 2
    return x.astype(float) if x.dtype.kind == "i" else x


@pytest.mark.parametrize("inputs", [ROWS, IDS, ROWS > 0], ids=["floats", "integers", "truth values"])
def test_a_function_may_work_in_place(inputs: Array) -> None:
    def flipped(x: Any) -> Array:
        return doubled(~x)

    def flipped_in_place(x: Any) -> Array:
        return doubled(np.logical_not(x, out=x))

    pair = (flipped, flipped_in_place) if inputs.dtype.kind == "b" else (doubled, doubled_in_place)
    for reference, port in (pair, pair[::-1]):
        assert compare(reference, port, inputs).verdict == "equal"


@pytest.mark.planted
def test_a_port_is_not_given_what_the_reference_has_made_of_the_inputs() -> None:
    wrong = compare(doubled_in_place, lambda ids: ids * 1.0, IDS)
    assert different(wrong, mode="cascaded") == ["output", "output"], wrong.summary


class Shifted(nn.Module):
    """A tapped module that changes what it is fed."""

    def __init__(self, *, in_place: bool) -> None:
        super().__init__()
        self.layer, self.in_place = nn.Linear(3, 3), in_place

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.layer(x.add_(1) if self.in_place else x + 1)
        return made


class ChangedInPlace(nn.Module):
    """Its input, the result of a tap and what a tapped module is fed are changed in place, or none of them is."""

    def __init__(self, *, in_place: bool) -> None:
        super().__init__()
        self.first, self.norm, self.act = nn.Linear(3, 3), nn.BatchNorm1d(3), nn.ReLU(inplace=in_place)
        self.shifted, self.in_place = Shifted(in_place=in_place), in_place

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x.mul_(2) if self.in_place else x * 2)
        x = self.shifted(x.mul_(3) if self.in_place else x * 3)
        made: Tensor = self.act(self.norm(x))
        return made


def loss(y: Tensor) -> Tensor:
    return (y**2).mean()


def sgd(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, 0.125, momentum=0.5)


class ChangesGradients(torch.optim.SGD):
    """Works in place on the gradients that it is given, as clipping does."""

    def step(self, closure: Any = None) -> Any:
        for parameter in self.param_groups[0]["params"]:
            parameter.grad.mul_(2).div_(2)
        super().step()


def test_a_torch_module_may_work_in_place_on_every_rung() -> None:
    taps = {name: name for name in ("first", "shifted", "norm", "act")}
    settings: dict[str, Any] = {"loss": (loss, loss), "batches": [ROWS + i for i in range(3)], "rungs": EVERY_RUNG}
    optimizers = (sgd, lambda parameters: ChangesGradients(parameters, 0.125, momentum=0.5))
    sides = [TorchModule(ChangedInPlace(in_place=in_place), taps) for in_place in (False, True)]
    for reference, port in (sides, sides[::-1]):
        result = compare(reference, port, ROWS, optimizers=optimizers, **settings)
        assert result.verdict == "equal", result.summary
        assert {record.difference for record in result.records} == {0.0}


class Embedded(nn.Module):
    """The rows of token ids, each id doubled."""

    def __init__(self, *, in_place: bool) -> None:
        super().__init__()
        self.rows, self.in_place = nn.Embedding(30, 4), in_place

    def forward(self, ids: Tensor) -> Tensor:
        made: Tensor = self.rows(ids.mul_(2) if self.in_place else ids * 2)
        return made


def test_token_ids_may_be_changed_in_place() -> None:
    for reference, port in ((False, True), (True, False)):
        assert compare(Embedded(in_place=reference), Embedded(in_place=port), IDS).verdict == "equal"


def tripled_in_place(x: Array) -> Array:
    x *= 3
    return x


def tripled_by_numpy(x: Any) -> Any:
    return tf.ensure_shape(tf.numpy_function(tripled_in_place, [x], x.dtype), x.shape)


def test_a_keras_layer_may_work_in_place_on_an_array() -> None:
    def side(triple: Callable[[Any], Any]) -> KerasModel:
        names = ("triple", "dense", "again")
        layers = [keras.layers.Lambda(triple), keras.layers.Dense(3), keras.layers.Lambda(triple)]
        for layer, name in zip(layers, names, strict=True):
            layer.name = name
        model = keras.Sequential([keras.Input((3,)), *layers])
        randomise(model)
        return KerasModel(model, {name: name for name in names})

    sides = side(lambda x: 3 * x), side(tripled_by_numpy)
    for reference, port in (sides, sides[::-1]):
        result = compare(reference, port, ROWS, rungs=["parameters", "forward"])
        assert result.verdict == "equal", result.summary


def test_a_function_of_jax_may_donate_what_it_is_given() -> None:
    jax = pytest.importorskip("jax")
    params = {"kernel": pictures(3, 3)}

    def function(params: Any, x: Any) -> Any:
        return x @ params["kernel"] * 2

    donating: Callable[..., Any] = jax.jit(function, donate_argnums=1)
    sides = JaxFunction(function, params), JaxFunction(donating, params)
    for reference, port in (sides, sides[::-1]):
        result = compare(reference, port, ROWS)
        assert result.verdict == "equal", result.summary
    assert np.array_equal(params["kernel"], pictures(3, 3))
