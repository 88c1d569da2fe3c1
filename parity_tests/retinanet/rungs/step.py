"""The rung *step*: weights and optimiser slots after steps with given gradients, and statistics after a batch."""

import math
from collections.abc import Iterable, Mapping
from functools import partial

import numpy as np

from parity_tests.retinanet.run import Case, Run
from parity_tests.retinanet.rungs.forward import statistic_scale
from parity_tests.retinanet.rungs.gradients import training_scenes, weights_of
from parity_tests.retinanet.side import Recipe
from parity_tests.rule.compare import CASCADED, GRADIENT, Array, Record, compare_taps

RATE, RATE_CHANGES = 1e-3, ((0, 3e-4),)
"""The learning rate of the first step, and that of the second."""

RECIPES = {
    "SGD": Recipe("sgd", RATE, RATE_CHANGES),
    "SGD with momentum": Recipe("sgd", RATE, RATE_CHANGES, momentum=0.9, weight_decay=0.01),
    "Adam": Recipe("adam", RATE, RATE_CHANGES, weight_decay=0.01),
    "AdamW": Recipe("adamw", RATE, RATE_CHANGES, weight_decay=0.004),
}
"""The optimisers, each with gradient clipping and a learning rate that changes, three with weight decay."""

CLIP_SHARE, FACTORS = 0.5, (1.0, -0.3)
"""The clip norm, as a share of the norm of the gradients, and what they are multiplied by in each step: the first is
clipped, the second is not."""


MAGNITUDES = (-6, 0)
"""Exponents of ten between which the gradients of a variable lie."""


def step(run: Run) -> list[Case]:
    """Two steps of each optimiser in float64, both sides given the same gradients; and BatchNorm's statistics.

    The norm by which gradients are clipped adds up the squares of all of them, some 36 million: rounding adds up in it
    as it does along a model, and has the budget of one. No preset has a part in an optimiser: of two, the first climbs
    all of them, whose training run is the shorter one.
    """
    optimisers = [Case("step", name, partial(_steps, run, name)) for name in RECIPES]
    return [*run.dealt([optimisers, []]), Case("step", "statistics", partial(_statistics, run))]


def _gradients(run: Run) -> dict[str, Array]:
    """Noise, of another magnitude in each variable: as gradients are, and the same for both sides.

    It is drawn in the order of names: weights that were recorded come in another order.
    """
    rng = np.random.default_rng(0)
    shapes = {name: values.shape for name, values in sorted(weights_of(run.variables).items())}
    return {name: rng.normal(0, 10 ** rng.uniform(*MAGNITUDES), shape) for name, shape in shapes.items()}


def _steps(run: Run, name: str) -> list[Record]:
    sides = run.sides("float64")
    run.make_room("float32")
    given = _gradients(run)
    recipe = RECIPES[name]._replace(clip_norm=CLIP_SHARE * norm(given.values()))
    try:
        reference, port = (side.apply(given, FACTORS, recipe) for side in sides)
        return compare_taps("step", f"float64 {name}", reference, port, units=CASCADED)
    finally:
        run.assign("float64")


def norm(gradients: Iterable[Array]) -> float:
    """The norm of all gradients together: without BLAS, whose last bits depend on threads and on the machine.

    A bundle that was recorded elsewhere was asked with the same one.
    """
    return math.sqrt(math.fsum(float(np.square(gradient).sum()) for gradient in gradients))


def _statistics(run: Run) -> list[Record]:
    """Running statistics after a whole batch in training mode, each side fed by itself."""
    scene = training_scenes(run)[0]
    try:
        reference, port = (_statistics_of(side.gradients(scene, training=True)) for side in run.sides("float64"))
    finally:
        run.assign("float64")
    budgets = {n: GRADIENT * float(np.abs(statistic_scale(n, reference)).max()) for n in reference}
    return compare_taps("step", "float64 BatchNorm", reference, port, budgets=budgets)


def _statistics_of(values: Mapping[str, Array]) -> dict[str, Array]:
    return {name: value for name, value in values.items() if "/moving_" in name}
