"""A Keras model on each backend of Keras against torch: right, and with a mistake."""

import os
import subprocess
import sys

import keras
import pytest

from parity_tests.tests.support.keras_backends import holds

CODE = """
import sys

sys.modules["tensorflow"] = None  # which is not installed, for all that Keras knows
import keras
from parity_tests.tests.support.keras_backends import holds

assert keras.config.backend() == sys.argv[1]
holds()
if "jax" in sys.modules:
    import jax

    assert not jax.config.jax_enable_x64
"""


def test_keras_on_tensorflow() -> None:
    assert keras.config.backend() == "tensorflow"
    holds()


@pytest.mark.parametrize(
    "backend", [pytest.param("jax", marks=pytest.mark.ci), pytest.param("torch", marks=pytest.mark.slow)]
)
def test_keras_on_another_backend_without_tensorflow(backend: str) -> None:
    environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", CODE, backend]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert run.returncode == 0, run.stderr[-3000:]
