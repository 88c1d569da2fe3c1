"""Keras and its reference: imported in the order that works, quietly, and set for a while."""

import contextlib
import importlib
import os
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

from numpy.typing import NDArray

from parity_tests.rule.errors import UsageError


@contextlib.contextmanager
def quiet_start() -> Iterator[None]:
    """Hold back what TensorFlow's libraries say to the terminal as they load; it is shown if loading fails."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow's own allocator gives no memory back, and doubles what it has.
    os.environ.setdefault("TF_ONEDNN_USE_SYSTEM_ALLOCATOR", "1")
    if sys.stderr is None:  # the command was started with standard error closed
        yield
        return
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


UNUSED = ("matplotlib", "sklearn", *(("jax",) if os.environ.get("KERAS_BACKEND") == "tensorflow" else ()))
"""What Keras and TensorFlow load where it is installed, for what is not asked of them here."""


@contextlib.contextmanager
def hidden(packages: Sequence[str]) -> Iterator[None]:
    """Have nobody find these packages for a while, but for those that are loaded already."""
    ours = [name for name in packages if name not in sys.modules]
    missing: dict[str, Any] = dict.fromkeys(ours)  # None is what Python takes for missing
    sys.modules.update(missing)
    try:
        yield
    finally:
        for name in ours:
            del sys.modules[name]


with contextlib.suppress(ModuleNotFoundError):
    # Asked after tensorflow has looked for devices, torch warns where there is none.
    importlib.import_module("torch").cuda.is_available()

with quiet_start(), hidden(UNUSED):
    import keras_reference  # first: it sees to the order of what it stands on

    import keras  # isort: skip

    keras.ops.zeros(())

if keras.config.backend() != "tensorflow":
    # Elsewhere Keras promotes to float32 where float64 is asked for, in every BatchNormalization for one.
    importlib.import_module("keras.src.backend.common.dtypes").BIT64_TO_BIT32_DTYPE["float64"] = "float64"

if keras.config.image_data_format() != "channels_last":
    raise UsageError("image_data_format: Keras is configured for channels first, and the reference is channels last")

__all__ = [
    "array_of",
    "forget_kernels",
    "keras",
    "keras_precision",
    "keras_reference",
    "python_seed",
]


def array_of(tensor: Any) -> NDArray[Any]:
    """A tensor of Keras' backend in numpy."""
    array: NDArray[Any] = keras.ops.convert_to_numpy(tensor)
    return array


def forget_kernels() -> None:
    """Have TensorFlow forget the kernels that it has made: it keeps one for each variable that there ever was.

    Those of 700 variables, as of one Adam, hold 18 MB. What is run again is made again.
    """
    if keras.config.backend() == "tensorflow":
        importlib.import_module("tensorflow.python.eager.context").context().clear_kernel_cache()


@contextlib.contextmanager
def keras_precision(dtype: str) -> Iterator[None]:
    """Keras' default precision, which `keras.applications` takes, for a while; Keras keeps it in two places."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


@contextlib.contextmanager
def python_seed(seed: int) -> Iterator[None]:
    """Python's own generator, from which Keras' initializers draw their seeds, seeded for a while."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
