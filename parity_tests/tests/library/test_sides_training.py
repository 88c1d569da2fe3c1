"""A side of any framework takes optimiser steps and trains, and is afterwards as it was."""

from collections.abc import Callable
from typing import Any

import torch

# isort: split
import keras
import numpy as np
import pytest

from parity_tests import KerasModel, TorchModule, randomise
from parity_tests.rule.record import Array
from parity_tests.sides.side import TrainableSide
from parity_tests.tests.support.small_models import pictures

ROWS = [pictures(6, 3) + i for i in range(3)]
OPTIMIZERS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "momentum": (
        lambda parameters: torch.optim.SGD(parameters, 0.1, momentum=0.9),
        lambda variables: keras.optimizers.SGD(0.1, momentum=0.9),
    ),
    "adam": (
        lambda parameters: torch.optim.Adam(parameters, 0.1, eps=1e-20),
        lambda variables: keras.optimizers.Adam(0.1, epsilon=1e-20),
    ),
}
SCALARS = 1e-4
"""Tolerance; TensorFlow casts Adam's 0.999 through float32, and 1 - 0.999 shows it."""
LOSSES: tuple[Callable[[Any], Any], Callable[[Any], Any]] = (
    lambda y: (y**2).mean(),
    lambda y: keras.ops.mean(y**2),
)


def sides() -> tuple[TrainableSide, TrainableSide]:
    """A dense layer and a BatchNorm in torch and in Keras, with the same values."""
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, name="dense"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Dropout(0.5, name="drop"),
        ]
    )
    randomise(model)
    reference = KerasModel(model).open("float64", {})
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4, eps=1e-3), torch.nn.Dropout(0.5))
    port = TorchModule(module).open("float64", {})
    port.assign(to_port(reference.parameters()))
    return port, reference


NAMES = {"0.weight": "dense/kernel", "0.bias": "dense/bias", "1.weight": "norm/gamma", "1.bias": "norm/beta"}
STATISTICS = {"1.running_mean": "norm/moving_mean", "1.running_var": "norm/moving_variance"}


def to_port(values: Any) -> dict[str, Array]:
    return {name: values[other].T for name, other in {**NAMES, **STATISTICS}.items() if other in values}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_steps_with_given_gradients_are_alike_and_leave_the_side_as_it_was(optimizer: str) -> None:
    port, reference = sides()
    before = port.parameters(), reference.parameters()
    rng = np.random.default_rng(0)
    shapes = {name: before[1][name].shape for name in NAMES.values() if name != "norm/beta"}
    gradients = [{name: rng.normal(size=shape) for name, shape in shapes.items()} for _ in range(2)]
    left = port.apply([to_port(step) for step in gradients], OPTIMIZERS[optimizer][0])
    right = reference.apply(gradients, OPTIMIZERS[optimizer][1])
    for name, other in NAMES.items():
        assert left[name] == pytest.approx(right[other].T, rel=SCALARS, abs=SCALARS)
        assert np.array_equal(left[name], before[0][name]) is (name == "1.bias"), "which had no gradient"
    for side, values in zip((port, reference), before, strict=True):
        assert all(np.array_equal(after, values[name]) for name, after in side.parameters().items())


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_runs_are_alike_and_leave_the_side_as_it_was(optimizer: str) -> None:
    port, reference = sides()
    before = port.parameters(), reference.parameters()
    left = port.train([[rows] for rows in ROWS], 3 * [LOSSES[0]], OPTIMIZERS[optimizer][0], training=False)
    right = reference.train([[rows] for rows in ROWS], 3 * [LOSSES[1]], OPTIMIZERS[optimizer][1], training=False)
    assert left.shape == right.shape == (3,)
    assert left == pytest.approx(right, rel=SCALARS, abs=SCALARS)
    assert len(set(left)) == 3
    for side, values in zip((port, reference), before, strict=True):
        assert all(np.array_equal(after, values[name]) for name, after in side.parameters().items())


def test_in_training_mode_it_trains_otherwise_and_each_time_alike() -> None:
    for side, loss, make in zip(sides(), LOSSES, OPTIMIZERS["adam"], strict=True):
        runs = [side.train([[rows] for rows in ROWS], 3 * [loss], make, training=mode) for mode in (True, True, False)]
        assert np.array_equal(runs[0], runs[1]), "Dropout draws the same numbers again"
        assert not np.isclose(runs[0], runs[2]).any()


def test_the_users_model_and_generators_stay_as_they_are() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Dropout(0.5))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    side = TorchModule(model).open("float32", {})
    side.train([[rows] for rows in ROWS], 3 * [LOSSES[0]], OPTIMIZERS["adam"][0], training=True)
    side.forward([ROWS[0]], training=True)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_gradient_of_what_a_side_does_not_train_changes_nothing() -> None:
    for side, make in zip(sides(), OPTIMIZERS["adam"], strict=True):
        before = side.parameters()
        after = side.apply([{"frozen": np.zeros(3)}], make)
        assert all(np.array_equal(value, before[name]) for name, value in after.items())
