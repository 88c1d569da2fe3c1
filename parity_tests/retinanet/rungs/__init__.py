"""The rungs of the ladder: each turns a comparison into cases. None of them loads a framework."""

from collections.abc import Callable, Sequence

from parity_tests.retinanet.comparison import PRESETS, DetectorCase, DetectorComparison
from parity_tests.retinanet.raised import answering
from parity_tests.retinanet.rungs.anchors import anchors
from parity_tests.retinanet.rungs.backward import backward
from parity_tests.retinanet.rungs.detections import detections
from parity_tests.retinanet.rungs.detector import detector
from parity_tests.retinanet.rungs.forward import forward
from parity_tests.retinanet.rungs.gradients import gradients
from parity_tests.retinanet.rungs.losses import losses
from parity_tests.retinanet.rungs.metric import metric
from parity_tests.retinanet.rungs.parameters import parameters
from parity_tests.retinanet.rungs.pictures import pictures
from parity_tests.retinanet.rungs.shapes import shapes
from parity_tests.retinanet.rungs.step import step
from parity_tests.retinanet.rungs.targets import targets
from parity_tests.retinanet.rungs.training import training
from parity_tests.retinanet.rungs.trajectory import trajectory
from parity_tests.retinanet.rungs.variations import variations

RUNGS: dict[str, Callable[[DetectorComparison], list[DetectorCase]]] = {
    "pictures": pictures,
    "shapes": shapes,
    "parameters": parameters,
    "forward": forward,
    "anchors": anchors,
    "targets": targets,
    "losses": losses,
    "gradients": gradients,
    "backward": backward,
    "step": step,
    "training": training,
    "trajectory": trajectory,
    "detections": detections,
    "variations": variations,
    "detector": detector,
    "metric": metric,
}
"""All rungs in the order in which they are climbed."""


def cases_of(run: DetectorComparison, rungs: Sequence[str]) -> list[DetectorCase]:
    """The cases of some rungs, in the order of the ladder."""
    return [answering(case) for rung, make in RUNGS.items() if rung in rungs for case in make(run)]


__all__ = ["PRESETS", "RUNGS", "DetectorComparison", "cases_of"]
