"""Each convention of the network that is changed the wrong way is found, and named where it starts."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from parity_tests.ladder.climb import climb
from parity_tests.retinanet.comparison import DetectorComparison, detector_sides
from parity_tests.retinanet.inputs import read_size
from parity_tests.retinanet.keras_side import KerasDetectorSide
from parity_tests.retinanet.rungs import cases_of
from parity_tests.retinanet.setup import start_run
from parity_tests.retinanet.torch_surroundings import Config
from parity_tests.tests.support.changed_conventions import CONVENTIONS, FORWARD, PARAMETERS, STATISTICS, UPSAMPLING
from parity_tests.tests.support.planted import changed_network, where_it_starts
from torch_retinanet.config import PRESETS
from torch_retinanet.config.fields import conventions


@pytest.mark.planted
@pytest.mark.parametrize("changed", FORWARD)
def test_a_changed_convention_is_named_at_the_tap_where_it_starts(run: DetectorComparison, changed: str) -> None:
    assert where_it_starts(changed_network(run, changed, sizes=[(64, 64)]), "forward", "64x64") == FORWARD[changed]


@pytest.mark.planted
@pytest.mark.parametrize("changed", STATISTICS)
def test_a_changed_convention_is_named_in_the_statistics(run: DetectorComparison, changed: str) -> None:
    assert where_it_starts(changed_network(run, changed), "forward", "training") == STATISTICS[changed]


def fresh(run: DetectorComparison) -> DetectorComparison:
    """The comparison with a reference that is built, and so has fresh values."""
    reference = partial(KerasDetectorSide, run.preset, run.config.num_classes)
    return replace(run, sides=detector_sides({**run.sides.build, "reference": reference}, run.weights))


def test_fresh_variables_are_equal_where_no_convention_is_changed(whole: DetectorComparison) -> None:
    assert where_it_starts(fresh(changed_network(whole)), "parameters", "fresh") == "equal"


@pytest.mark.planted
@pytest.mark.parametrize("changed", PARAMETERS)
def test_a_changed_convention_is_named_in_fresh_variables(whole: DetectorComparison, changed: str) -> None:
    assert where_it_starts(fresh(changed_network(whole, changed)), "parameters", "fresh") == PARAMETERS[changed]


@pytest.mark.planted
@pytest.mark.parametrize(
    "wrong", [{"anchor_scale": 3.0}, {"anchor_ratios": (0.5, 1.0, 3.0)}, {"anchor_scales": (1.0, 1.3, 1.6)}]
)
def test_a_wrong_number_in_a_preset_of_the_port_is_named(
    wrong: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRESETS, "notebook", replace(PRESETS["notebook"], **wrong))
    started = replace(start_run("notebook", sizes=[(64, 64)]), dtypes=("float64",))
    cases = [case for case in cases_of(started, ("anchors",)) if case.where.size == (64, 64)]
    found = [record.verdict for record in climb(cases, started.sides) if record.name == "anchors"]
    assert {*found} == {"different"}


PICTURE_SIDE = {
    *("channel_order", "pixel_mean", "pixel_std", "padding_value", "resize_antialias", "min_side", "max_side"),
    *("resize_rounding", "padded_from", "pad_multiple", "resize_edges", "resized_to", "whole_pixels", "pad_always"),
    *("resize_ratio", "padding_place", "resize_library"),
}
"""Conventions of what is done to pictures before the network, which test_preprocess.py holds to their sources."""


ELSEWHERE = {
    *("gn_eps", "forced_box", "clip_edges", "empty_boxes", "clip_at", "clip_detections"),
    *("background_iou", "ignore_outside", "clip_border", "gn_groups", "gn_conv_bias"),
    "shortcut_bias",
    *("block_padding", "pyramid_norm"),
}
"""Conventions of what no Keras reference has, which test_published.py and tests/peers hold to their sources."""


def test_every_convention_is_changed_on_some_rung() -> None:
    surroundings = [assignment for faults in CONVENTIONS.values() for assignment in faults]
    network = [*FORWARD, *STATISTICS, *PARAMETERS, UPSAMPLING]
    changed = {assignment.partition("=")[0] for assignment in (*network, *surroundings)}
    assert changed | PICTURE_SIDE | ELSEWHERE == {field.name for field in conventions(Config)}


@pytest.mark.parametrize(
    ("size", "starts_at"),
    [
        ("64x64", "p6"),  # C5 has a side of 2, which is even
        ("128x96", "p6"),  # of 4 and 3: one even side is enough
        ("96x96", "p7"),  # C5 has 3, P6 has 2
        ("32x32", "equal"),  # C5 and P6 have 1
        ("160x160", "equal"),  # C5 has 5, P6 has 3
    ],
)
def test_the_padding_of_p6_and_p7_shows_where_the_level_below_has_an_even_side_and_only_there(
    run: DetectorComparison, size: str, starts_at: str
) -> None:
    changed = changed_network(run, "stride2_padding=symmetric", sizes=[read_size(size)])
    assert where_it_starts(changed, "forward", size) == starts_at


def test_upsampling_to_size_shows_only_at_sizes_that_the_notebook_refuses(run: DetectorComparison) -> None:
    changed = changed_network(run, UPSAMPLING)
    assert where_it_starts(changed, "forward", "96x160") == "equal"
    assert where_it_starts(changed, "shapes", "64x64") == "equal"
    assert where_it_starts(changed, "shapes", "64x224") == "equal"
    assert where_it_starts(changed, "shapes", "120x120") == "merged4"
