"""The rungs *detections* and *metric* on annotated pictures of a user: what trained weights find on both sides."""

from collections.abc import Mapping, Sequence

from parity_tests.retinanet.matching import Detections, compare_detections
from parity_tests.retinanet.run import Case, Run
from parity_tests.rule.compare import CASCADED, Record


def detections_on_pictures(run: Run) -> list[Case]:
    """Detections on the run's pictures, if it has any."""
    return [Case("detections", "pictures", lambda: _detections(run))] if run.scenes else []


def numbers_on_pictures(run: Run) -> Sequence[Mapping[str, float]]:
    """COCO's numbers of both sides on the run's pictures."""
    boxes = [boxes for scene in run.scenes for boxes in scene.boxes]
    labels = [labels for scene in run.scenes for labels in scene.labels]
    return [run.metric(found, boxes, labels) for found in _found(run)]


def _detections(run: Run) -> list[Record]:
    reference, port = _found(run)
    return compare_detections("detections", "pictures float64", reference, port, limits=run.limits, units=CASCADED)


def _found(run: Run) -> Sequence[list[Detections]]:
    """What each side finds, from the pictures to the boxes, in float64; computed once."""
    if not run.found:
        for side in run.sides("float64"):
            outputs = [(side.forward(scene.images)["outputs"], scene.size) for scene in run.scenes]
            run.found.append([d for values, size in outputs for d in side.detections(values, size)])
    return run.found
