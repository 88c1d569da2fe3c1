"""The port in bfloat16: modules by themselves, all values of each together, and losses of outputs in that precision."""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from parity_tests.ladder.case import Answer
from parity_tests.retinanet.assignments import assignment_batches, crafted_outputs
from parity_tests.retinanet.comparison import DetectorCase, DetectorComparison, DetectorSides
from parity_tests.retinanet.inputs import Size, random_images
from parity_tests.retinanet.names import tag_of
from parity_tests.retinanet.side import fed_with, values_of
from parity_tests.rule.budgets import ISOLATED, rounding_budget
from parity_tests.rule.compare import compare_taps
from parity_tests.rule.record import Array, Record, Where

HALF = "bfloat16"
"""The precision that the port is held to by itself."""

HALF_SIZE: Size = (64, 96)
"""The size of the pictures."""

HALF_ROUNDINGS = 2**16
"""How many roundings of float32, of 24 digits, one of bfloat16 is, of 8."""

HALF_FACTOR = math.sqrt(3 * 4 + 1) * 2.0**-8
"""What all values of a tap together may be too large by: the root of the roundings on the longest way through a module,
three convolutions that each have four, of its input, its weights, its result and BatchNorm, and a sum; each 2^-8."""

LOSS_SIZE, BATCH = (128, 128), "batch of 1"
"""The size and the batch of which losses are computed."""


def in_half(run: DetectorComparison) -> DetectorCase:
    """Each module of the port in bfloat16, fed the reference's input, within what its roundings may add up to."""
    where = Where(size=HALF_SIZE, dtype=HALF, mode="isolated")

    def reference(sides: DetectorSides) -> Answer:
        images = random_images(HALF_SIZE, seed=run.inputs.seed)
        taps = values_of(run.narrowed(sides.reference("float64")).forward([images]))
        return {"images": images, "taps": {name: value.astype(np.float32) for name, value in taps.items()}}

    def port(sides: DetectorSides, given: Answer) -> Answer:
        images, fed = given["images"], fed_with(given["taps"])
        bounds = run.narrowed(sides.port("float64")).rounding_bounds(images, given["taps"], HALF)
        return {"taps": values_of(run.narrowed(sides.port(HALF)).forward([images], fed=fed)), "bounds": bounds}

    judge = partial(_judge_half, where)
    return DetectorCase(rung="variations", where=where, reference=reference, port=port, judge=judge)


def _judge_half(where: Where, reference: Answer, port: Answer) -> list[Record]:
    """Taps that only hand on what they are fed round it, once; and by itself, how many times too large each is."""
    handed_on = {name: rounding_budget(value, HALF_ROUNDINGS) for name, value in reference["taps"].items()}
    budgets: Mapping[str, float | Array] = {**handed_on, **port["bounds"]}
    records = compare_taps("variations", where, reference["taps"], port["taps"], budgets=budgets, tag_of=tag_of)
    made = [name for name in port["bounds"] if name in port["taps"]]
    factors = {name: _factor(reference["taps"][name], port["taps"][name]) for name in made}
    ones = {name: np.ones_like(factor) for name, factor in factors.items()}
    shares = dict.fromkeys(made, HALF_FACTOR)
    return records + compare_taps("variations", replace(where, subject="factor"), ones, factors, budgets=shares)


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


def _cut(values: Array) -> Array:
    """Numbers of bfloat16, which are float32 numbers without their last 16 digits."""
    bits = values.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
    cut: Array = bits.view(np.float32).astype(np.float64)
    return cut
