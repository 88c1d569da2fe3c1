"""Weights that are moved: by less than a layer rounds, or by what it may round."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from parity_tests.ladder.perturbation import moved_by_rounding
from parity_tests.retinanet.inputs import moved_by_an_ulp
from parity_tests.rule.record import Array

FAN_IN = 2304
"""Of a 3x3 convolution of 256 channels."""


@pytest.fixture(scope="module")
def layer() -> tuple[Array, Array]:
    """What a layer is fed, and its kernel: float32 numbers, whose products float64 holds to the last bit."""
    rng = np.random.default_rng(0)
    fed, kernel = rng.normal(size=(50, FAN_IN)), rng.normal(size=(FAN_IN, 20))
    return fed.astype(np.float32).astype(np.float64), kernel.astype(np.float32).astype(np.float64)


def rounded(fed: Array, kernel: Array) -> float:
    """How much it rounds that adds up one product after the other."""
    products = fed[:, :, None] * kernel
    exact = np.apply_along_axis(math.fsum, 1, products)
    return size(np.cumsum(products, axis=1)[:, -1] - exact)


def changed(fed: Array, kernel: Array, move: Callable[..., Mapping[str, Array]]) -> float:
    """How much a layer changes whose kernel is moved; from how far, which no rounding hides."""
    return size(fed @ (move({"layer/kernel": kernel}, seed=0)["layer/kernel"] - kernel))


def size(values: Array) -> float:
    return float(np.sqrt(np.square(values).mean()))


def test_weights_moved_by_an_ulp_change_a_layer_by_less_than_it_rounds(layer: tuple[Array, Array]) -> None:
    assert changed(*layer, moved_by_an_ulp) < rounded(*layer) / 5


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
