"""What holds of a Keras model on whichever backend, beside its twin in torch and beside one with a mistake."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from torch import nn

from parity_tests import KerasModel, TorchModule, compare_models
from parity_tests.rule.result import Result
from parity_tests.tests.support.small_models import IMAGES, TAPS, Nested, Port, keras_model


def holds() -> None:
    """Compare, run, train and name a small model on this backend; the model itself stays as it was."""
    model = keras_model()
    before = [keras.ops.convert_to_numpy(variable) for variable in model.variables]
    reference = KerasModel(model, TAPS)
    is_compared(model, reference)
    runs_and_trains(reference.open("float64", TAPS))
    after = [keras.ops.convert_to_numpy(variable) for variable in model.variables]
    assert all(map(np.array_equal, before, after))
    assert {variable.dtype for variable in model.variables} == {"float32"}
    nested = Nested()
    nested(IMAGES)
    assert "blocks.1.inner.deep" in KerasModel(nested).tap_paths("reference", [IMAGES])  # the same names


def differing(result: Result, rung: str) -> Sequence[str]:
    """The names that differ by themselves on a rung."""
    records = [record for record in result.records if (record.rung, record.where.mode) == (rung, "isolated")]
    assert records
    return [record.name for record in records if record.verdict == "different"]


def is_compared(model: Any, reference: KerasModel) -> None:
    """Equal beside its twin, and named where the twin has a mistake."""
    right = compare_models(reference, TorchModule(Port(), TAPS), IMAGES)
    assert right.verdict == "equal", right.summary
    assert {record.rung for record in right.records} == {"parameters", "forward", "backward", "gradients"}
    wrong = compare_models(reference, TorchModule(Port(norm=nn.BatchNorm2d(4, eps=1e-5)), TAPS), IMAGES)
    assert differing(wrong, "forward")[0] == "norm", wrong.summary
    assert "norm" in differing(wrong, "backward")
    bare = compare_models(model, Port(), IMAGES, rungs=["parameters"])
    assert bare.reference == "own (Keras)", bare.reference


def runs_and_trains(side: Any) -> None:
    """Statistics move once a run, losses fall, and what an optimiser does is undone."""
    start = side.parameters()
    assert all(values.dtype == np.float64 for values in start.values())

    def loss(y: Any) -> Any:
        return keras.ops.mean(y**2)

    twice = [side.backward([IMAGES], loss, training=True) for _ in range(2)]
    moved = side.parameters()
    assert [name for name in start if not np.array_equal(start[name], moved[name])] == [
        *("norm/moving_mean", "norm/moving_variance")
    ]
    values = 0.99**2 * start["norm/moving_mean"] + (1 - 0.99**2) * twice[0].calls["conv"].outputs[""].mean((0, 1, 2))
    assert np.allclose(moved["norm/moving_mean"], values, atol=1e-6), "each run moves them once"
    side.assign(start)
    losses = side.train(
        [[IMAGES]] * 3, [loss] * 3, lambda variables: keras.optimizers.SGD(0.1, momentum=0.9), training=True
    )
    assert losses[0] == twice[0].loss[0]
    assert losses[2] < losses[0]
    after = side.apply([twice[0].gradients], lambda variables: keras.optimizers.Adam(0.1))
    assert "conv/kernel" in after
    assert all(np.array_equal(values, start[name]) for name, values in side.parameters().items())
