"""How far float32 may round: bounds that hold, that follow the layers, and that a mistake breaks."""

import numpy as np
import pytest
import torch
from torch import nn

from parity_tests.bridge.rounding import UNIT, Rounded, through
from parity_tests.bridge.side import Side
from parity_tests.rungs import Run
from parity_tests.rungs.forward import rounding_bounds


def exact(values: torch.Tensor) -> Rounded:
    return Rounded(values, torch.zeros_like(values))


def test_a_convolution_is_bound_by_the_root_of_its_terms_times_their_magnitudes() -> None:
    conv = nn.Conv2d(2, 1, kernel_size=1, bias=False).double()
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([3.0, -3.0]).view(1, 2, 1, 1))
        bound = through(conv, exact(torch.tensor([5.0, 5.0], dtype=torch.float64).view(1, 2, 1, 1))).bounds
    assert float(bound) == pytest.approx(np.sqrt(2) * UNIT * 30), "large where terms cancel to 0"


def test_what_a_layer_takes_over_goes_through_its_absolute_weights() -> None:
    conv = nn.Conv2d(2, 1, kernel_size=1, bias=True).double()
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([3.0, -4.0]).view(1, 2, 1, 1))
        off = torch.ones(1, 2, 1, 1, dtype=torch.float64)
        bound = through(conv, Rounded(torch.zeros_like(off), off)).bounds
    assert float(bound) == pytest.approx(7, rel=1e-6)


def test_the_bounds_hold_for_both_frameworks_with_room_to_spare(run: Run) -> None:
    images = run.inputs.images((32, 64))
    reference, port = run.sides("float32")
    given = reference.forward(images)
    isolated, bounds = port.forward(images, given=given), rounding_bounds(run, images, given)
    used = {}
    for name, bound in bounds.items():
        apart = np.abs(given[name].astype(np.float64) - isolated[name])
        assert (apart <= bound).all(), name
        used[name] = float(np.max(apart / np.maximum(bound, 1e-30)))
    assert 0.05 < max(used.values()) < 0.5, "no budget is so wide that nothing comes near it"


def test_taps_that_hand_on_their_input_may_not_round_at_all(sides: tuple[Side, Side], run: Run) -> None:
    images = run.inputs.images((32, 64))
    bounds = rounding_bounds(run, images, sides[0].forward(images))
    assert [name for name, bound in bounds.items() if not np.ndim(bound)] == [
        *("c3", "c4", "c5", "logits", "deltas", "outputs")
    ]


def test_each_element_has_a_budget_of_its_own(run: Run) -> None:
    images = run.inputs.images((32, 64))
    given = run.sides("float32")[0].forward(images)
    bound = rounding_bounds(run, images, given)["stem"]
    assert isinstance(bound, np.ndarray)
    assert bound.shape == given["stem"].shape
    assert bound.max() < 1e-4 * np.abs(given["stem"]).max()
    assert bound.min() < bound.max() / 2
