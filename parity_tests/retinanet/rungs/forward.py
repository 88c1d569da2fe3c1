"""The rung *forward*: every tap's values in both precisions, outputs of a second question, statistics, and weights."""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from parity_tests.ladder.case import Answer
from parity_tests.retinanet.comparison import DetectorCase, DetectorComparison, DetectorSides, refusal
from parity_tests.retinanet.inputs import Size
from parity_tests.retinanet.names import longest_sums, tag_of
from parity_tests.retinanet.rungs.asked_again import asked_again
from parity_tests.retinanet.rungs.statistics import judge_statistics, of_port, of_reference
from parity_tests.retinanet.side import DetectorSide, fed_with, values_of
from parity_tests.rule.budgets import (
    CASCADED,
    ISOLATED,
    OwnErrors,
    float32_budget,
    isolated_units,
    largest_difference,
    longest_so_far,
    own_errors,
    rounding_budget,
)
from parity_tests.rule.compare import compare_taps
from parity_tests.rule.record import Array, Record, Where
from parity_tests.rule.sampled import Sampled

FORWARD_SIZES: tuple[Size, ...] = ((128, 128), (96, 160), (32, 64))
"""Picture sizes of the forward rung: P5 and P6 with even and odd sides, so that the padding of P6 and P7 shows."""

TRAINING_SIZE: Size = (96, 160)
"""Picture size of the training step, at which each channel of C5 has 15 values a picture."""

FED_PIXELS = {"float64": 96 * 160, "float32": 32 * 64}
"""Pixels up to which taps that modules are fed with are recorded whole; above, as samples."""

Taps = Mapping[str, Array]


def forward(run: DetectorComparison) -> list[DetectorCase]:
    """Values of all taps size by size, running statistics after a training step, and the weights of the run."""
    sizes = run.sizes or FORWARD_SIZES
    smallest = min(sizes, key=math.prod)
    cases = [*(_at_size(run, size) for size in sizes), asked_again(run, smallest)]
    return [*cases, _statistics_after_training(run), _weights_of_port(run)]


def _at_size(run: DetectorComparison, size: Size) -> DetectorCase:
    def reference(sides: DetectorSides) -> Answer:
        images = run.inputs.images(size)
        taps = {d: values_of(sides.reference(d).forward([images])) for d in run.precisions}
        own = _own_of_fed(sides.reference("float64"), images, taps["float32"]) if "float32" in taps else {}
        return {"images": images, "own": own} | taps

    def port(sides: DetectorSides, given: Answer) -> Answer:
        images, answer = given["images"], dict[str, Any]()
        for dtype in run.precisions:
            side = sides.port(dtype)
            answer[dtype] = values_of(side.forward([images]))
            if dtype in run.dtypes and can_be_fed(given[dtype]):
                answer[f"{dtype} isolated"] = values_of(side.forward([images], fed=fed_with(given[dtype])))
        if "float32 isolated" in answer:
            made = answer["float32 isolated"]
            answer["own"] = _own_of_fed(sides.port("float64"), images, given["float32"], made)
        if "float32 isolated" in answer and "outputs" in given["float32"]:
            answer["bounds"] = sides.port("float64").rounding_bounds(images, given["float32"])
        return answer

    where = Where(size=size)
    whole = ["images", *(dtype for dtype, pixels in FED_PIXELS.items() if size[0] * size[1] <= pixels)]
    judge = partial(_judge, run, where)
    return DetectorCase(rung="forward", where=where, reference=reference, port=port, judge=judge, whole=whole)


def _judge(run: DetectorComparison, where: Where, reference: Answer, port: Answer) -> list[Record]:
    records = refusal("forward", where, reference["float64"])
    isolated, (cascaded, own) = isolated_budgets(run, reference["float64"]), _cascaded_budgets(run, reference, port)
    for dtype in ("float64", "float32"):
        compare = partial(_compare, reference.get(dtype, {}))
        place = replace(where, dtype=dtype, mode="isolated")
        if f"{dtype} isolated" in port:
            budgets = isolated if dtype == "float64" else float32_bounds(reference[dtype], port.get("bounds", {}))
            of_fed = {} if dtype == "float64" else _of_both(reference["own"], port["own"])
            records += compare(port[f"{dtype} isolated"], place, budgets, of_fed)
        if dtype in run.dtypes:
            of_dtype = own if dtype == "float32" else {}
            records += compare(port[dtype], replace(place, mode="cascaded"), cascaded[dtype], of_dtype)
    return records


def _compare(
    reference: Taps,
    port: Taps,
    where: Where,
    budgets: Mapping[str, float | Array],
    own: Mapping[str, OwnErrors] = MappingProxyType({}),
) -> list[Record]:
    return compare_taps("forward", where, reference, port, budgets=budgets, tag_of=tag_of, own=own)


