"""A Keras model on each backend of Keras against torch, in a process of its own: right, and with a mistake."""

import os
import subprocess
import sys

import pytest

CODE = """
import sys
import torch
from torch import nn
import numpy as np
import keras
from parity_tests import KerasModel, TorchModule, compare_models, randomise
from parity_tests.tests.support.small_models import IMAGES, TAPS, Nested, Port, keras_model

backend = sys.argv[1]
assert keras.config.backend() == backend
model = keras_model()
before = [np.array(variable) for variable in model.variables]
reference = KerasModel(model, TAPS)

def differing(result, rung):
    records = [record for record in result.records if (record.rung, record.where.mode) == (rung, "isolated")]
    assert records
    return [record.name for record in records if record.verdict == "different"]

right = compare_models(reference, TorchModule(Port(), TAPS), IMAGES)
assert right.verdict == "equal", right.summary
assert {record.rung for record in right.records} == {"parameters", "forward", "backward", "gradients"}
wrong = compare_models(reference, TorchModule(Port(norm=nn.BatchNorm2d(4, eps=1e-5)), TAPS), IMAGES)
assert differing(wrong, "forward")[0] == "norm", wrong.summary
assert "norm" in differing(wrong, "backward")
bare = compare_models(model, Port(), IMAGES, rungs=["parameters"])
assert bare.reference == "own (Keras)", bare.reference

side = reference.open("float64", TAPS)
start = side.parameters()
assert all(values.dtype == np.float64 for values in start.values())
loss = lambda y: keras.ops.mean(y**2)
twice = [side.backward([IMAGES], loss, training=True) for _ in range(2)]
moved = side.parameters()
assert [name for name in start if not np.array_equal(start[name], moved[name])] == [
    "norm/moving_mean", "norm/moving_variance"
]
values = 0.99**2 * start["norm/moving_mean"] + (1 - 0.99**2) * twice[0].calls["conv"].outputs[""].mean((0, 1, 2))
assert np.allclose(moved["norm/moving_mean"], values, atol=1e-6), "each run moves them once"
side.assign(start)
sgd = lambda variables: keras.optimizers.SGD(0.1, momentum=0.9)
losses = side.train([[IMAGES]] * 3, [loss] * 3, sgd, training=True)
assert losses[0] == twice[0].loss[0]
assert losses[2] < losses[0]
after = side.apply([twice[0].gradients], lambda variables: keras.optimizers.Adam(0.1))
assert "conv/kernel" in after
assert all(np.array_equal(values, start[name]) for name, values in side.parameters().items())

assert all(np.array_equal(np.array(v), value) for v, value in zip(model.variables, before))
assert {variable.dtype for variable in model.variables} == {"float32"}
if backend == "jax":
    import jax
    assert not jax.config.jax_enable_x64
nested = Nested()
nested(IMAGES)
assert "blocks.1.inner.deep" in KerasModel(nested).tap_paths("reference", [IMAGES]), "attributes have the same names"
print("done")
"""


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_keras_on_each_backend(backend: str) -> None:
    environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", CODE, backend]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert run.stdout.strip().endswith("done"), run.stderr[-3000:]
