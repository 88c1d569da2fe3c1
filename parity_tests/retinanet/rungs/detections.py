"""The rung *detections*: the same set on both sides, from the same outputs and from the pictures themselves."""

from collections.abc import Sequence
from functools import partial

from parity_tests.retinanet.assignments import crafted_outputs, with_huge_boxes
from parity_tests.retinanet.inputs import Scene, Size, size_name
from parity_tests.retinanet.matching import Detections, compare_detections
from parity_tests.retinanet.run import Case, Run
from parity_tests.retinanet.rungs.annotated import detections_on_pictures
from parity_tests.retinanet.side import Side
from parity_tests.rule.compare import CASCADED, ISOLATED, Array, Record

DETECTION_SIZES: tuple[Size, ...] = ((128, 128), (96, 160))
"""Picture sizes of the rung."""

PICTURES = 2
"""Pictures in a batch."""


def detections(run: Run) -> list[Case]:
    """Detections of digits, isolated and cascaded, and of a user's pictures."""
    sizes = run.sizes or DETECTION_SIZES
    cases = [Case("detections", size_name(size), partial(_detections_at, run, size)) for size in sizes]
    return [*cases, *detections_on_pictures(run)]


def outputs_near_the_truth(reference: Side, scene: Scene, num_classes: int) -> Array:
    """Outputs of a network that knows the targets of a scene up to noise."""
    return crafted_outputs(reference.targets(scene.size, scene.boxes, scene.labels), num_classes)


def _detections_at(run: Run, size: Size) -> list[Record]:
    """In float64: from outputs near the truth, and from what each side makes of the digits with the run's weights.

    Weights that come with pictures of their own are held to those, and know nothing of digits.
    """
    scene, sides = run.inputs.digits(size, PICTURES), run.sides("float64")
    near = with_huge_boxes(outputs_near_the_truth(sides[0], scene, run.config.num_classes), size)
    records = _compare(run, f"{size_name(size)} float64 isolated", [near, near], size, ISOLATED)
    if run.scenes:
        return records
    outputs = [side.forward(scene.images).get("outputs", near) for side in sides]
    return [*records, *_compare(run, f"{size_name(size)} float64 cascaded", outputs, size, CASCADED)]


def _compare(run: Run, case: str, outputs: Sequence[Array], size: Size, units: int) -> list[Record]:
    found: list[list[Detections]] = [
        side.detections(values, size) for side, values in zip(run.sides("float64"), outputs, strict=True)
    ]
    return compare_detections("detections", case, found[0], found[1], limits=run.limits, units=units)