def isolated_budgets(run: DetectorComparison, given: Taps) -> dict[str, float]:
    """What a fed module may differ by in float64 at each tap of `given`: roundings of the largest value."""
    sums = _longest_sums(run)
    return {name: rounding_budget(value, isolated_units(sums.get(name, 1))) for name, value in given.items()}


def _longest_sums(run: DetectorComparison) -> dict[str, int]:
    return longest_sums({name: value.shape for name, value in run.weights.items()})


def float32_bounds(given: Taps, bounds: Taps) -> dict[str, float | Array]:
    """How far float32 may be off at each tap of `given`, element by element; 0 where a tap only hands on its input.

    Never more than `ISOLATED` roundings of the largest value; that alone is allowed where there are no bounds, since
    the layers of the port are not known, as those of Keras, or the images were refused.
    """
    most = {name: rounding_budget(value, ISOLATED) for name, value in given.items()}
    if not bounds:
        return {**most}
    return {name: np.minimum(bounds[name], most[name]) if name in bounds else 0.0 for name in given}


def can_be_fed(taps: Taps) -> bool:
    """Whether taps are whole: modules cannot be fed with the samples that a bundle has of large ones."""
    return not any(isinstance(value, Sampled) for value in taps.values())


def _cascaded_budgets(
    run: DetectorComparison, reference: Answer, port: Answer
) -> tuple[dict[str, dict[str, float]], dict[str, OwnErrors]]:
    """In float64 by roundings; in float32 of the taps that both sides have in both precisions, in one shape."""
    budgets = {"float64": {name: rounding_budget(value, CASCADED) for name, value in reference["float64"].items()}}
    if "float32" not in reference:
        return budgets, {}
    taps = [reference["float32"], reference["float64"], port["float32"], port["float64"]]
    common = [name for name, value in taps[0].items() if all(_has(side, name, value.shape) for side in taps)]
    own = {name: own_errors(*(side[name] for side in taps)) for name in common}
    own_sums = _longest_sums(run)
    sums = longest_so_far(taps[0], lambda name: own_sums.get(name, 1))
    found = {name: float32_budget(CASCADED, taps[0][name], own[name], sums[name]) for name in common}
    return budgets | {"float32": found}, own


def _own_of_fed(side: DetectorSide, images: Array, given: Taps, made: Taps | None = None) -> dict[str, float]:
    """How far float32 is from a side's own float64 where each module is fed the same numbers.

    Args:
        given: the reference's taps in float32, with which modules are fed.
        made: what the side makes of them in float32; those of the reference itself are `given`.
    """
    exact, made = values_of(side.forward([images], fed=fed_with(given))), given if made is None else made
    return {n: largest_difference(made[n], value) for n, value in exact.items() if _has(made, n, value.shape)}


def _of_both(reference: Mapping[str, float], port: Mapping[str, float]) -> dict[str, OwnErrors]:
    return {name: (reference[name], port[name]) for name in reference if name in port}


def _has(taps: Taps, name: str, shape: tuple[int, ...]) -> bool:
    return name in taps and taps[name].shape == shape


def _statistics_after_training(run: DetectorComparison) -> DetectorCase:
    """The running statistics that one training step leaves, and what modules without BatchNorm make in that mode.

    Each is fed the reference's input.
    """

    def reference(sides: DetectorSides) -> Answer:
        images = run.inputs.images(TRAINING_SIZE)
        return {"images": images, **of_reference(sides.reference("float64"), images)}

    def port(sides: DetectorSides, given: Answer) -> Answer:
        return of_port(sides.port("float64"), given["images"], {**given["fed"], **given["made"]})

    def judge(reference: Answer, port: Answer) -> list[Record]:
        records = judge_statistics("forward", where, reference, port)
        budgets = isolated_budgets(run, reference["made"])
        return records + _compare(reference["made"], port["made"], where, {**budgets})

    where = Where(size=TRAINING_SIZE, dtype="float64", mode="training")
    return DetectorCase(
        rung="forward",
        where=where,
        reference=reference,
        port=port,
        judge=judge,
        whole=("images", "fed", "made"),
        trains=True,
    )


def _weights_of_port(run: DetectorComparison) -> DetectorCase:
    """The weights that the port runs with, bit for bit: what was not carried over is missing or differs here."""
    where = Where(dtype="float64", subject="weights")

    def port(sides: DetectorSides, given: Answer) -> Answer:
        return {"weights": sides.port("float64").parameters()}

    def judge(reference: Answer, port: Answer) -> list[Record]:
        given = {name: value.astype(np.float64) for name, value in run.weights.items()}
        budgets = dict.fromkeys(given, 0.0)
        return compare_taps("forward", where, given, port["weights"], budgets=budgets, tag_of=tag_of)

    return DetectorCase(rung="forward", where=where, reference=lambda sides: {}, port=port, judge=judge)
