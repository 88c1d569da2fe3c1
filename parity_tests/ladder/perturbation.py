"""Weights moved by about what sums of them round: what a side differs from itself then, it may differ from another.

Needs numpy alone.
"""

import math
from collections.abc import Mapping

import numpy as np

from parity_tests.rule.record import Array
from parity_tests.sides.names import fan_in

PERTURBATION_SEEDS = (1, 2, 3)
"""Seeds of the moves by which a side is held against itself.

One tells little: rounding soon grows along one direction, in which a training run may hardly be moved. Of 36 single
runs that were moved by one ulp, ten were more than ten times nearer to the reference than the port was.
"""


def moved_by_rounding(variables: Mapping[str, Array], *, seed: int) -> dict[str, Array]:
    """Variables in float64, moved up or down at random: kernels by sqrt(n) ulps, n being their fan-in, others by one.

    That changes a sum of n products by more than adding them up rounds it, which is a backward error of sqrt(n) u in
    each product at most, but for rare draws (Higham and Mary 2019, doi 10.1137/18M1226312, theorem 3.1).
    """
    rng = np.random.default_rng(seed)
    moved = {}
    for name, values in variables.items():
        double = values.astype(np.float64)
        ulps = math.sqrt(fan_in(name, values.shape)) if values.ndim > 1 else 1.0
        moved[name] = double + np.where(rng.random(values.shape) < 0.5, -ulps, ulps) * np.spacing(np.abs(double))
    return moved
