"""Sums of many products: how long those of each module are, and that the budget grows as their rounding does."""

from dataclasses import replace

import torch
from torch import Tensor, nn

# isort: split
import keras
import numpy as np
import pytest

from parity_tests import TorchModule, compare_models
from parity_tests.retinanet.comparison import DetectorComparison
from parity_tests.retinanet.names import longest_sums, taps_of
from parity_tests.retinanet.rungs.forward import float32_bounds
from parity_tests.rule.budgets import (
    CASCADED,
    ISOLATED,
    float32_budget,
    isolated_units,
    largest,
    largest_difference,
    own_errors,
    rounding_budget,
)
from parity_tests.rule.compare import compare_values
from parity_tests.rule.record import Array, Where
from parity_tests.tests.support.planted import records_on, taps_made_by

EPS = float(np.finfo(np.float64).eps)


@pytest.fixture(scope="module")
def run(whole: DetectorComparison) -> DetectorComparison:
    """Budgets follow the sums of the whole network."""
    whole.sides.restore()
    return whole


def test_a_module_is_allowed_the_root_of_its_longest_sum_and_64_units_at_least() -> None:
    assert [isolated_units(terms) for terms in (1, 2304, 4096, 4608, 18432)] == [64, 64, 64, 68, 136]


def test_the_sums_of_every_tap_that_convolutions_make_are_known(run: DetectorComparison) -> None:
    longest = longest_sums({name: values.shape for name, values in run.weights.items()})
    assert {name: longest[name] for name in ("stem", "conv5_block1", "lateral5", "p6", "p7", "box.p7.4")} == {
        "stem": 7 * 7 * 3,
        "conv5_block1": 3 * 3 * 512,
        "lateral5": 2048,
        "p6": 3 * 3 * 2048,
        "p7": 3 * 3 * 256,
        "box.p7.4": 3 * 3 * 256,
    }
    kernels = [name.removesuffix("/kernel") for name in run.weights if name.endswith("/kernel")]
    assert [layer for layer in kernels if not taps_of(layer)] == []
    made = taps_made_by(run.sides.reference("float64"), run.inputs.images((32, 32)))
    handed_on = {"c3", "c4", "c5", "merged3", "merged4", "logits", "deltas", "outputs"}
    assert set(longest) == {*made} - handed_on


def test_the_budget_of_a_fed_module_follows_its_sums(run: DetectorComparison) -> None:
    small = records_on(replace(run, sizes=[(32, 32)], dtypes=["float64"]), "forward", "32x32")
    units = {r.name: r.budget / r.scale / EPS for r in small if r.where.mode == "isolated" and r.budget and r.scale}
    assert {name: units[name] for name in ("p5", "p6", "conv5_block3")} == pytest.approx(
        {"p5": 64, "p6": 136, "conv5_block3": 68}
    )


def draw(terms: int, seed: int) -> tuple[Array, Array]:
    """What comes after a ReLU (4,terms), and a kernel (terms,64)."""
    rng = np.random.default_rng(seed)
    return np.maximum(rng.normal(size=(4, terms)), 0), rng.normal(size=(terms, 64))


@pytest.mark.parametrize("terms", [4096, 16384, 65536])
def test_what_a_sum_rounds_grows_as_its_budget(terms: int) -> None:
    x, kernel = draw(terms, seed=0)
    products = x[:, :, None] * kernel
    exact = products.sum(axis=1, dtype=np.longdouble).astype(np.float64)
    one_after_the_other = np.cumsum(products, axis=1)[:, -1]
    assert 0.05 < share(exact, one_after_the_other, terms) < 0.5


def share(reference: Array, port: Array, terms: int) -> float:
    return largest_difference(reference, port) / (isolated_units(terms) * EPS * largest(reference))


def of_frameworks(terms: int, seed: int, digits: int = 52) -> float:
    """The share of its budget that a product in torch uses beside Keras', its kernel cut to so many binary digits."""
    x, kernel = draw(terms, seed)
    mantissa, exponent = np.frexp(kernel)
    cut = np.ldexp(np.round(np.ldexp(mantissa, digits + 1)), exponent - digits - 1)
    reference = keras.ops.convert_to_numpy(keras.ops.matmul(x, kernel))
    port = nn.functional.linear(torch.from_numpy(x), torch.from_numpy(np.ascontiguousarray(cut.T))).numpy()
    return share(reference, port, terms)


