"""What the default run compares of the network, and that it is equal, in narrow networks.

The other rungs have files of their own. `.ci/run` climbs all of them with the whole networks: that is the proof.
"""

import random
from collections.abc import Sequence
from dataclasses import replace

import keras
import numpy as np
import pytest
import torch

from parity_tests.ladder.climb import climb, compared
from parity_tests.retinanet import inputs
from parity_tests.retinanet.comparison import DetectorComparison
from parity_tests.retinanet.inputs import random_images, size_name
from parity_tests.retinanet.keras_side import KerasDetectorSide
from parity_tests.retinanet.names import longest_sums
from parity_tests.retinanet.rungs import RUNGS, cases_of
from parity_tests.retinanet.rungs.forward import FORWARD_SIZES, TRAINING_SIZE
from parity_tests.retinanet.rungs.shapes import REFUSED, SWEEP
from parity_tests.retinanet.side import DetectorSide
from parity_tests.retinanet.torch_side import TorchDetectorSide
from parity_tests.retinanet.torch_surroundings import Config
from parity_tests.rule.budgets import CASCADED, isolated_units
from parity_tests.rule.record import Array, Record, verdict_of
from parity_tests.tests.support.planted import taps_made_by

TAPS = (
    *("stem", *(f"conv{s}_block{j}" for s, n in ((2, 3), (3, 4), (4, 6), (5, 3)) for j in range(1, n + 1))),
    *("c3", "c4", "c5", "lateral3", "lateral4", "lateral5", "merged4", "merged3", "p3", "p4", "p5", "p6", "p7"),
    *(f"{head}.p{level}.{i}" for level in range(3, 8) for head in ("cls", "box") for i in range(5)),
    *("logits", "deltas", "outputs"),
)
EPS = float(np.finfo(np.float64).eps)


@pytest.fixture(scope="module")
def variables(run: DetectorComparison) -> dict[str, Array]:
    return dict(run.weights)


@pytest.fixture(scope="module")
def records(run: DetectorComparison) -> list[Record]:
    """The records of the notebook's rungs that compare the network as it is."""
    return climb(cases_of(run, ("shapes", "parameters", "forward")), run.sides)


def of(records: Sequence[Record], rung: str, case: str) -> dict[str, Record]:
    return {record.name: record for record in records if record.rung == rung and record.where.text == case}


def test_the_default_run_is_equal(records: list[Record]) -> None:
    """Fresh values are those of whole networks, of which a narrow one is cut."""
    judged = [record for record in records if record.rung != "parameters"]
    assert [record for record in judged if record.verdict != "equal"] == []
    assert verdict_of(judged) == "equal"


@pytest.mark.parametrize("size", FORWARD_SIZES, ids=size_name)
@pytest.mark.parametrize("mode", ["isolated", "cascaded"])
def test_every_tap_is_within_its_roundings_in_float64(
    records: list[Record], size: inputs.Size, mode: str, variables: dict[str, Array]
) -> None:
    taps = of(records, "forward", f"{size_name(size)} float64 {mode}")
    assert tuple(taps) == TAPS
    terms = longest_sums({name: values.shape for name, values in variables.items()})
    for name, record in taps.items():
        units = CASCADED if mode == "cascaded" else isolated_units(terms.get(name, 1))
        assert record.difference is not None
        assert record.scale
        assert record.difference <= units * EPS * record.scale


@pytest.mark.parametrize("size", FORWARD_SIZES, ids=size_name)
@pytest.mark.parametrize("mode", ["isolated", "cascaded"])
def test_every_tap_is_compared_in_float32_in_a_batch_of_two(
    records: list[Record], size: inputs.Size, mode: str
) -> None:
    taps = of(records, "forward", f"{size_name(size)} float32 {mode}")
    assert tuple(taps) == TAPS
    assert {record.reference_shape[0] for record in taps.values() if record.reference_shape} == {2}


def test_a_training_step_leaves_the_same_statistics_and_modules_without_make_the_same(records: list[Record]) -> None:
    names = of(records, "forward", f"{size_name(TRAINING_SIZE)} float64 training")
    assert sum("/moving_" in name for name in names) == 2 * 53
    assert {"p3", "cls.p3.0", "box.p7.4", "outputs"} <= names.keys()


