"""Sums of many products: how long those of each module are, and that the budget grows as their rounding does."""

from dataclasses import replace
from typing import Any

import torch
from torch import nn

# isort: split
import keras
import numpy as np
import pytest

from parity_tests import KerasModel, TorchModule, compare_models
from parity_tests.compare import Array, isolated_units, largest, largest_difference
from parity_tests.rungs import RUNGS, Run
from parity_tests.sums import longest_sums, taps_of

EPS = float(np.finfo(np.float64).eps)


def test_a_module_is_allowed_the_root_of_its_longest_sum_and_64_units_at_least() -> None:
    assert [isolated_units(terms) for terms in (1, 2304, 4096, 4608, 18432)] == [64, 64, 64, 68, 136]


def test_the_sums_of_every_tap_that_convolutions_make_are_known(run: Run) -> None:
    longest = longest_sums({name: values.shape for name, values in run.variables.items()})
    assert {name: longest[name] for name in ("stem", "conv5_block1", "lateral5", "p6", "p7", "box.p7.4")} == {
        "stem": 7 * 7 * 3,
        "conv5_block1": 3 * 3 * 512,
        "lateral5": 2048,
        "p6": 3 * 3 * 2048,
        "p7": 3 * 3 * 256,
        "box.p7.4": 3 * 3 * 256,
    }
    kernels = [name.removesuffix("/kernel") for name in run.variables if name.endswith("/kernel")]
    assert [layer for layer in kernels if not taps_of(layer)] == []
    made = run.sides("float64")[0].forward(run.inputs.images((32, 32)))
    handed_on = {"c3", "c4", "c5", "merged3", "merged4", "logits", "deltas", "outputs"}
    assert set(longest) == {*made} - handed_on


def test_the_budget_of_a_fed_module_follows_its_sums(run: Run) -> None:
    small = RUNGS["forward"](replace(run, sizes=[(32, 32)], dtypes=["float64"]))[0].compare()
    units = {r.name: r.budget / r.scale / EPS for r in small if r.mode == "isolated" and r.budget and r.scale}
    assert {name: units[name] for name in ("p5", "p6", "conv5_block3")} == pytest.approx(
        {"p5": 64, "p6": 136, "conv5_block3": 68}
    )


def draw(terms: int, seed: int) -> tuple[Array, Array]:
    """What comes after a ReLU (4,terms), and a kernel (terms,64)."""
    rng = np.random.default_rng(seed)
    return np.maximum(rng.normal(size=(4, terms)), 0), rng.normal(size=(terms, 64))


def used(terms: int, seed: int, digits: int = 52) -> float:
    """The share of its budget that a product in torch uses beside Keras', its kernel cut to so many binary digits."""
    x, kernel = draw(terms, seed)
    mantissa, exponent = np.frexp(kernel)
    cut = np.ldexp(np.round(np.ldexp(mantissa, digits + 1)), exponent - digits - 1)
    reference = keras.ops.convert_to_numpy(keras.ops.matmul(x, kernel))
    port = nn.functional.linear(torch.from_numpy(x), torch.from_numpy(np.ascontiguousarray(cut.T))).numpy()
    return largest_difference(reference, port) / (isolated_units(terms) * EPS * largest(reference))


@pytest.mark.parametrize("terms", [4096, 18432, 100352])
def test_right_sums_use_about_the_same_share_however_long_they_are(terms: int) -> None:
    shares = [used(terms, seed) for seed in range(3)]
    assert 0.05 < max(shares) < 0.6


@pytest.mark.planted
def test_products_of_ten_digits_less_exceed_the_budget_of_long_sums() -> None:
    assert used(18432, seed=0, digits=42) > 1


def test_users_own_modules_are_allowed_the_root_of_the_longest_sum_of_their_kernels() -> None:
    vectors = keras.Input((10000,))
    model = keras.Model(vectors, keras.layers.Dense(2, name="dense")(vectors))
    port = TorchModule(nn.Sequential(nn.Linear(10000, 2)), {"dense": "0"})
    settings: dict[str, Any] = {"names": {"0": "dense"}, "rungs": ["forward"], "dtypes": ["float64"]}
    result = compare_models(KerasModel(model, {"dense": "dense"}), port, draw(10000, 0)[0], **settings)
    budgets = [(r.budget, r.scale) for r in result.records if (r.name, r.mode) == ("dense", "isolated")]
    assert [budget / scale / EPS for budget, scale in budgets if budget and scale] == [pytest.approx(100)]
