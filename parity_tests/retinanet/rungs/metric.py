"""The rung *metric*: COCO's numbers of both sides on the same pictures, the reference's by COCO's evaluation itself."""

from functools import partial

import numpy as np

from parity_tests.ladder.case import Answer
from parity_tests.retinanet.comparison import DetectorCase, DetectorComparison, DetectorSides
from parity_tests.retinanet.inputs import Marks, Scene, Size
from parity_tests.retinanet.metric_edges import EDGE_CLASSES, metric_edges
from parity_tests.retinanet.rungs.annotated import ON_PICTURES, numbers_on_pictures
from parity_tests.retinanet.rungs.detections import outputs_near_the_truth
from parity_tests.rule.compare import compare_taps
from parity_tests.rule.record import Record, Where

METRIC_SIZE: Size = (128, 128)
"""Picture size of the rung, where none is given."""

PICTURES = 24
"""Pictures that are evaluated together."""

SIX_DECIMALS = 5e-7
"""What a number may differ to be equal to six decimals."""


def metric(run: DetectorComparison) -> list[DetectorCase]:
    """The metric on digits, with outputs near the truth, and on a user's pictures."""
    cases = [*(_case(run, size) for size in run.sizes or [METRIC_SIZE]), _at_edges(run)]
    return [*cases, _on_pictures(run)] if run.scenes else cases


def _case(run: DetectorComparison, size: Size) -> DetectorCase:
    def reference(sides: DetectorSides) -> Answer:
        from parity_tests.retinanet.coco import numbers_of_coco  # which needs the extra `train`

        scene, side = run.inputs.digits(size, PICTURES), sides.reference("float64")
        near = outputs_near_the_truth(side, scene, run.config.num_classes)
        found, classes = side.detections(near, size), _classes(run, scene)
        numbers = numbers_of_coco(found, scene.boxes, scene.labels, _marks(scene), num_classes=classes)
        return {"scene": scene._asdict(), "near": near, "numbers": numbers}

    def port(sides: DetectorSides, given: Answer) -> Answer:
        scene, found = Scene(**given["scene"]), sides.port("float64").detections(given["near"], size)
        classes = _classes(run, scene)
        return {"numbers": run.metric(found, scene.boxes, scene.labels, _marks(scene), num_classes=classes)}

    where = Where(size=size, dtype="float64")
    judge, shared = partial(_judge, where), run.dealt(0)
    return DetectorCase(rung="metric", where=where, reference=reference, port=port, judge=judge, shared=shared)


def _at_edges(run: DetectorComparison) -> DetectorCase:
    """Overlaps, areas and numbers of detections that stand exactly at a limit of COCO's."""

    def reference(sides: DetectorSides) -> Answer:
        from parity_tests.retinanet.coco import numbers_of_coco  # which needs the extra `train`

        return {"numbers": numbers_of_coco(*metric_edges(), num_classes=EDGE_CLASSES)}

    def port(sides: DetectorSides, given: Answer) -> Answer:
        return {"numbers": run.metric(*metric_edges(), num_classes=EDGE_CLASSES)}

    where = Where(dtype="float64", subject="edges")
    judge, shared = partial(_judge, where), run.dealt(0)
    return DetectorCase(rung="metric", where=where, reference=reference, port=port, judge=judge, shared=shared)


def _classes(run: DetectorComparison, scene: Scene) -> int:
    """As many as the model has, or the digits of the scene, which a model of few classes does not know."""
    own: int = run.config.num_classes
    return max([own, *(1 + int(label) for labels in scene.labels for label in labels)])


def _marks(scene: Scene) -> list[Marks]:
    """The first object of every third picture is a crowd; the area of each is half of its box."""
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) / 2 for boxes in scene.boxes]
    return [Marks(np.arange(len(of)) < int(place % 3 == 0), of) for place, of in enumerate(areas)]


def _on_pictures(run: DetectorComparison) -> DetectorCase:
    def reference(sides: DetectorSides) -> Answer:
        return {"numbers": numbers_on_pictures(run, "reference", sides.reference("float64"))}

    def port(sides: DetectorSides, given: Answer) -> Answer:
        return {"numbers": numbers_on_pictures(run, "port", sides.port("float64"))}

    judge = partial(_judge, ON_PICTURES)
    return DetectorCase(rung="metric", where=ON_PICTURES, reference=reference, port=port, judge=judge)


def _judge(where: Where, reference: Answer, port: Answer) -> list[Record]:
    expected, found = ({name: np.array([v]) for name, v in side["numbers"].items()} for side in (reference, port))
    return compare_taps("metric", where, expected, found, budgets=dict.fromkeys(expected, SIX_DECIMALS))