def test_the_sweep_has_sizes_of_every_kind() -> None:
    p5 = [(height // 32, width // 32) for height, width in SWEEP]
    assert len(SWEEP) >= 12
    assert (32, 32) in SWEEP
    assert {height % 2 for height, _ in p5} == {width % 2 for _, width in p5} == {0, 1}
    assert any(height > width for height, width in p5)
    assert any(height < width for height, width in p5)


@pytest.mark.parametrize("size", SWEEP, ids=size_name)
def test_anchors_are_nine_for_each_cell_of_each_level(records: list[Record], size: inputs.Size) -> None:
    taps = of(records, "shapes", size_name(size))
    shapes = [(taps[level].reference_shape, taps[level].port_shape) for level in ("p3", "p4", "p5", "p6", "p7")]
    expected = 9 * sum(reference[1] * reference[2] for reference, _ in shapes if reference)
    assert taps["anchors"].reference_shape == taps["anchors"].port_shape == (expected,)
    assert all(reference == port for reference, port in shapes)


def test_there_are_3069_anchors_at_128x128(records: list[Record]) -> None:
    assert of(records, "shapes", "128x128")["anchors"].port_shape == (3069,)


@pytest.mark.parametrize("size", REFUSED, ids=size_name)
def test_sizes_that_do_not_divide_by_32_are_refused_by_both_at_the_same_tap(
    records: list[Record], size: inputs.Size
) -> None:
    taps = of(records, "shapes", size_name(size))
    assert tuple(taps) == (*TAPS[: TAPS.index("merged4")], "anchors")
    assert taps["anchors"].reference_shape is taps["anchors"].port_shape is None


def test_every_variable_is_compared(records: list[Record], variables: dict[str, Array]) -> None:
    compared = of(records, "parameters", "fresh")
    assert set(compared) == {*variables, "count"}


def test_a_run_at_a_size_that_the_reference_refuses_is_incomplete(run: DetectorComparison) -> None:
    refused = replace(run, sizes=[(120, 120)])
    for rung in ("shapes", "forward"):
        records = compared(RUNGS[rung](refused)[0], run.sides)
        assert any(record.verdict == "incomplete" for record in records)
        assert verdict_of(records) != "equal"


def test_both_sides_hold_the_same_weights_after_the_transfer(sides: tuple[DetectorSide, DetectorSide]) -> None:
    reference, port = (side.parameters() for side in sides)
    assert reference.keys() == port.keys()
    for name, values in reference.items():
        assert np.array_equal(values, port[name]), name


def test_fed_taps_are_what_a_module_goes_on_with(sides: tuple[DetectorSide, DetectorSide]) -> None:
    images = random_images((64, 64))
    for side in sides:
        own = taps_made_by(side, images)
        given = own | {"p6": own["p6"] + 1}
        fed = taps_made_by(side, images, given=given)
        assert np.array_equal(fed["p6"], own["p6"])
        assert not np.array_equal(fed["p7"], own["p7"])
        assert np.array_equal(fed["p5"], own["p5"])


def test_models_leave_the_global_precision_and_generators_alone() -> None:
    torch_state, numpy_state, python_state = torch.get_rng_state(), str(np.random.get_state()), random.getstate()
    KerasDetectorSide("notebook", 1, "float64")
    TorchDetectorSide(Config.notebook(1), "float64")
    assert keras.config.floatx() == "float32"
    assert keras.config.dtype_policy().name == "float32"
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert str(np.random.get_state()) == numpy_state
    assert random.getstate() == python_state


def test_noise_is_sign_symmetric_and_varies_along_both_axes() -> None:
    images = random_images((64, 96))
    assert images.shape == (2, 64, 96, 3)
    assert -1 <= images.min() < -0.5 < 0.5 < images.max() <= 1
    assert abs(images.mean()) < 0.05
    assert not np.array_equal(images[0], images[1])
    assert np.array_equal(images, random_images((64, 96)))
