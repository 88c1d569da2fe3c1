"""The narrow network, which takes the steps of an optimiser and whole training runs."""

import numpy as np

from parity_tests.retinanet.comparison import DetectorComparison
from parity_tests.retinanet.inputs import random_images
from parity_tests.retinanet.narrow import narrow_shape, narrow_variables
from parity_tests.rule.budgets import CASCADED, largest, largest_difference, rounding_budget
from parity_tests.tests.support.planted import taps_made_by


def test_it_has_every_variable_with_a_sixteenth_of_its_channels(whole: DetectorComparison) -> None:
    variables = whole.weights
    narrow = narrow_variables(variables)
    assert narrow.keys() == variables.keys()
    assert narrow["fpn/backbone/conv5_block1_1_conv/kernel"].shape == (1, 1, 64, 32)
    assert sum(values.size for values in narrow.values()) < sum(values.size for values in variables.values()) / 60


def test_colours_and_what_the_heads_give_stay() -> None:
    assert narrow_shape("fpn/backbone/conv1_conv/kernel", (7, 7, 3, 64)) == (7, 7, 3, 4)
    assert narrow_shape("cls_head/4/kernel", (3, 3, 256, 90)) == (3, 3, 16, 90)
    assert narrow_shape("box_head/4/bias", (36,)) == (36,)


def test_kernels_grow_as_their_sums_get_shorter_and_stay_float32_numbers() -> None:
    name, kernel = "fpn/conv_c3_3x3/kernel", np.float32(0.1) * np.ones((3, 3, 256, 256), np.float32)
    found = narrow_variables({name: kernel})[name]
    assert found.dtype == np.float32
    assert np.array_equal(found, 4 * kernel[:, :, :16, :16])


def test_both_sides_have_the_same_one(whole: DetectorComparison) -> None:
    sides = [whole.narrowed(side) for side in (whole.sides.reference("float64"), whole.sides.port("float64"))]
    reference, port = (taps_made_by(side, random_images((64, 96))) for side in sides)
    assert reference.keys() == port.keys()
    assert (reference["c5"].shape, reference["p3"].shape) == ((2, 2, 3, 128), (2, 8, 12, 16))
    for name, values in reference.items():
        assert largest(values) > 0
        assert largest_difference(values, port[name]) <= rounding_budget(values, CASCADED), name


def test_a_narrow_network_is_its_own(run: DetectorComparison) -> None:
    assert run.is_narrow
    assert run.narrow_weights is run.weights
    for side in (run.sides.reference("float64"), run.sides.port("float64")):
        assert run.narrowed(side) is side
