"""`retinanet train` takes the steps that the Keras reference takes: the same pictures, rates and optimiser."""

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from parity_tests.ladder.trajectory import float32_budgets, self_difference, training_budgets
from parity_tests.retinanet.training_run import TrainingRun
from parity_tests.rule.record import Array
from parity_tests.tests.support.data_sets import write_digits
from torch_retinanet.data.digits import Digits
from torch_retinanet.train import TrainConfig

STEPS = 3

Reference = tuple[Array, Array]
"""Losses in float64, and those from weights that are moved by what rounds."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    folder = tmp_path_factory.mktemp("digits")
    config = TrainConfig(
        data=write_digits(folder, Digits("train", length=6, size=(64, 64))),
        out=folder / "run",
        preset="keras_io",
        width=16,
        conventions=("head_init=he_prior", "pad_multiple=32"),
        min_side=64,
        max_side=64,
        steps=20,
        batch=2,
        rate=1e-3,
        weight_decay=0.1,
    )
    return TrainingRun(config, STEPS)


@pytest.fixture(scope="module")
def reference(run: TrainingRun) -> Reference:
    return run.reference("float64"), run.reference("float64", moved=1)


def agree(reference: Reference, port: Array) -> bool:
    expected, moved = reference
    budgets = training_budgets(expected, self_difference(expected, [moved]))
    return bool((np.abs(expected - port) <= budgets).all())


@pytest.mark.ci
def test_the_losses_are_those_of_keras(run: TrainingRun, reference: Reference) -> None:
    port = run.port("float64")
    assert len(port) == STEPS
    assert len(set(port.tolist())) == STEPS, "the weights follow"
    assert agree(reference, port)


@pytest.mark.slow  # another model of Keras is built and traced
def test_in_float32_too_the_losses_are_those_of_keras(run: TrainingRun, reference: Reference) -> None:
    expected, port = (run.reference("float32"), reference[0]), (run.port("float32"), run.port("float64"))
    assert (np.abs(expected[0] - port[0]) <= float32_budgets(expected, port)).all()


def decay_of_everything(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    groups = [{"params": [*model.parameters()], "share": 1.0}]
    return torch.optim.AdamW(groups, lr=config.rate, weight_decay=config.weight_decay)


def later_rate(step: int, *_: object, **__: object) -> float:
    return (step + 2) / 20


@pytest.mark.ci
@pytest.mark.parametrize(("name", "fault"), [("build_optimizer", decay_of_everything), ("rate_share", later_rate)])
def test_another_step_is_seen(
    name: str,
    fault: Callable[..., object],
    run: TrainingRun,
    reference: Reference,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(f"torch_retinanet.train.train_step.{name}", fault)
    assert not agree(reference, run.port("float64"))


@pytest.mark.ci
def test_with_sgd_too_the_losses_are_those_of_keras(run: TrainingRun, monkeypatch: pytest.MonkeyPatch) -> None:
    with_sgd = copy.copy(run)  # the model in Keras is the same, and traced
    with_sgd.config = replace(run.config, optimizer="sgd")
    expected = with_sgd.reference("float64")
    budgets = training_budgets(expected, np.zeros(STEPS))
    assert (np.abs(expected - with_sgd.port("float64")) <= budgets).all()
    monkeypatch.setattr("torch_retinanet.train.train_step.SGD_MOMENTUM", 0.89)
    assert (np.abs(expected - with_sgd.port("float64")) > budgets).any(), "another step is seen"
