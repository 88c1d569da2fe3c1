"""Training of any two models can fail: statistics, gradients, steps and runs of a wrong port are named."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

# isort: split
import keras
import pytest

from parity_tests import KerasModel, TorchModule, compare_models
from parity_tests.rule.errors import UsageError
from parity_tests.rule.result import Result
from parity_tests.tests.support.small_models import IMAGES, TAPS, Port, keras_model

LOSSES: tuple[Callable[[Any], Any], Callable[[Any], Any]] = (lambda y: keras.ops.mean(y**2), lambda y: (y**2).mean())
TRAINING = ("training", "step", "trajectory")


class KerasNorm(nn.BatchNorm2d):
    """BatchNorm that keeps the variance of a batch as Keras does, not corrected for its size."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert self.running_mean is not None
        assert self.running_var is not None
        if not self.training:
            return super().forward(x)
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        with torch.no_grad():
            self.running_mean.lerp_(mean, 1 - KEPT)
            self.running_var.lerp_(variance, 1 - KEPT)
        scale = self.weight / torch.sqrt(variance + self.eps)
        return (x - mean[:, None, None]) * scale[:, None, None] + self.bias[:, None, None]


KEPT = 0.99
"""Of the old statistics, as in Keras."""


def compare(port: Port, *rungs: str, rate: float = 0.125, momentum: float = 0.875) -> Result:
    """The Keras model against a port, trained by SGD with momentum."""
    reference = KerasModel(keras_model(), taps=TAPS)
    optimizers = (
        lambda variables: keras.optimizers.SGD(0.125, momentum=0.875),
        lambda parameters: torch.optim.SGD(parameters, rate, momentum=momentum),
    )
    batches = [IMAGES + step / 10 for step in range(4)]
    settings: dict[str, Any] = {"loss": LOSSES, "optimizers": optimizers, "batches": batches}
    return compare_models(reference, TorchModule(port, taps=TAPS), IMAGES, rungs=rungs or TRAINING, **settings)


def right() -> Port:
    return Port(norm=KerasNorm(4, eps=1e-3))


def test_a_right_port_is_equal_on_every_rung_of_training() -> None:
    result = compare(right())
    assert result.verdict == "equal", result.summary
    found = {(record.rung, record.where.mode) for record in result.records}
    assert found == {
        *{("training", "training"), ("gradients", "training"), ("step", "")},
        *{("trajectory", "inference"), ("trajectory", "training")},
    }
    statistics = {record.name for record in result.records if record.rung == "training"}
    assert statistics == {"norm/moving_mean", "norm/moving_variance"}
    assert {"dense/kernel", "norm/gamma"} <= {record.name for record in result.records if record.rung == "step"}


@pytest.mark.planted
def test_the_variance_of_a_sample_is_named_in_the_statistics() -> None:
    result = compare(Port(norm=nn.BatchNorm2d(4, eps=1e-3, momentum=0.01)), "training")
    different = [record for record in result.records if record.verdict == "different"]
    assert [record.name for record in different] == ["norm/moving_variance"]
    assert "torch's BatchNorm keeps the variance of a batch divided by n - 1, and Keras' by n" in different[0].reason


@pytest.mark.planted
def test_another_momentum_of_statistics_is_named() -> None:
    port = Port(norm=nn.BatchNorm2d(4, eps=1e-3, momentum=0.1))
    result = compare(port, "training")
    assert {r.name for r in result.records if r.verdict == "different"} >= {"norm/moving_mean"}


@pytest.mark.planted
@pytest.mark.parametrize("settings", [{"rate": 0.126}, {"momentum": 0.876}])
def test_another_optimiser_is_named_in_steps_and_runs(settings: dict[str, float]) -> None:
    result = compare(right(), "step", "trajectory", **settings)
    assert {r.rung for r in result.records if r.verdict == "different"} == {"step", "trajectory"}


@pytest.mark.planted
def test_a_gradient_that_is_wrong_in_training_alone_is_named() -> None:
    class DetachedNorm(KerasNorm):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x.detach() if self.training else x)

    result = compare(Port(norm=DetachedNorm(4, eps=1e-3)), "gradients", "training")
    wrong = {(r.where.mode, r.name) for r in result.records if r.verdict == "different" and r.rung == "gradients"}
    assert wrong == {("training", "conv/kernel")}


def test_what_a_training_run_needs_is_asked_for() -> None:
    reference, port = KerasModel(keras_model(), taps=TAPS), TorchModule(Port(), taps=TAPS)
    with pytest.raises(UsageError, match=r"^optimizers: there are none"):
        compare_models(reference, port, IMAGES, rungs=["step"])
    optimizers = (keras.optimizers.SGD, torch.optim.SGD)
    with pytest.raises(UsageError, match=r"^loss: there is none"):
        compare_models(reference, port, IMAGES, rungs=["trajectory"], optimizers=optimizers)


def test_models_are_afterwards_as_they_were() -> None:
    port = right()
    before = {name: value.clone() for name, value in port.state_dict().items()}
    compare(port)
    assert all(torch.equal(value, before[name]) for name, value in port.state_dict().items())


@pytest.mark.planted
def test_statistics_that_the_port_alone_moves_are_a_difference() -> None:
    class FrozenNorm(nn.BatchNorm2d):
        def train(self, mode: bool = True) -> "FrozenNorm":
            return super().train(False)

    frozen, normal = TorchModule(Port(norm=FrozenNorm(4)), TAPS), TorchModule(Port(norm=nn.BatchNorm2d(4)), TAPS)
    moved = compare_models(frozen, normal, IMAGES.transpose(0, 3, 1, 2), rungs=["training"])
    assert {"norm.running_mean", "norm.running_var"} <= {r.name for r in moved.records if r.verdict == "different"}
    still = compare_models(frozen, frozen, IMAGES.transpose(0, 3, 1, 2), rungs=["training"])
    assert (still.verdict, still.exit_code) == ("incomplete", 3)


def test_a_name_without_a_partner_makes_training_incomplete() -> None:
    port = right()
    port.extra = nn.Parameter(torch.ones(2))
    assert compare(port, "training").verdict == "incomplete"


def test_a_skipped_statistic_is_no_difference() -> None:
    port = TorchModule(Port(), TAPS)
    skip = {"norm.running_mean": "it is not of interest"}
    result = compare_models(port, port, IMAGES.transpose(0, 3, 1, 2), rungs=["training"], skip=skip)
    assert result.verdict == "equal", result.summary
