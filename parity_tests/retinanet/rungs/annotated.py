"""The rungs *detections* and *metric* on annotated pictures of a user: what trained weights find on both sides."""

from collections.abc import Mapping

from parity_tests.ladder.case import Answer
from parity_tests.retinanet.comparison import DetectorCase, DetectorComparison, DetectorSides
from parity_tests.retinanet.matching import Detections, compare_detections
from parity_tests.retinanet.side import DetectorSide, values_of
from parity_tests.rule.budgets import CASCADED
from parity_tests.rule.record import Record, Where

ON_PICTURES = Where(data="pictures", dtype="float64")


def detections_on_pictures(run: DetectorComparison) -> list[DetectorCase]:
    """Detections on the run's pictures, if it has any."""

    def reference(sides: DetectorSides) -> Answer:
        return {"found": detected(run, "reference", sides.reference("float64"))}

    def port(sides: DetectorSides, given: Answer) -> Answer:
        return {"found": detected(run, "port", sides.port("float64"))}

    def judge(reference: Answer, port: Answer) -> list[Record]:
        found = (reference["found"], port["found"])
        return compare_detections("detections", ON_PICTURES, *found, limits=run.limits, units=CASCADED)

    case = DetectorCase(rung="detections", where=ON_PICTURES, reference=reference, port=port, judge=judge)
    return [case] if run.scenes else []


def numbers_on_pictures(run: DetectorComparison, name: str, side: DetectorSide) -> Mapping[str, float]:
    """COCO's numbers of a side on the run's pictures."""
    boxes = [boxes for scene in run.scenes for boxes in scene.boxes]
    labels = [labels for scene in run.scenes for labels in scene.labels]
    return run.metric(detected(run, name, side), boxes, labels)


def detected(run: DetectorComparison, name: str, side: DetectorSide) -> list[Detections]:
    """What a side finds, from the pictures to the boxes, in float64; computed once."""
    if name not in run.found:
        outputs = [(values_of(side.forward([scene.images]))["outputs"], scene.size) for scene in run.scenes]
        run.found[name] = [found for values, size in outputs for found in side.detections(values, size)]
    return run.found[name]
