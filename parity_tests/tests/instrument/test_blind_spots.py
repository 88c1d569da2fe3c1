"""What sizes cannot tell apart is said; each declared blind spot is measured at sizes of the sweep."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from parity_tests.retinanet.blind_spots import (
    BLIND_SPOTS,
    BlindSpot,
    unseen_at,
    unseen_in,
    unseen_overrides,
    unseen_zeros,
)
from parity_tests.retinanet.comparison import DetectorComparison
from parity_tests.retinanet.inputs import Size, size_name
from parity_tests.retinanet.rungs.shapes import REFUSED, SWEEP
from parity_tests.rule.record import Record, Where
from parity_tests.tests.support.planted import changed_network, changed_run, where_it_starts

BY_OVERRIDE = {spot.override: spot for spot in BLIND_SPOTS}


def records_at(rung: str, sizes: Sequence[Size]) -> list[Record]:
    return [Record(rung=rung, where=Where(size=size), name="p3", verdict="equal") for size in sizes]


def test_a_run_that_cannot_see_a_convention_says_so_and_what_to_add() -> None:
    assert unseen_at(records_at("forward", [(160, 32), (32, 32)])) == [
        "P6/P7 padding is invisible at all sizes tested (160x32, 32x32): add an even P5 side, as 128x128"
    ]
    assert unseen_at(records_at("forward", [(160, 32), (128, 96)])) == []
    assert unseen_at(records_at("metric", [(160, 160)])) == []


def test_square_sizes_cannot_tell_height_from_width() -> None:
    [warning] = unseen_at(records_at("forward", [(128, 128)]))
    assert warning.startswith("height taken for width is invisible at all sizes tested (128x128): add a size")


@pytest.mark.parametrize("size", [*SWEEP], ids=size_name)
def test_the_strides_of_anchors_show_where_they_are_declared_to(run: DetectorComparison, size: Size) -> None:
    spot = BY_OVERRIDE["anchor_stride=picture_over_cells"]
    assert shows(replace(changed_run(run, spot.override), sizes=[size]), spot, size) == spot.shows(size)


@pytest.mark.parametrize("size", [(32, 32), (64, 64), (96, 96), (160, 160), (128, 96), (96, 160), (288, 32)])
def test_padding_shows_where_it_is_declared_to(run: DetectorComparison, size: Size) -> None:
    spot = BY_OVERRIDE["stride2_padding=symmetric"]
    assert shows(changed_network(run, spot.override, sizes=[size]), spot, size) == spot.shows(size)


@pytest.mark.parametrize("size", [REFUSED[0], SWEEP[1]], ids=size_name)
def test_upsampling_to_size_shows_where_it_is_declared_to(run: DetectorComparison, size: Size) -> None:
    spot = BY_OVERRIDE["upsample=nearest_to_size"]
    assert shows(changed_network(run, spot.override), spot, size) == spot.shows(size)


@pytest.mark.parametrize("size", [(128, 96), (128, 112), (96, 160), (288, 32)], ids=size_name)
def test_a_thousand_of_a_level_show_where_they_are_declared_to(run: DetectorComparison, size: Size) -> None:
    spot = BY_OVERRIDE["topk_per_level=1000"]
    assert shows(replace(changed_run(run, spot.override), sizes=[size]), spot, size) == spot.shows(size)


def shows(run: DetectorComparison, spot: BlindSpot, size: Size) -> bool:
    return where_it_starts(run, spot.rung, size_name(size)) != "equal"


def test_turns_that_no_comparison_shows_are_named() -> None:
    seen = Record(rung="forward", where=Where(), name="p3", verdict="equal")
    assert unseen_overrides(["channel_order=rgb"], [seen]) == [
        "channel_order=rgb is changed in the port, and no comparison shows it: "
        "`retinanet-parity ablate` says where a convention does"
    ]
    assert unseen_overrides(["min_side=608", "bias_steps=parameter"], [seen])[0].startswith(
        "min_side=608 and bias_steps=parameter are changed in the port, and no comparison"
    )
    assert unseen_overrides([], [seen]) == []
    assert unseen_overrides(["p7_relu=before"], [seen, replace(seen, verdict="different")]) == []


def test_weights_that_hold_one_number_are_named() -> None:
    variables = {"a/kernel": np.array([1.0, 2.0]), "a/bias": np.zeros(3), "b/gamma": np.ones(3), "c/bias": np.zeros(1)}
    assert unseen_in(variables) == [
        "a mistake in variables that hold one number throughout (a/bias and 1 more) may be invisible: train first"
    ]
    assert unseen_in({"a/kernel": variables["a/kernel"]}) == []


def test_taps_that_are_zero_everywhere_are_named() -> None:
    def record(size: Size, name: str, scale: float) -> Record:
        where = Where(size=size, dtype="float64", mode="isolated")
        return Record(rung="forward", where=where, name=name, verdict="equal", scale=scale)

    seen = [record((32, 32), "p6", 0.0), record((64, 64), "p6", 1.0)]
    assert unseen_zeros(seen) == []
    assert unseen_zeros([*seen, record((32, 32), "p7", 0.0)]) == [
        "p7 is zero everywhere, and whatever makes zeros would pass"
    ]
