"""Training runs can fail: a convention or a setting of the port the wrong way is caught at the step where it tells."""

import gc
import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import pytest

from parity_tests.retinanet.comparison import DetectorComparison
from parity_tests.retinanet.keras_training import KerasTraining
from parity_tests.retinanet.side import Recipe
from parity_tests.tests.support.planted import ANSWERS, changed_run, where_it_starts

gradients: Any = importlib.import_module("parity_tests.retinanet.rungs.gradients")
trajectory: Any = importlib.import_module("parity_tests.retinanet.rungs.trajectory")


FEW, MORE = 2, 5
"""Steps of the training runs here: few where a fault shows soon."""


@pytest.fixture
def short_runs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training runs of so many steps, whose rate changes after the third."""
    monkeypatch.setattr(gradients, "STEPS", request.param)
    monkeypatch.setattr(trajectory, "RECIPE", trajectory.RECIPE._replace(rate_changes=((2, 3e-4),)))


TRAINING_FAULTS: dict[str, tuple[Sequence[str], Mapping[str, Any], str]] = {
    "constants that are not rounded": (("constants=exact",), {}, "loss.02"),
    "a rate that changes a step early": (("boundary=changes",), {}, "loss.04"),
    "a rate within the momentum": (("momentum_rate=when_used",), {}, "loss.05"),
    "no clipping": ((), {"clip_norm": None}, "loss.02"),
    "positives of the batch": (("loss_normaliser=batch",), {}, "loss.01"),
    "alpha for 1 - alpha": (("focal_alpha=0.75",), {}, "loss.01"),
    "half a cell's offset": (("anchor_centre=corner",), {}, "loss.01"),
    "a later rate that is a millionth too high": ((), {"rate_changes": ((2, 3e-4 * (1 + 1e-6)),)}, "loss.05"),
}
"""Conventions and settings of the port, and the step at which the loss tells."""


def steps_for(fault: str) -> int:
    """After how many steps a fault is sure to show."""
    return FEW if TRAINING_FAULTS[fault][2] <= f"loss.{FEW:02d}" else MORE


@pytest.mark.planted
@pytest.mark.parametrize("mode", ["inference", "training"])
@pytest.mark.parametrize(
    ("short_runs", "fault"), [(steps_for(fault), fault) for fault in TRAINING_FAULTS], indirect=["short_runs"]
)
def test_a_training_run_tells_at_which_step_a_fault_shows(
    run: DetectorComparison, short_runs: None, fault: str, mode: str
) -> None:
    assignments, settings, step = TRAINING_FAULTS[fault]
    assert where_it_starts(changed_run(run, *assignments, **settings), "trajectory", mode) == step


@pytest.mark.parametrize("short_runs", [MORE], indirect=True)
@pytest.mark.parametrize("mode", ["inference", "training"])
def test_a_training_run_without_a_fault_is_equal(run: DetectorComparison, short_runs: None, mode: str) -> None:
    assert where_it_starts(changed_run(run), "trajectory", mode) == "equal"


@pytest.mark.slow
@pytest.mark.planted
def test_a_whole_training_run_tells_a_late_fault_of_a_millionth(run: DetectorComparison) -> None:
    ANSWERS.clear()  # those of short runs
    boundary, rate = trajectory.RECIPE.rate_changes[0]
    late = changed_run(run, rate_changes=((boundary, rate * (1 + 1e-6)),))
    assert where_it_starts(late, "trajectory", "training") == f"loss.{boundary + 3:02d}"


def test_a_training_run_leaves_no_graph_behind() -> None:
    """Seed after seed, each would hold 60 MB."""

    def train() -> None:
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        training = KerasTraining(model, lambda labels, found: keras.ops.sum(found - labels))
        training.train(
            [(keras.ops.ones((1, 2)), keras.ops.ones((1, 1)))], Recipe("sgd", 0.1, clip_norm=1.0), training=True
        )

    def graphs() -> int:
        gc.collect()
        return sum(type(thing).__name__ == "FuncGraph" for thing in gc.get_objects())

    train()
    before = graphs()
    train()
    assert graphs() == before
