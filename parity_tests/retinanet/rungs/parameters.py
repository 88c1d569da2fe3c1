"""The rung *parameters*: names and shapes of all variables, and the distribution of fresh values layer by layer."""

import math
from functools import partial

import numpy as np

from parity_tests.retinanet.run import Case, Run
from parity_tests.rule.compare import Array, Record, compare_values

SAMPLE = 2**16
"""Values of a variable that enter the comparison of distributions, spread over it evenly."""

FALSE_ALARM = 1e-9
"""How often two samples of one distribution may be taken for two; what the distance may be follows from it."""


def parameters(run: Run) -> list[Case]:
    """Names, shapes, number and fresh values of all variables."""
    return [Case("parameters", "fresh", partial(_fresh_variables, run))]


def _fresh_variables(run: Run) -> list[Record]:
    reference, port = (side.variables() for side in run.build("float32"))
    names = [*reference, *(name for name in port if name not in reference)]
    records = [_compare_distribution(name, reference.get(name), port.get(name)) for name in names]
    counts = [np.array([sum(array.size for array in side.values())], float) for side in (reference, port)]
    return [*records, compare_values("parameters", "fresh", "count", counts[0], counts[1], budget=0.0)]


def _compare_distribution(name: str, reference: Array | None, port: Array | None) -> Record:
    """The largest distance of two distribution functions, against what chance allows (Kolmogorov and Smirnov).

    What the reference starts at one value, zeros or ones, must be that value.
    """
    structure = compare_values("parameters", "fresh", name, reference, port, budget=None)
    if reference is None or port is None or structure.verdict != "equal":
        return structure
    if reference.min() == reference.max():
        return compare_values("parameters", "fresh", name, reference, port, budget=0.0)
    left, right = (np.sort(array.ravel()[:: max(1, array.size // SAMPLE)]) for array in (reference, port))
    points = np.concatenate([left, right])
    shares = [np.searchsorted(values, points, side="right") / values.size for values in (left, right)]
    budget = math.sqrt(math.log(2 / FALSE_ALARM) / 2 * (1 / left.size + 1 / right.size))
    return compare_values("parameters", "fresh", name, shares[0], shares[1], budget)
