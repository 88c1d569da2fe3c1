"""Fresh values that two layers share, and taps that a later module changes in place: each is caught and named."""

from typing import Any

import numpy as np
import pytest
from torch import Tensor, nn

from parity_tests import OwnTaps, TorchModule, compare_models
from parity_tests.retinanet.rungs.parameters import compare_fresh
from parity_tests.rule.divergence import divergence
from parity_tests.rule.record import Array
from parity_tests.tests.support.small_models import pictures, tap

ROWS = pictures(5, 3)


def fresh(*, same: bool = False) -> dict[str, Array]:
    """Kernels of two heads, and a bias that both have at zero."""
    drawn = [np.random.default_rng(seed).uniform(-1, 1, (3, 3, 8, 8)).astype(np.float32) for seed in (0, 1)]
    kernels = (drawn[0], drawn[0].copy() if same else drawn[1])
    biases = {f"{head}/0/bias": np.zeros(8, np.float32) for head in ("cls_head", "box_head")}
    return {"cls_head/0/kernel": kernels[0], "box_head/0/kernel": kernels[1], **biases}


@pytest.mark.parametrize("same", [False, True])
def test_layers_that_begin_alike_on_both_sides_or_on_neither_are_equal(same: bool) -> None:
    assert {record.verdict for record in compare_fresh(fresh(same=same), fresh(same=same))} == {"equal"}


@pytest.mark.planted
@pytest.mark.parametrize("side", ["reference", "port"])
def test_layers_that_begin_alike_on_one_side_alone_are_named(side: str) -> None:
    records = compare_fresh(fresh(same=side == "reference"), fresh(same=side == "port"))
    found = {record.name: record.reason for record in records if record.verdict == "different"}
    reason = f"its fresh values are those of another variable, in the {side} alone"
    assert found == dict.fromkeys(("cls_head/0/kernel", "box_head/0/kernel"), reason)


class Levels(nn.Module):
    """A level of which another is made, through a ReLU; and what a head makes of both."""

    def __init__(self, *, in_place: bool) -> None:
        super().__init__()
        self.p6, self.p7, self.head = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2)
        self.relu = nn.ReLU(inplace=in_place)

    def forward(self, rows: Tensor, taps: Any = None) -> Tensor:
        p6 = tap(taps, "p6", self.p6(rows))
        p7 = tap(taps, "p7", self.p7(self.relu(p6)))
        heads = [tap(taps, f"head.{name}", self.head(level)) for name, level in (("p6", p6), ("p7", p7))]
        outputs: Tensor = tap(taps, "outputs", heads[0] + heads[1])
        return outputs


def where_it_starts(*, lasting: bool, in_place: bool) -> str:
    reference, port = Levels(in_place=False), Levels(in_place=in_place)
    left, right = (TorchModule(model, OwnTaps(lasting=lasting)) for model in (reference, port))
    parting = divergence(compare_models(left, right, ROWS, rungs=("forward",)).records)
    return "equal" if parting is None else parting.first.name


@pytest.mark.planted
def test_a_tap_that_a_later_module_changes_is_named_and_not_who_reads_it() -> None:
    assert where_it_starts(lasting=True, in_place=True) == "p6"
    assert where_it_starts(lasting=False, in_place=True) == "head.p6"
    assert where_it_starts(lasting=True, in_place=False) == "equal"
