"""The ladder: what is compared, step by step. Each rung turns a `Run` into cases, each case gives records."""

from collections.abc import Callable

from parity_tests.rungs.anchors import anchors
from parity_tests.rungs.backward import backward
from parity_tests.rungs.climb import climb
from parity_tests.rungs.detections import detections
from parity_tests.rungs.forward import forward
from parity_tests.rungs.gradients import gradients
from parity_tests.rungs.losses import losses
from parity_tests.rungs.metric import metric
from parity_tests.rungs.parameters import parameters
from parity_tests.rungs.run import PRESETS, Case, Run
from parity_tests.rungs.shapes import shapes
from parity_tests.rungs.step import step
from parity_tests.rungs.targets import targets
from parity_tests.rungs.trajectory import trajectory

RUNGS: dict[str, Callable[[Run], list[Case]]] = {
    "shapes": shapes,
    "parameters": parameters,
    "forward": forward,
    "anchors": anchors,
    "targets": targets,
    "losses": losses,
    "gradients": gradients,
    "backward": backward,
    "step": step,
    "trajectory": trajectory,
    "detections": detections,
    "metric": metric,
}
"""All rungs in the order in which they are climbed. None of them loads a framework."""

__all__ = ["PRESETS", "RUNGS", "Case", "Run", "climb"]
