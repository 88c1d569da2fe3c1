"""The rung *parameters*: names and shapes of all variables, and the distribution of fresh values layer by layer."""

import math
from functools import partial

import numpy as np

from parity_tests.ladder.case import Answer
from parity_tests.retinanet.comparison import DetectorCase, DetectorComparison, DetectorSides
from parity_tests.retinanet.names import tag_of
from parity_tests.rule.compare import compare_values
from parity_tests.rule.record import Array, Record, Where

SAMPLE = 2**16
"""Values of a variable that enter the comparison of distributions, spread over it evenly."""

FALSE_ALARM = 1e-9
"""How often two samples of one distribution may be taken for two; what the distance may be follows from it."""

FRESH = Where(subject="fresh")


def parameters(run: DetectorComparison) -> list[DetectorCase]:
    """Names, shapes, number and fresh values of all variables."""
    return [DetectorCase(rung="parameters", where=FRESH, reference=_reference, port=_port, judge=_judge)]


def _reference(sides: DetectorSides) -> Answer:
    return {"variables": sides.build["reference"]("float32").parameters()}


def _port(sides: DetectorSides, given: Answer) -> Answer:
    return {"variables": sides.build["port"]("float32").parameters()}


def _judge(reference: Answer, port: Answer) -> list[Record]:
    left, right = reference["variables"], port["variables"]
    names = [*left, *(name for name in right if name not in left)]
    records = [_compare_distribution(name, left.get(name), right.get(name)) for name in names]
    counts = [np.array([sum(array.size for array in side.values())], float) for side in (left, right)]
    return [*records, compare_values("parameters", FRESH, "count", counts[0], counts[1], budget=0.0)]


def _compare_distribution(name: str, reference: Array | None, port: Array | None) -> Record:
    """The largest distance of two distribution functions, against what chance allows (Kolmogorov and Smirnov).

    What the reference starts at one value, zeros or ones, must be that value.
    """
    compare = partial(compare_values, "parameters", FRESH, name, tag=tag_of(name))
    structure = compare(reference, port, budget=None)
    if reference is None or port is None or structure.verdict != "equal":
        return structure
    if reference.min() == reference.max():
        return compare(reference, port, budget=0.0)
    left, right = (np.sort(array.ravel()[:: max(1, array.size // SAMPLE)]) for array in (reference, port))
    points = np.concatenate([left, right])
    shares = [np.searchsorted(values, points, side="right") / values.size for values in (left, right)]
    budget = math.sqrt(math.log(2 / FALSE_ALARM) / 2 * (1 / left.size + 1 / right.size))
    return compare(shares[0], shares[1], budget=budget)
