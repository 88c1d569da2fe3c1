"""The rung *step*: weights and optimiser slots after steps with given gradients, and statistics after a batch.

The narrow network takes the steps; a batch moves the statistics of the whole one.
"""

import math
from collections.abc import Iterable, Mapping
from functools import partial

import numpy as np

from parity_tests.ladder.case import Answer, asked_with, check_drawn
from parity_tests.ladder.training import statistic_scale
from parity_tests.retinanet.comparison import DetectorCase, DetectorComparison, DetectorSides
from parity_tests.retinanet.inputs import Scene
from parity_tests.retinanet.names import tag_of, weights_of
from parity_tests.retinanet.rungs.gradients import training_scenes
from parity_tests.retinanet.side import DetectorSide, Recipe
from parity_tests.rule.budgets import CASCADED, GRADIENT
from parity_tests.rule.compare import compare_taps
from parity_tests.rule.record import Array, Record, Where

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


def step(run: DetectorComparison) -> list[DetectorCase]:
    """Two steps of each optimiser in float64, both sides given the same gradients; and BatchNorm's statistics.

    The norm by which gradients are clipped adds up the squares of all of them: rounding adds up in it as it does along
    a model, and has the budget of one. No preset has a part in an optimiser: of two, the first climbs all of them,
    whose training run is the shorter one.
    """
    return [*(_steps(run, name) for name in RECIPES), _statistics(run)]


def _asked(run: DetectorComparison, name: str) -> tuple[dict[str, Array], Recipe]:
    """The gradients that both sides are given, and an optimiser that clips them."""
    given = _gradients(run)
    return given, RECIPES[name]._replace(clip_norm=CLIP_SHARE * norm(given.values()))


def _gradients(run: DetectorComparison) -> dict[str, Array]:
    """Noise, of another magnitude in each variable: as gradients are, and the same for both sides.

    It is drawn in the order of names: weights that were recorded come in another order.
    """
    rng = np.random.default_rng(0)
    shapes = {name: values.shape for name, values in sorted(weights_of(run.narrow_weights).items())}
    return {name: rng.normal(0, 10 ** rng.uniform(*MAGNITUDES), shape) for name, shape in shapes.items()}


def _steps(run: DetectorComparison, name: str) -> DetectorCase:
    where = Where(dtype="float64", subject=name)

    def reference(sides: DetectorSides) -> Answer:
        given, recipe = _asked(run, name)
        side = run.narrowed(sides.reference("float64"))
        return {"after": side.take_steps(given, FACTORS, recipe)} | asked_with(given, recipe)

    def port(sides: DetectorSides, answer: Answer) -> Answer:
        given, recipe = _asked(run, name)
        check_drawn(answer, given, recipe)
        return {"after": run.narrowed(sides.port("float64")).take_steps(given, FACTORS, recipe)}

    def judge(reference: Answer, port: Answer) -> list[Record]:
        return compare_taps("step", where, reference["after"], port["after"], units=CASCADED, tag_of=tag_of)

    return DetectorCase(rung="step", where=where, reference=reference, port=port, judge=judge, trains=True, shared=0)


def norm(gradients: Iterable[Array]) -> float:
    """The norm of all gradients together: without BLAS, whose last bits depend on threads and on the machine.

    A bundle that was recorded elsewhere was asked with the same one.
    """
    return math.sqrt(math.fsum(float(np.square(gradient).sum()) for gradient in gradients))


def _statistics(run: DetectorComparison) -> DetectorCase:
    """Running statistics after a whole batch in training mode, each side fed by itself."""
    where = Where(dtype="float64", subject="BatchNorm")

    def reference(sides: DetectorSides) -> Answer:
        scene = training_scenes(run)[0]
        return {"scene": scene._asdict(), "statistics": _statistics_after(sides.reference("float64"), scene)}

    def port(sides: DetectorSides, given: Answer) -> Answer:
        return {"statistics": _statistics_after(sides.port("float64"), Scene(**given["scene"]))}

    return DetectorCase(
        rung="step",
        where=where,
        reference=reference,
        port=port,
        judge=partial(_judge_statistics, where),
        whole=("scene",),
        trains=True,
    )


def _judge_statistics(where: Where, reference: Answer, port: Answer) -> list[Record]:
    left, right = reference["statistics"], port["statistics"]
    budgets = {name: GRADIENT * float(np.abs(statistic_scale(name, left)).max()) for name in left}
    return compare_taps("step", where, left, right, budgets=budgets, tag_of=tag_of)


def _statistics_after(side: DetectorSide, scene: Scene) -> Mapping[str, Array]:
    """What a batch in training mode leaves in a side."""
    side.forward([scene.images], training=True)
    return side.statistics()
