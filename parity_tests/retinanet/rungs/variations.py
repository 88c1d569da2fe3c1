"""The rung *variations*: the narrow network as other rungs do not have it, the whole way in float64, and in bfloat16.

Other numbers of classes, of anchors in a cell, of channels, and other levels; batches with and without boxes, and what
they leave in BatchNorm; channels last in the port's memory; and a picture larger than 1024. What is wrong there alone
shows there alone.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from parity_tests.ladder.case import Answer
from parity_tests.retinanet.anchors import Anchors
from parity_tests.retinanet.comparison import DetectorCase, DetectorComparison, DetectorSides
from parity_tests.retinanet.inputs import (
    BOX_HEAD,
    COLOURS,
    Labels,
    NoiseInputs,
    Scene,
    Size,
    random_images,
    random_last_layer,
    random_variables,
)
from parity_tests.retinanet.matching import compare_detections
from parity_tests.retinanet.names import tag_of
from parity_tests.retinanet.rungs.gradients import gradients_of
from parity_tests.retinanet.rungs.in_half import (
    detector_of_half,
    for_inference,
    in_channels_last,
    in_half,
    losses_of_half,
)
from parity_tests.retinanet.rungs.statistics import judge_statistics, of_port, of_reference
from parity_tests.retinanet.side import DetectorSide, values_of
from parity_tests.rule.budgets import CASCADED, GRADIENT, largest
from parity_tests.rule.compare import compare_taps
from parity_tests.rule.record import Array, Record, Where

RATIOS = (0.5, 1.0, 2.0)

LARGE = "fpn/backbone/conv1_bn/gamma", 1000.0
"""The variable behind which all values grow as much as it does, and by how much it grows."""

MOST = 10
"""Detections that are compared: the reference takes a turn for each."""


class Variation(NamedTuple):
    """What is other than on other rungs; `empty` is the picture without boxes."""

    classes: int
    batch: int
    size: Size
    empty: int | None = None
    channels_last: bool = False
    anchors: Anchors | None = None
    channels: int = COLOURS

    @property
    def text(self) -> str:
        """In words."""
        classes = "1 class" if self.classes == 1 else f"{self.classes} classes"
        anchors = "" if self.anchors is None else f", {self.anchors.text}"
        channels = "" if self.channels == COLOURS else ", gray" if self.channels == 1 else f", {self.channels} channels"
        return f"{classes}, batch of {self.batch}{', channels last' if self.channels_last else ''}{channels}{anchors}"


VARIATIONS = (
    Variation(1, 2, (32, 1056), empty=0),
    Variation(3, 3, (96, 64), empty=1, channels_last=True, anchors=Anchors(4.0, (1.0, 1.5), RATIOS, max_level=6)),
    Variation(200, 1, (64, 96), anchors=Anchors(2.0, (1.0,), RATIOS), channels=1),
    Variation(2, 1, (32, 64), anchors=Anchors(3.0, (1.0, 1.3, 1.6), (0.25, *RATIOS, 4.0), min_level=2)),
    Variation(2, 2, (64, 32), anchors=Anchors(4.0, (1.0,), RATIOS, (9.0, 20.0, 40.5, 77.0), 2, 5), channels=4),
)


def variations(run: DetectorComparison) -> list[DetectorCase]:
    """Each variation, of which two presets share the work; one value for each channel; large values; and bfloat16."""
    varied = [_case(run, each, shared) for shared, each in enumerate(VARIATIONS)]
    others = (in_half, in_channels_last, for_inference, losses_of_half, detector_of_half)
    return [*varied, _of_one_value(run), _of_large_values(run), *(make(run) for make in others)]


def _case(run: DetectorComparison, varied: Variation, shared: int) -> DetectorCase:
    where = Where(size=varied.size, dtype="float64", subject=varied.text)

    def varied_side(side: DetectorSide) -> DetectorSide:
        anchors = varied.anchors._asdict() if varied.anchors else {}
        other = side.varied(varied.classes, anchors, channels=varied.channels, channels_last=varied.channels_last)
        other.assign(_weights(run, varied, other.parameters()))
        return other

    def reference(sides: DetectorSides) -> Answer:
        side, scene = varied_side(sides.reference("float64")), _scene(run, varied)
        return {**_all_of(side, scene, run), **of_reference(side, scene.images)}

    def port(sides: DetectorSides, given: Answer) -> Answer:
        side, scene = varied_side(sides.port("float64")), _scene(run, varied)
        return {**_all_of(side, scene, run), **of_port(side, scene.images, given["fed"])}

    judge = partial(_judge, run, where)
    return DetectorCase(rung="variations", where=where, reference=reference, port=port, judge=judge, shared=shared)


def _weights(run: DetectorComparison, varied: Variation, own: Mapping[str, Array]) -> dict[str, Array]:
    """Those of the narrow network, with last layers for other classes and anchors, and what else a variation adds."""
    weights, seed = run.narrow_weights, varied.classes
    anchors = varied.anchors.per_cell / (len(weights["box_head/4/bias"]) / 4) if varied.anchors else 1
    of_classes = random_last_layer(weights, anchors * varied.classes / run.config.num_classes, seed=seed)
    of_boxes = random_last_layer(weights, anchors, seed=seed, head=BOX_HEAD) if varied.anchors else {}
    found = {**weights, **of_classes, **of_boxes}
    missing = {name: own[name].shape for name in sorted(own) if name not in found or _is_other(found[name], own[name])}
    return {name: value for name, value in (found | random_variables(missing, seed=seed)).items() if name in own}


def _is_other(given: Array, own: Array) -> bool:
    """Whether a variable has other channels of pictures than the narrow network's."""
    return given.ndim == 4 and given.shape[2] != own.shape[2]


