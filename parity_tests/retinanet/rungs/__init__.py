"""The ladder: what is compared, step by step. Each rung turns a `Run` into cases, each case gives records."""

from collections.abc import Callable

from parity_tests.retinanet.climb import climb
from parity_tests.retinanet.run import PRESETS, Case, Run
from parity_tests.retinanet.rungs.anchors import anchors
from parity_tests.retinanet.rungs.backward import backward
from parity_tests.retinanet.rungs.detections import detections
from parity_tests.retinanet.rungs.forward import forward
from parity_tests.retinanet.rungs.gradients import gradients
from parity_tests.retinanet.rungs.losses import losses
from parity_tests.retinanet.rungs.metric import metric
from parity_tests.retinanet.rungs.parameters import parameters
from parity_tests.retinanet.rungs.shapes import shapes
from parity_tests.retinanet.rungs.step import step
from parity_tests.retinanet.rungs.targets import targets
from parity_tests.retinanet.rungs.trajectory import trajectory

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
