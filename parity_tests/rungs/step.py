"""The rung *step*: weights and optimiser slots after steps with given gradients, and statistics after a batch."""

import math
from collections.abc import Mapping
from functools import partial
from itertools import islice

import numpy as np

from parity_tests.bridge import Recipe, matching_digits
from parity_tests.compare import ISOLATED, Array, Record, compare_taps
from parity_tests.rungs.forward import statistic_scale
from parity_tests.rungs.gradients import BATCH, GRADIENT, TRAINING_SIZE
from parity_tests.rungs.run import Case, Run

RATE, RATE_CHANGES = 1e-3, ((0, 3e-4),)
"""The learning rate of the first step, and that of the second."""

RECIPES = {
    "SGD": Recipe("sgd", RATE, RATE_CHANGES),
    "SGD with momentum": Recipe("sgd", RATE, RATE_CHANGES, momentum=0.9),
    "Adam": Recipe("adam", RATE, RATE_CHANGES),
    "AdamW": Recipe("adamw", RATE, RATE_CHANGES, weight_decay=0.004),
}
"""The optimisers, each with gradient clipping that acts and a learning rate that changes."""

CLIP_SHARE = 0.5
"""The clip norm, as a share of the norm of the first step's gradients."""


def step(run: Run) -> list[Case]:
    """Two steps of each optimiser in float64, each given the reference's gradients; and BatchNorm's statistics."""
    cases = [Case("step", name, partial(_steps, run, name, recipe)) for name, recipe in RECIPES.items()]
    return [*cases, Case("step", "statistics", partial(_statistics, run))]


def _steps(run: Run, name: str, recipe: Recipe) -> list[Record]:
    reference, port = run.sides("float64")
    scenes = islice(matching_digits(TRAINING_SIZE, BATCH), 2)
    gradients = [_weights(reference.gradients(scene, training=False)) for scene in scenes]
    norm = math.sqrt(sum(float(np.vdot(g, g)) for g in gradients[0].values()))
    clipped = recipe._replace(clip_norm=CLIP_SHARE * norm)
    try:
        after = [side.apply(gradients, clipped) for side in (reference, port)]
    finally:
        run.assign("float64")
    return compare_taps("step", f"float64 {name}", after[0], after[1], units=ISOLATED)


def _statistics(run: Run) -> list[Record]:
    """Running statistics after a whole batch in training mode, each side fed by itself."""
    scene = next(matching_digits(TRAINING_SIZE, BATCH))
    try:
        after = [_statistics_of(side.gradients(scene, training=True)) for side in run.sides("float64")]
    finally:
        run.assign("float64")
    budgets = {n: GRADIENT * float(np.abs(statistic_scale(n, after[0])).max()) for n in after[0]}
    return compare_taps("step", "float64 BatchNorm", after[0], after[1], budgets=budgets)


def _weights(values: Mapping[str, Array]) -> dict[str, Array]:
    return {name: value for name, value in values.items() if "/moving_" not in name}


def _statistics_of(values: Mapping[str, Array]) -> dict[str, Array]:
    return {name: value for name, value in values.items() if "/moving_" in name}