def _scene(run: DetectorComparison, varied: Variation) -> Scene:
    scene = NoiseInputs(seed=run.inputs.seed).digits(varied.size, varied.batch)
    if varied.channels != COLOURS:
        images = random_images(varied.size, batch=varied.batch, seed=run.inputs.seed, channels=varied.channels)
        scene = scene._replace(images=images)
    boxes, labels = list(scene.boxes), [_last_ones(drawn, varied.classes) for drawn in scene.labels]
    if varied.empty is not None:
        boxes[varied.empty], labels[varied.empty] = boxes[varied.empty][:0], labels[varied.empty][:0]
    return Scene(scene.images, boxes, labels)


def _last_ones(labels: Labels, classes: int) -> Labels:
    """Labels counted from the last class of so many."""
    return (classes - 1 - labels) % classes


def _all_of(side: DetectorSide, scene: Scene, run: DetectorComparison) -> Answer:
    """Everything that a side makes of a scene, from its taps to its gradients."""
    taps = values_of(side.forward([scene.images]))
    outputs = taps["outputs"]
    targets = side.targets(scene.size, scene.boxes, scene.labels)
    return {
        "taps": taps,
        "targets": targets,
        "losses": side.losses(outputs, targets),
        "gradients": gradients_of(side, scene, training=False),
        "found": side.detections(outputs, scene.size, run.limits._replace(most=MOST)),
    }


def _judge(run: DetectorComparison, where: Where, reference: Answer, port: Answer) -> list[Record]:
    compare = partial(compare_taps, "variations", where, tag_of=tag_of)
    records = []
    for part in ("taps", "targets", "losses"):
        records += compare(reference[part], port[part], units=CASCADED)
    shares = {name: GRADIENT * largest(gradient) for name, gradient in reference["gradients"].items()}
    records += compare(reference["gradients"], port["gradients"], budgets=shares)
    records += judge_statistics("variations", replace(where, mode="training"), reference, port)
    limits, found = run.limits._replace(most=MOST), (reference["found"], port["found"])
    return records + compare_detections("variations", where, *found, limits=limits, units=CASCADED)


def _of_one_value(run: DetectorComparison) -> DetectorCase:
    """What a picture leaves in training whose C5 is a single pixel: BatchNorm has one value there, of variance 0."""
    where = Where(size=(32, 32), dtype="float64", mode="training", subject="one picture, one pixel")

    def reference(sides: DetectorSides) -> Answer:
        images = random_images((32, 32), batch=1, seed=run.inputs.seed)
        return {"images": images, **of_reference(run.narrowed(sides.reference("float64")), images)}

    def port(sides: DetectorSides, given: Answer) -> Answer:
        return of_port(run.narrowed(sides.port("float64")), given["images"], given["fed"])

    return DetectorCase(
        rung="variations",
        where=where,
        reference=reference,
        port=port,
        judge=partial(judge_statistics, "variations", where),
        trains=True,
        shared=1,
    )


def _of_large_values(run: DetectorComparison) -> DetectorCase:
    """Every tap of a network whose values are a thousand times larger: what a limit cuts off lies beyond it."""
    where = Where(size=(32, 64), dtype="float64", subject="large values")

    def made(side: DetectorSide) -> Answer:
        name, times = LARGE
        narrow = run.narrowed(side)
        narrow.assign({name: run.narrow_weights[name] * times})
        return {"taps": values_of(narrow.forward([random_images((32, 64), seed=run.inputs.seed)]))}

    def judge(reference: Answer, port: Answer) -> list[Record]:
        return compare_taps("variations", where, reference["taps"], port["taps"], units=CASCADED, tag_of=tag_of)

    return DetectorCase(
        rung="variations",
        where=where,
        reference=lambda sides: made(sides.reference("float64")),
        port=lambda sides, given: made(sides.port("float64")),
        judge=judge,
        shared=0,
    )
