"""The port in bfloat16: modules by themselves, all values of each together; losses and detections of such outputs.

Modules in float32 too, with channels last in memory.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from parity_tests.ladder.case import Answer
from parity_tests.retinanet.assignments import Batch, assignment_batches, crafted_outputs
from parity_tests.retinanet.comparison import DetectorCase, DetectorComparison, DetectorSides
from parity_tests.retinanet.inputs import COLOURS, Scene, Size, random_images
from parity_tests.retinanet.matching import Detections, compare_detections
from parity_tests.retinanet.names import tag_of
from parity_tests.retinanet.preparation import PictureSides
from parity_tests.retinanet.side import DetectorSide, fed_with, values_of
from parity_tests.rule.budgets import CASCADED, ISOLATED, rounding_budget
from parity_tests.rule.compare import compare_taps
from parity_tests.rule.record import Array, Record, Where

HALF = "bfloat16"
"""The precision that the port is held to by itself."""

HALF_SIZE: Size = (64, 96)
"""The size of the pictures."""

ROUNDINGS = {HALF: 2**16, "float32": 1}
"""How many roundings of float32, of 24 digits, one of a precision is; bfloat16 has 8 digits."""

FACTOR = math.sqrt(3 * 4 + 1) * 2.0**-24
"""What all values of a tap together may be too large by in float32: the root of the roundings on the longest way
through a module: three convolutions that each have four, of input, weights, result and BatchNorm, and a sum."""

SMALL = "fpn/backbone/conv1_bn/moving_variance", 1e-5
"""A variance that is made so small that what BatchNorm adds to it shows in float32."""

LOSS_SIZE, BATCH = (128, 128), "batch of 1"
"""The size and the batch of which losses are computed."""


def in_half(run: DetectorComparison) -> DetectorCase:
    """Each module of the port in bfloat16, fed the reference's input, within what its roundings may add up to."""
    return _by_modules(run, Where(size=HALF_SIZE, dtype=HALF, mode="isolated"), run.narrowed)


def in_channels_last(run: DetectorComparison) -> DetectorCase:
    """Likewise in float32 with channels last in memory, as a detector has its weights."""

    def laid_out(side: DetectorSide) -> DetectorSide:
        other = side.varied(run.config.num_classes, {}, channels_last=True)
        other.assign(run.narrow_weights)
        return other

    return _by_modules(run, Where(size=HALF_SIZE, dtype="float32", subject="channels last"), laid_out, shared=1)


def for_inference(run: DetectorComparison) -> DetectorCase:
    """The outputs of the network that the port has for inference alone, which rounds to float32."""
    where, (name, share) = Where(size=HALF_SIZE, dtype="float32", subject="inference"), SMALL

    def made(side: DetectorSide, images: Array) -> dict[str, Array]:
        narrow = run.narrowed(side)
        narrow.assign({name: run.narrow_weights[name] * share})
        outputs = narrow.inferred(images).astype(np.float32)
        return {"deltas": outputs[..., :4], "logits": outputs[..., 4:]}

    def reference(sides: DetectorSides) -> Answer:
        images = random_images(HALF_SIZE, seed=run.inputs.seed)
        return {"images": images, "made": made(sides.reference("float64"), images)}

    def port(sides: DetectorSides, given: Answer) -> Answer:
        return {"made": made(sides.port("float64"), given["images"])}

    def judge(reference: Answer, port: Answer) -> list[Record]:
        return compare_taps("variations", where, reference["made"], port["made"], units=CASCADED, tag_of=tag_of)

    return DetectorCase(
        rung="variations", where=where, reference=reference, port=port, judge=judge, whole=("images",), shared=1
    )


def _by_modules(
    run: DetectorComparison, where: Where, of_port: Callable[[DetectorSide], DetectorSide], shared: int | None = None
) -> DetectorCase:
    dtype = where.dtype or HALF

    def reference(sides: DetectorSides) -> Answer:
        images, side = random_images(HALF_SIZE, seed=run.inputs.seed), run.narrowed(sides.reference("float64"))
        fed = _as_singles(values_of(side.forward([images])))
        made = fed if dtype == HALF else _as_singles(values_of(side.forward([images], fed=fed_with(fed))))
        return {"images": images, "fed": fed, "made": made}

    def port(sides: DetectorSides, given: Answer) -> Answer:
        images, fed = given["images"], fed_with(given["fed"])
        bounds = run.narrowed(sides.port("float64")).rounding_bounds(images, given["fed"], dtype)
        return {"made": values_of(of_port(sides.port(dtype)).forward([images], fed=fed)), "bounds": bounds}

    judge = partial(_judge_modules, where, ROUNDINGS[dtype])
    return DetectorCase(rung="variations", where=where, reference=reference, port=port, judge=judge, shared=shared)


