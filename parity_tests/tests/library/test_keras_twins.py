"""Every layer of Keras beside its twin in torch: no false alarm, and one that is nearly a twin is named.

Frameworks compute parts of a float64 run in float32, and such a part is judged in that.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import pytest
import torch
from torch import nn

from parity_tests import Function, KerasModel, TorchModule, compare_models
from parity_tests.report.json_file import as_json, from_json
from parity_tests.rule.record import Record
from parity_tests.tests.support.compared_twins import compared, not_told
from parity_tests.tests.support.keras_twins import Of, Twin
from parity_tests.tests.support.trained_twins import TWINS

ROWS = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)


def test_there_are_sixty_of_them() -> None:
    assert len(TWINS) >= 60


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_is_equal_and_what_is_nearly_one_is_named(name: str) -> None:
    assert not_told(name) == ""


@pytest.mark.slow
def test_the_same_on_jax() -> None:
    asked = "[sentence for name in TWINS if (sentence := not_told(name))]"
    code = f"from parity_tests.tests.support.compared_twins import TWINS, not_told; print({asked})"
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert run.stdout.strip() == "[]", run.stderr[-3000:]


def of(records: Sequence[Record], rung: str, mode: str, dtype: str = "float64") -> dict[str, Record]:
    found = [record for record in records if record.rung == rung]
    return {r.name: r for r in found if (r.where.mode, r.where.dtype) == (mode, dtype)}


UP = TWINS["UpSampling2D(bilinear)"]


def test_what_a_side_computes_in_float32_is_said_and_judged_so() -> None:
    result = compared(UP, UP.module)
    [layer] = [record for name, record in of(result.records, "forward", "isolated").items() if name == "layer"]
    assert (layer.verdict, layer.coarse) == ("equal", ("reference",))
    assert of(result.records, "forward", "isolated")["layer.input"].coarse == ()
    said = "in float64 the reference computes layer in float32: that, and what follows from it, is judged as float32 is"
    assert said in result.warnings
    assert result.summary.endswith("; 1 of the taps is judged as float32, in which the reference computes")
    assert "float32" not in compared(TWINS["Dense"], TWINS["Dense"].module).summary


def test_a_mistake_in_it_says_in_which_precision_it_was_judged() -> None:
    layer = of(compared(UP, UP.wrong).records, "forward", "isolated")["layer"]
    assert layer.verdict == "different"
    assert layer.reason.endswith("in float32, in which the reference computed it")


class BetweenDense(nn.Module):
    """Dense, something that is no tap, dense."""

    def __init__(self, between: nn.Module, last: nn.Module) -> None:
        super().__init__()
        self.first, self.between, self.last = nn.Linear(6, 6), between, last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.last(self.between(self.first(x)))
        return found


def rounded() -> Any:
    """A ReLU that passes through float32."""
    return keras.layers.Lambda(lambda x: keras.ops.cast(keras.ops.cast(keras.ops.relu(x), "float32"), x.dtype))


def chain(between: Any) -> Any:
    inputs = x = keras.Input((6,))
    for layer in (keras.layers.Dense(6, name="first"), between, keras.layers.Dense(3, name="last")):
        x = layer(x)
    return keras.Model(inputs, x, name="own")


@pytest.mark.parametrize("between", [rounded, lambda: keras.layers.LeakyReLU(0.0)])
def test_float32_between_two_taps_counts_from_there_on(between: Any) -> None:
    taps = {"first": "first", "last": "last"}
    port = TorchModule(BetweenDense(nn.ReLU(), nn.Linear(6, 3)), taps)
    result = compare_models(KerasModel(chain(between()), taps), port, ROWS)
    assert result.verdict == "equal", result.summary
    alone, together = (of(result.records, "forward", mode) for mode in ("isolated", "cascaded"))
    assert [name for name, record in alone.items() if record.coarse] == ["last.input", "output"]
    assert [name for name, record in together.items() if record.coarse] == ["last", "output"]
    assert all(record.coarse for record in of(result.records, "gradients", "inference").values())


def test_a_mistake_behind_it_is_named_in_float64() -> None:
    class Enlarged(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * (1 + 1e-9)

    taps = {"first": "first", "last": "last"}
    port = TorchModule(BetweenDense(nn.ReLU(), Enlarged(6, 3)), taps)
    result = compare_models(KerasModel(chain(rounded()), taps), port, ROWS)
    assert result.summary.startswith("different: last is where it starts")


def test_the_port_may_be_the_side_that_rounds() -> None:
    twin = TWINS["relu"]
    result = compared(twin, lambda: Of(lambda x: x.float().relu().double() if x.dtype == torch.float64 else x.relu()))
    assert of(result.records, "forward", "isolated")["layer"].coarse == ("port",)


@pytest.mark.parametrize(
    "name", ["relu", "gelu", "silu", "Dense", "Conv2D", "BatchNormalization", "LayerNormalization"]
)
def test_what_computes_in_float64_is_judged_in_it(name: str) -> None:
    twin: Twin = TWINS[name]
    assert [record.name for record in compared(twin, twin.module).records if record.coarse] == []


def test_which_side_rounds_is_in_the_json_file() -> None:
    result = compared(UP, UP.module)
    assert [r.coarse for r in from_json(as_json(result)).records] == [r.coarse for r in result.records]


def test_functions_are_not_looked_into() -> None:
    result = compare_models(Function(np.tanh), Function(np.tanh), ROWS)
    assert result.verdict == "equal"
    assert not any(record.coarse for record in result.records)


def leaky(slope: float) -> tuple[KerasModel, TorchModule]:
    """Dense, a leaky ReLU, dense, in both frameworks."""
    taps = {"first": "first", "last": "last"}
    port = TorchModule(BetweenDense(nn.LeakyReLU(slope), nn.Linear(6, 3)), taps)
    return KerasModel(chain(keras.layers.LeakyReLU(0.2)), taps), port


@pytest.mark.parametrize(("slope", "verdict"), [(0.2, "equal"), (0.19, "different")])
def test_training_with_a_part_in_float32(slope: float, verdict: str) -> None:
    loss = (lambda y: keras.ops.mean(y**2), lambda y: (y**2).mean())
    optimizers = (lambda variables: keras.optimizers.SGD(0.01), lambda parameters: torch.optim.SGD(parameters, 0.01))
    batches = [[ROWS], [ROWS + 1]]
    rungs = ["training", "step", "trajectory"]
    result = compare_models(*leaky(slope), ROWS, loss=loss, optimizers=optimizers, batches=batches, rungs=rungs)
    trained = [r for r in result.records if r.rung != "step" and "no statistic moved" not in r.reason]
    found = {(r.rung, r.where.mode): r.verdict for r in trained if r.where.dtype == "float64"}
    assert set(found.values()) == {verdict}, found


def test_labels_in_float32_leave_the_loss_in_float64() -> None:
    labels = np.random.default_rng(2).normal(size=(4, 3)).astype(np.float32)
    twin = TWINS["Dense"]

    def of_keras(y: Any) -> Any:
        return keras.ops.mean((y[:, :3] - keras.ops.cast(keras.ops.convert_to_tensor(labels), y.dtype)) ** 2)

    def off_by_little(y: torch.Tensor) -> torch.Tensor:
        return ((y[:, :3] - torch.from_numpy(labels)) ** 2).mean() * (1 + 1e-9)

    result = compared(twin, twin.module, loss=(of_keras, off_by_little), rungs=["gradients"])
    assert next(record.name for record in result.records if record.verdict == "different") == "loss"
    assert not any(record.coarse for record in result.records)


def test_whole_numbers_in_float32_are_no_rounding() -> None:
    twin = TWINS["relu"]
    masked = compared(twin, lambda: Of(lambda x: (x * torch.ones(6)).relu() * (x > 0).float() * (1 + 1e-9)))
    layer = of(masked.records, "forward", "isolated")["layer"]
    assert (layer.verdict, layer.coarse) == ("different", ())


def test_what_lies_in_a_container_is_judged_as_it_is_fed() -> None:
    """Whatever leads to the container was computed in: what lies in it starts from what the container is given."""

    class WithInner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(6, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.inner(x * 2 * (1 + 1e-8))
            return found

    inputs = keras.Input((6,), name="fed")
    x = rounded()(keras.layers.Dense(6, name="first")(inputs))
    inner_inputs = keras.Input((6,))
    block = keras.Model(inner_inputs, keras.layers.Dense(3, name="inner")(inner_inputs * 2), name="last")
    taps = {"first": "first", "last": "last"}
    reference = KerasModel(keras.Model(inputs, block(x), name="own"), taps | {"inner": "last/inner"})
    result = compare_models(
        reference, TorchModule(BetweenDense(nn.ReLU(), WithInner()), taps | {"inner": "last.inner"}), ROWS
    )
    assert of(result.records, "forward", "isolated")["inner.input"].verdict == "different"