@pytest.mark.parametrize("terms", [4096, 18432, 100352])
def test_right_sums_are_within_their_budget_however_long_they_are(terms: int) -> None:
    assert max(of_frameworks(terms, seed) for seed in range(3)) < 0.6


@pytest.mark.planted
def test_products_of_ten_binary_digits_less_exceed_the_budget_of_p6() -> None:
    assert of_frameworks(18432, seed=0, digits=42) > 1


@pytest.mark.parametrize(
    ("terms", "units", "verdict"), [(9, 17, "different"), (2304, 17, "equal"), (2304, 60, "different")]
)
def test_a_port_may_round_in_float32_as_long_sums_do_however_little_the_reference_does(
    terms: int, units: int, verdict: str
) -> None:
    exact = np.random.default_rng(0).normal(size=(2, 8, 8, 4))
    reference, off = exact.astype(np.float32), rounding_budget(exact.astype(np.float32), units)
    port = (exact + off * np.sign(exact)).astype(np.float32)
    budget = float32_budget(CASCADED, reference, own_errors(reference, exact, port, exact), terms)
    where = Where(size=(8, 8), dtype="float32", mode="cascaded")
    assert compare_values("forward", where, "p6", reference, port, budget).verdict == verdict


class Pairwise(nn.Linear):
    """A layer whose products are added in pairs, and the pairs again: it hardly rounds."""

    def products(self, x: Tensor) -> Tensor:
        return x[:, :, None] * self.weight.T

    def forward(self, x: Tensor) -> Tensor:
        return self.products(x).sum(dim=1) + self.bias


class OneAfterTheOther(Pairwise):
    """The same added one after the other."""

    def forward(self, x: Tensor) -> Tensor:
        products = self.products(x)
        first, all_there = (
            products.new_zeros((len(x), 1, self.out_features)),
            torch.zeros(x.shape[1], dtype=torch.int64),
        )
        return first.index_add(1, all_there, products)[:, 0] + self.bias


class OfFewDigits(OneAfterTheOther):
    """In float32 it rounds its products to half of their digits."""

    def products(self, x: Tensor) -> Tensor:
        products = super().products(x)
        return products.half().float() if x.dtype is torch.float32 else products


@pytest.mark.parametrize(("layer", "verdict"), [(OneAfterTheOther, "equal"), (OfFewDigits, "different")])
def test_any_model_may_sum_in_another_order_in_float32(layer: type[Pairwise], verdict: str) -> None:
    x = np.random.default_rng(0).normal(size=(2, 65536))
    reference, port = (nn.Sequential(kind(x.shape[1], 8)) for kind in (Pairwise, layer))
    assert compare_models(reference, port, x, dtypes=["float32"]).verdict == verdict


class NearlyHardTanh(nn.Module):
    """An activation that is off by 40 roundings of the largest value, in float32 alone."""

    def forward(self, x: Tensor) -> Tensor:
        off = 40 * torch.finfo(x.dtype).eps if x.dtype is torch.float32 else 0
        return nn.functional.hardtanh(x) * (1 + off)


@pytest.mark.planted
def test_a_layer_that_is_fed_alone_is_not_allowed_the_sums_before_it() -> None:
    x, long = np.random.default_rng(0).normal(size=(2, 65536)), nn.Linear(65536, 8)
    models = (nn.Sequential(long, last()) for last in (nn.Hardtanh, NearlyHardTanh))
    reference, port = (TorchModule(model, {"long": "0", "last": "1"}) for model in models)
    different = [r for r in compare_models(reference, port, x, dtypes=["float32"]).records if r.verdict == "different"]
    assert [(record.name, record.where.mode) for record in different] == [("last", "isolated")]


def test_the_budget_of_float32_does_not_grow(run: DetectorComparison) -> None:
    images = run.inputs.images((32, 32))
    given = taps_made_by(run.sides.reference("float32"), images)
    bounds, most = run.sides.port("float64").rounding_bounds(images, given), rounding_budget(given["p6"], ISOLATED)
    assert np.max(float32_bounds(given, bounds)["p6"]) <= most
