"""How far float32 may round: bounds that hold, that follow the layers, and that a mistake breaks."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from parity_tests.ladder.climb import climb
from parity_tests.retinanet.comparison import DetectorComparison
from parity_tests.retinanet.rounding import UNIT, Rounded, through
from parity_tests.retinanet.rungs.forward import float32_bounds
from parity_tests.retinanet.side import DetectorSide
from parity_tests.retinanet.torch_side import TorchDetectorSide
from parity_tests.rule.record import Array
from parity_tests.tests.support.planted import cases_on, changed_network, taps_made_by


@pytest.fixture(scope="module")
def run(whole: DetectorComparison) -> DetectorComparison:
    """Bounds are those of the whole network."""
    whole.sides.restore()
    return whole


def exact(values: torch.Tensor) -> Rounded:
    return Rounded(values, torch.zeros_like(values))


def test_a_convolution_is_bound_by_the_root_of_its_terms_times_their_magnitudes() -> None:
    conv = nn.Conv2d(2, 1, kernel_size=1, bias=False).double()
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([3.0, -3.0]).view(1, 2, 1, 1))
        bound = through(conv, exact(torch.tensor([5.0, 5.0], dtype=torch.float64).view(1, 2, 1, 1))).bounds
    assert float(bound) == pytest.approx(np.sqrt(2) * UNIT * 30), "large where terms cancel to 0"


def test_what_a_layer_takes_over_adds_up_as_independent_errors_do() -> None:
    conv = nn.Conv2d(2, 1, kernel_size=1, bias=True).double()
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([3.0, -4.0]).view(1, 2, 1, 1))
        off = torch.ones(1, 2, 1, 1, dtype=torch.float64)
        bound = through(conv, Rounded(torch.zeros_like(off), off)).bounds
    assert float(bound) == pytest.approx(5, rel=1e-6)


def bounds_of(run: DetectorComparison, images: Array, given: Mapping[str, Array]) -> dict[str, float | Array]:
    """What float32 may be off at each tap, as the rung has it."""
    return float32_bounds(given, run.sides.port("float64").rounding_bounds(images, given))


def shares(given: Mapping[str, Array], made: Mapping[str, Array], bounds: Mapping[str, Any]) -> dict[str, float]:
    """The largest share of its bound that an element of each tap has used."""
    apart = {name: np.abs(given[name].astype(np.float64) - made[name]) for name in bounds}
    return {name: float(np.max(apart[name] / np.maximum(bound, 1e-30))) for name, bound in bounds.items()}


def test_the_bounds_hold_for_both_frameworks_and_none_is_so_wide_that_nothing_comes_near_it(
    run: DetectorComparison,
) -> None:
    images = run.inputs.images((64, 96))
    given = taps_made_by(run.sides.reference("float32"), images)
    port = run.sides.port("float32")
    used = shares(given, taps_made_by(port, images, given=given), bounds_of(run, images, given))
    rounding = {name: share for name, share in used.items() if share}
    assert len(rounding) > 50
    assert max(rounding.values()) < 0.75
    assert min(rounding.values()) > 0.01


@pytest.mark.planted
def test_products_of_fewer_digits_break_the_bound_of_every_module(run: DetectorComparison) -> None:
    """As of a GPU that computes in TF32, with 10 bits after the point instead of 23."""
    images = run.inputs.images((64, 96))
    given = taps_made_by(run.sides.reference("float32"), images)
    port = TorchDetectorSide(run.config, "float32")
    port.assign({name: rounded_to_tf32(value) for name, value in run.weights.items()})
    used = shares(given, taps_made_by(port, images, given=given), bounds_of(run, images, given))
    handed_on = ("c3", "c4", "c5", "merged3", "merged4", "logits", "deltas", "outputs")
    assert [name for name, share in used.items() if share <= 1 and name not in handed_on] == []


def rounded_to_tf32(values: Array) -> Array:
    bits = values.astype(np.float32).view(np.uint32)
    rounded: Array = ((bits + np.uint32(1 << 12)) & np.uint32(0xFFFFE000)).view(np.float32)
    return rounded


def test_taps_that_hand_on_their_input_may_not_round_at_all(
    sides: tuple[DetectorSide, DetectorSide], run: DetectorComparison
) -> None:
    images = run.inputs.images((32, 64))
    bounds = bounds_of(run, images, taps_made_by(sides[0], images))
    assert [name for name, bound in bounds.items() if np.ndim(bound) == 0] == [
        *("c3", "c4", "c5", "logits", "deltas", "outputs")
    ]


def test_each_element_has_a_budget_of_its_own(run: DetectorComparison) -> None:
    images = run.inputs.images((32, 64))
    given = taps_made_by(run.sides.reference("float32"), images)
    bound = bounds_of(run, images, given)["stem"]
    assert isinstance(bound, np.ndarray)
    assert bound.shape == given["stem"].shape
    assert bound.max() < 1e-5 * np.abs(given["stem"]).max()
    assert bound.min() < bound.max() / 2


@pytest.mark.planted
def test_a_row_in_float32_says_whose_rounding_it_is(
    models: DetectorComparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    convolve = nn.Conv2d.forward

    def coarse(self: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
        made = convolve(self, x)
        return made.half().float() if made.dtype is torch.float32 else made

    monkeypatch.setattr(nn.Conv2d, "forward", coarse)
    records = climb(cases_on(replace(models, sizes=[(32, 64)]), "forward", "32x64"), models.sides)
    rows = [r for r in records if (r.where.dtype, r.where.mode) == ("float32", "isolated")]
    assert all(row.own_errors is not None for row in rows)
    [stem] = [row for row in rows if row.name == "stem"]
    assert (stem.verdict, stem.own_errors and stem.own_errors[1] > 50 * stem.own_errors[0]) == ("different", True)
    assert "from its own float64 the reference is" in stem.reason


@pytest.mark.planted
def test_it_does_so_where_both_sides_part_in_float64_too(models: DetectorComparison) -> None:
    changed = replace(changed_network(models, "bn_eps=1e-3"), sizes=[(32, 64)], dtypes=("float64", "float32"))
    rows = [r for r in climb(cases_on(changed, "forward", "32x64"), changed.sides) if r.where.dtype == "float32"]
    assert any(row.verdict == "different" for row in rows)
    assert all(row.own_errors is not None for row in rows)
    scales = {row.name: row.scale or 0.0 for row in rows}
    assert all(max(row.own_errors or ()) < 1e-4 * scales[row.name] for row in rows), "rounding alone, not the mistake"