def _judge_modules(where: Where, roundings: int, reference: Answer, port: Answer) -> list[Record]:
    """The reference's are rounded to float32, once; and by itself, how many times too large each is."""
    left, right = reference["made"], port["made"]
    once = {name: np.abs(value) * 2.0**-24 for name, value in left.items()}
    handed_on = {name: rounding_budget(value, roundings) for name, value in left.items()}
    bounds = {name: bound + once[name] for name, bound in port["bounds"].items() if name in once}
    budgets: Mapping[str, float | Array] = {**handed_on, **bounds}
    records = compare_taps("variations", where, left, right, budgets=budgets, tag_of=tag_of)
    factors = {name: _factor(left[name], right[name]) for name in port["bounds"] if name in right}
    ones = {name: np.ones_like(factor) for name, factor in factors.items()}
    shares, subject = dict.fromkeys(factors, FACTOR * roundings), f"{where.subject} factor".strip()
    return records + compare_taps("variations", replace(where, subject=subject), ones, factors, budgets=shares)


def _as_singles(taps: Mapping[str, Array]) -> dict[str, Array]:
    return {name: value.astype(np.float32) for name, value in taps.items()}


def _factor(reference: Array, port: Array) -> Array:
    """How many times the reference the port is, by least squares: single values may round, all of them together not."""
    if reference.shape != port.shape:
        return np.ones(1, np.float32)
    left, right = (values.astype(np.float64).ravel() for values in (reference, port))
    squares = float(np.dot(left, left))
    return np.array([np.dot(left, right) / squares if squares else 1.0], np.float32)


def losses_of_half(run: DetectorComparison) -> DetectorCase:
    """The port's losses of outputs in bfloat16, which are float32 numbers: nothing but the outputs is rounded."""
    where, classes = Where(size=LOSS_SIZE, dtype=HALF, subject="losses"), run.config.num_classes

    def reference(sides: DetectorSides) -> Answer:
        side = sides.reference("float64")
        batch = assignment_batches(side.anchors(LOSS_SIZE), LOSS_SIZE, classes)[BATCH]
        targets = side.targets(LOSS_SIZE, *batch)
        return {"targets": targets, "terms": side.losses(_cut(crafted_outputs(targets, classes)), targets)}

    def port(sides: DetectorSides, given: Answer) -> Answer:
        outputs = _cut(crafted_outputs(given["targets"], classes))
        return {"terms": sides.port(HALF).losses(outputs, given["targets"])}

    def judge(reference: Answer, port: Answer) -> list[Record]:
        terms = {name: value.astype(np.float32) for name, value in reference["terms"].items()}
        return compare_taps("variations", where, terms, port["terms"], units=ISOLATED)

    return DetectorCase(rung="variations", where=where, reference=reference, port=port, judge=judge, shared=0)


def detector_of_half(run: DetectorComparison) -> DetectorCase:
    """What a detector in bfloat16 loses and finds, whose network says such outputs: nothing but those is rounded."""
    where, classes = Where(size=LOSS_SIZE, dtype=HALF, subject="detector"), run.config.num_classes

    def around(side: DetectorSide, batch: Batch, outputs: Array) -> Answer:
        preparation = run.narrowed(side).preparation(PictureSides(*LOSS_SIZE))
        black = np.zeros((1, *LOSS_SIZE, COLOURS))
        pictures = [Scene(black, [of], [ids]) for of, ids in zip(*batch, strict=True)]
        found = preparation.decoded(outputs, LOSS_SIZE)
        loss = preparation.losses(pictures, [np.zeros((0, 4))] * len(pictures), outputs)
        return {"loss": _as_singles(loss), "found": [each._asdict() for each in found]}

    def reference(sides: DetectorSides) -> Answer:
        side = sides.reference("float64")
        batch = assignment_batches(side.anchors(LOSS_SIZE), LOSS_SIZE, classes)[BATCH]
        targets = side.targets(LOSS_SIZE, *batch)
        return {"targets": targets, "batch": batch, **around(side, batch, _cut(crafted_outputs(targets, classes)))}

    def port(sides: DetectorSides, given: Answer) -> Answer:
        return around(sides.port(HALF), given["batch"], _cut(crafted_outputs(given["targets"], classes)))

    judge = partial(_judge_detector, run, where)
    return DetectorCase(
        rung="variations",
        where=where,
        reference=reference,
        port=port,
        judge=judge,
        whole=("targets", "batch", "loss", "found"),
        shared=0,
    )


def _judge_detector(run: DetectorComparison, where: Where, reference: Answer, port: Answer) -> list[Record]:
    losses = reference["loss"], port["loss"]
    left, right = ([Detections(**each) for each in side["found"]] for side in (reference, port))
    single = [Detections(each.boxes.astype(np.float32), each.scores.astype(np.float32), each.labels) for each in left]
    found = compare_detections("variations", where, single, right, limits=run.limits, units=ISOLATED)
    return compare_taps("variations", where, *losses, units=ISOLATED) + found


def _cut(values: Array) -> Array:
    """Numbers of bfloat16, which are float32 numbers without their last 16 digits."""
    bits = values.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
    cut: Array = bits.view(np.float32).astype(np.float64)
    return cut
