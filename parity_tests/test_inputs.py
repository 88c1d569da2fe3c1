"""Weights that are moved: by less than a layer rounds, or by what it may round."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from parity_tests.compare import Array
from parity_tests.inputs import moved_by_an_ulp, moved_by_rounding

FAN_IN = 2304
"""Of a 3x3 convolution of 256 channels."""


@pytest.fixture(scope="module")
def layer() -> tuple[Array, Array]:
    """What a layer is fed, and its kernel."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(50, FAN_IN)), rng.normal(size=(FAN_IN, 20))


def exactly(fed: Array, kernel: Array) -> Array:
    """What a layer makes, with eleven bits more than float64."""
    result: Array = fed.astype(np.longdouble) @ kernel.astype(np.longdouble)
    return result


def rounded(fed: Array, kernel: Array) -> float:
    """How much it rounds that adds up one product after the other."""
    return size(np.cumsum(fed[:, :, None] * kernel, axis=1)[:, -1] - exactly(fed, kernel))


def changed(fed: Array, kernel: Array, move: Callable[..., Mapping[str, Array]]) -> float:
    """How much a layer changes whose kernel is moved."""
    return size(exactly(fed, move({"layer/kernel": kernel}, seed=0)["layer/kernel"]) - exactly(fed, kernel))


def size(values: Array) -> float:
    return float(np.sqrt(np.square(values).mean()))


longer = pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="this machine has no number longer than float64")


@longer
def test_weights_moved_by_an_ulp_change_a_layer_by_less_than_it_rounds(layer: tuple[Array, Array]) -> None:
    assert changed(*layer, moved_by_an_ulp) < rounded(*layer) / 5


@longer
def test_weights_moved_by_rounding_change_a_layer_by_more_than_it_rounds_and_less_than_ten_times(
    layer: tuple[Array, Array],
) -> None:
    assert rounded(*layer) < changed(*layer, moved_by_rounding) < 10 * rounded(*layer)


def test_what_is_no_kernel_moves_by_one_ulp() -> None:
    bias = np.array([1.0, -3.0, 1e-9])
    moved = moved_by_rounding({"layer/bias": bias}, seed=0)["layer/bias"]
    assert (np.abs(moved - bias) == np.spacing(np.abs(bias))).all()


@pytest.mark.parametrize(("shape", "ulps"), [((3, 3, 256, 20), 48), ((1, 1, 64, 256), 8)])
def test_a_kernel_moves_by_the_root_of_its_fan_in(shape: tuple[int, ...], ulps: int) -> None:
    kernel = np.random.default_rng(0).normal(size=shape)
    moved = moved_by_rounding({"layer/kernel": kernel}, seed=0)["layer/kernel"]
    assert np.abs(moved - kernel) / np.spacing(np.abs(kernel)) == pytest.approx(ulps, abs=1)
