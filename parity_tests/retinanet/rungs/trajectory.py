"""The rung *trajectory*: the loss at every step of a training run, on the same batches.

With BatchNorm in inference mode rounding stays what it is. In training mode it grows from step to step, so that the
budget is derived: ten times the most that the reference has differed so far from itself, in three runs whose first
weights are moved by what the sums that they enter may round; where that is less than a single forward pass is allowed,
as at the first steps, it is what such a pass is.
In float32 that growth leaves nothing that could fail: there BatchNorm runs in inference mode alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from parity_tests.retinanet.inputs import MOVES, moved_by_rounding
from parity_tests.retinanet.run import Case, Run
from parity_tests.retinanet.rungs.gradients import STEPS, training_scenes
from parity_tests.retinanet.side import Recipe
from parity_tests.rule.compare import (
    CASCADED,
    FLOAT32_FACTOR,
    SELF_FACTOR,
    Array,
    Record,
    compare_values,
    rounding_budget,
)

INFERENCE = 1e-12
"""What the loss may differ, as a share of itself, with BatchNorm in inference mode."""

RECIPE = Recipe("sgd", 1e-3, ((STEPS // 2, 3e-4),), momentum=0.9, clip_norm=1.0)
"""As the keras.io example trains: SGD with momentum and a piecewise constant rate."""


def trajectory(run: Run) -> list[Case]:
    """Losses step by step with BatchNorm in inference and in training mode.

    Gradients, in both modes, show what a preset has a part in; what follows from them is dealt out.
    """
    modes = {"inference": False, "training": True} if "float64" in run.dtypes else {"inference": False}
    return run.dealt([[Case("trajectory", mode, partial(_trajectory, run, is_on))] for mode, is_on in modes.items()])


def _trajectory(run: Run, training: bool) -> list[Record]:
    reference, port = (_losses(run, "float64", side, training) for side in (0, 1))
    curves = {"reference": reference, "port": port}
    if training:
        curves |= {f"reference moved, seed {s}": _losses(run, "float64", 0, training, s) for s in MOVES}
        own = self_difference(reference, list(curves.values())[2:])
        budgets = training_budgets(reference, own)
        curves |= {"self-difference": own, "growth": own[1:] / np.maximum(own[:-1], np.finfo(float).tiny)}
    else:
        budgets = INFERENCE * np.abs(reference)
    records = _compare("float64", training, curves, budgets) if "float64" in run.dtypes else []
    return records + (_single(run, reference, port) if "float32" in run.dtypes and not training else [])


def _single(run: Run, reference64: Array, port64: Array) -> list[Record]:
    """The same in float32, each side allowed what its rounding has cost it so far.

    Never more than the roundings of a forward pass.
    """
    reference, port = (_losses(run, "float32", side, training=False) for side in (0, 1))
    budgets = float32_budgets((reference, reference64), (port, port64))
    budgets = np.minimum(budgets, [rounding_budget(loss, CASCADED) for loss in reference[:, None]])
    return _compare("float32", False, {"reference": reference, "port": port}, budgets)


def training_budgets(reference: Array, own: Array) -> Array:
    """What losses (S,) in float64 may differ with BatchNorm in training mode.

    Ten times what the reference has differed from itself so far (S,), and at first what one forward pass may.
    """
    floor = [rounding_budget(loss, CASCADED) for loss in reference[:, None]]
    budgets: Array = np.maximum(SELF_FACTOR * own, floor)
    return budgets


def float32_budgets(reference: tuple[Array, Array], port: tuple[Array, Array]) -> Array:
    """What losses in float32 may differ at each step: three times the most that rounding has cost either side so far.

    Each side's in full, other than in a forward pass: the norm of all gradients, by which they are clipped, is 2e-5 off
    in torch 2.14.1 and 2e-8 in TensorFlow 2.21.0 (of 30 million float32 numbers), and moves every step the same way.

    Args:
        reference: its losses (S,) in float32 and in float64.
        port: those of the other side.
    """
    own = np.max([np.abs(single - double) for single, double in (reference, port)], axis=0)
    budgets: Array = FLOAT32_FACTOR * np.maximum.accumulate(own)
    return budgets


def _losses(run: Run, dtype: str, side: int, training: bool, moved: int | None = None) -> Array:
    """The loss at each step of the reference (0) or the port (1), from the run's weights or from moved ones."""
    trained = run.sides(dtype)[side]
    if moved is not None:
        trained.assign(moved_by_rounding(run.variables, seed=moved))
    try:
        return trained.train(training_scenes(run), RECIPE, training=training)
    finally:
        trained.assign(run.variables)


def self_difference(reference: Array, moved: Sequence[Array]) -> Array:
    """The most that moved runs have differed from the reference up to each step."""
    largest: Array = np.maximum.accumulate(np.max([np.abs(losses - reference) for losses in moved], axis=0))
    return largest


def _compare(dtype: str, training: bool, curves: Mapping[str, Array], budgets: Array) -> list[Record]:
    """One record a step; the last one keeps the curves."""
    case = f"{dtype} {'training' if training else 'inference'}"
    steps = zip(curves["reference"][:, None], curves["port"][:, None], budgets, strict=True)
    records = [
        compare_values("trajectory", case, f"loss.{i:02d}", expected, found, float(budget))
        for i, (expected, found, budget) in enumerate(steps, start=1)
    ]
    values = {name: [float(value) for value in curve] for name, curve in curves.items()}
    return [*records[:-1], replace(records[-1], values=values)]
