"""The rung *detections*: the same set on both sides, from the same outputs and from the pictures themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from parity_tests.ladder.case import Answer, asked_with, check_drawn
from parity_tests.retinanet.assignments import crafted_outputs, with_huge_boxes
from parity_tests.retinanet.comparison import DetectorCase, DetectorComparison, DetectorSides
from parity_tests.retinanet.edges import EDGE_SIZE, MANY, edge_limits, edge_outputs
from parity_tests.retinanet.inputs import Scene, Size
from parity_tests.retinanet.matching import Detections, Limits, compare_detections
from parity_tests.retinanet.rungs.annotated import detections_on_pictures
from parity_tests.retinanet.side import DetectorSide, values_of
from parity_tests.rule.budgets import CASCADED, ISOLATED
from parity_tests.rule.compare import compare_taps
from parity_tests.rule.record import Array, Record, Where

DETECTION_SIZES: tuple[Size, ...] = ((128, 128), (96, 160))
"""Picture sizes of the rung."""

PICTURES = 2
"""Pictures in a batch."""

Found = Sequence[Mapping[str, Any]]
"""Detections picture by picture, as an answer holds them."""


def detections(run: DetectorComparison) -> list[DetectorCase]:
    """Detections of digits, isolated and cascaded, and of a user's pictures."""
    cases = [_case(run, size, run.dealt(place)) for place, size in enumerate(run.sizes or DETECTION_SIZES)]
    limits = edge_limits(run.config.anchor_scale)
    return [*cases, *([_at_edges(run, limits)] if limits else []), *detections_on_pictures(run)]


def _at_edges(run: DetectorComparison, limits: Limits) -> DetectorCase:
    """Scores and overlaps that stand exactly at a limit, and next to it: nothing is excused, nor is another order."""
    where = Where(size=EDGE_SIZE, dtype="float64", subject="edges")

    def found(side: DetectorSide, outputs: Mapping[str, Array]) -> dict[str, Any]:
        cut_off = {name: None if name == MANY else limits for name in outputs}
        return {"found": {name: _plain(side.detections(o, EDGE_SIZE, cut_off[name])) for name, o in outputs.items()}}

    def reference(sides: DetectorSides) -> Answer:
        side = sides.reference("float64")
        outputs = edge_outputs(side.anchors(EDGE_SIZE), run.config.anchor_scale, run.config.num_classes)
        return {"outputs": outputs} | found(side, outputs)

    def port(sides: DetectorSides, given: Answer) -> Answer:
        return found(sides.port("float64"), given["outputs"])

    def judge(reference: Answer, port: Answer) -> list[Record]:
        records = []
        for name in reference["found"]:
            both = ([Detections(**each) for each in side["found"][name]] for side in (reference, port))
            place = replace(where, data=name)
            records += compare_detections("detections", place, *both, limits=None, units=ISOLATED)
            records += _compare_sequence(place, reference["found"][name], port["found"][name])
        return records

    whole = ("outputs", "found")
    return DetectorCase(
        rung="detections", where=where, reference=reference, port=port, judge=judge, whole=whole, shared=1
    )


def _compare_sequence(where: Where, reference: Found, port: Found) -> list[Record]:
    """The boxes of the only picture, one after the other as they are given."""
    both = ({"det.sequence": side[0]["boxes"]} for side in (reference, port))
    return compare_taps("detections", where, *both, units=ISOLATED)


def outputs_near_the_truth(reference: DetectorSide, scene: Scene, num_classes: int) -> Array:
    """Outputs of a network that knows the targets of a scene up to noise."""
    return crafted_outputs(reference.targets(scene.size, scene.boxes, scene.labels), num_classes)


def _case(run: DetectorComparison, size: Size, shared: int | None) -> DetectorCase:
    """In float64: from outputs near the truth, and from what each side makes of the digits with the run's weights.

    Weights that come with pictures of their own are held to those, and know nothing of digits.
    """
    where = Where(size=size, dtype="float64")

    def outputs(targets: Mapping[str, Array]) -> Array:
        return with_huge_boxes(crafted_outputs(targets, run.config.num_classes), size)

    def found(side: DetectorSide, near: Array, images: Array) -> dict[str, Any]:
        answer: dict[str, Any] = {"isolated": _plain(side.detections(near, size))}
        if not run.scenes:
            own = values_of(side.forward([images])).get("outputs", near)
            answer["cascaded"] = _plain(side.detections(own, size))
        return answer

    def reference(sides: DetectorSides) -> Answer:
        scene, side = run.inputs.digits(size, PICTURES), sides.reference("float64")
        targets = side.targets(size, scene.boxes, scene.labels)
        near = outputs(targets)
        return {"images": scene.images, "targets": targets} | found(side, near, scene.images) | asked_with(near)

    def port(sides: DetectorSides, given: Answer) -> Answer:
        near = outputs(given["targets"])
        check_drawn(given, near)
        return found(sides.port("float64"), near, given["images"])

    def judge(reference: Answer, port: Answer) -> list[Record]:
        units = {"isolated": ISOLATED, "cascaded": CASCADED}
        return [r for mode in port for r in _judge(run, replace(where, mode=mode), reference, port, units[mode])]

    whole = ("images", "targets", "isolated", "cascaded")
    return DetectorCase(
        rung="detections", where=where, reference=reference, port=port, judge=judge, whole=whole, shared=shared
    )


def _judge(run: DetectorComparison, where: Where, reference: Answer, port: Answer, units: int) -> list[Record]:
    found = ([Detections(**each) for each in side[where.mode]] for side in (reference, port))
    return compare_detections("detections", where, *found, limits=run.limits, units=units)


def _plain(found: Sequence[Detections]) -> Found:
    return [each._asdict() for each in found]
