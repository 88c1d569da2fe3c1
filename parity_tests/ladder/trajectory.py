"""Training runs of two sides: the loss at every step, and how far apart it may be.

With BatchNorm in inference mode rounding stays what it is. In training mode it grows from step to step, so that the
budget is derived: ten times the most that the reference has differed so far from itself, in three runs whose first
weights are moved by what the sums that they enter may round; where that is less than a single forward pass is allowed,
as at the first steps, it is what such a pass is.
In float32 that growth leaves nothing that could fail: there BatchNorm runs in inference mode alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from parity_tests.ladder.case import Answer
from parity_tests.ladder.coarse import coarse_budget, coarse_sides
from parity_tests.rule.budgets import CASCADED, FLOAT32_FACTOR, SELF_FACTOR, rounding_budget
from parity_tests.rule.compare import compare_values, with_own_errors
from parity_tests.rule.record import Array, Record, Where
from parity_tests.rule.vacuous import unmoved

INFERENCE = 1e-12
"""What the loss may differ, as a share of itself, with BatchNorm in inference mode."""


def judge_losses(dtypes: Sequence[str], mode: str, reference: Answer, port: Answer) -> list[Record]:
    """The losses of both sides step by step; the last record of a run keeps the curves.

    Where a side computes in float32 in float64, each loss is allowed the roundings of a model in that.
    """
    records = []
    curves = {"reference": reference["float64"], "port": port["float64"]}
    if mode == "training":
        curves |= {f"reference moved, seed {seed}": losses for seed, losses in reference["moved"].items()}
        own = self_difference(reference["float64"], [*reference["moved"].values()])
        budgets = training_budgets(reference["float64"], own)
        curves |= {"self-difference": own, "growth": own[1:] / np.maximum(own[:-1], np.finfo(float).tiny)}
    else:
        budgets = INFERENCE * np.abs(reference["float64"])
    coarse = coarse_sides(reference, port)
    if coarse:
        budgets = np.maximum(budgets, [coarse_budget(abs(loss)) for loss in reference["float64"]])
    if "float64" in dtypes:
        found = _compare(Where(dtype="float64", mode=mode), curves, budgets)
        records += [replace(record, coarse=coarse) for record in found]
    return records + (_judge_single(mode, reference, port) if "float32" in port else [])


def _judge_single(mode: str, reference: Answer, port: Answer) -> list[Record]:
    """The same in float32, each side allowed what its rounding has cost it so far.

    Never more than the roundings of a forward pass.
    """
    single, other = reference["float32"], port["float32"]
    budgets = float32_budgets((single, reference["float64"]), (other, port["float64"]))
    budgets = np.minimum(budgets, [rounding_budget(loss, CASCADED) for loss in single[:, None]])
    records = _compare(Where(dtype="float32", mode=mode), {"reference": single, "port": other}, budgets)
    off = zip(np.abs(single - reference["float64"]), np.abs(other - port["float64"]), strict=True)
    return [with_own_errors(record, (float(a), float(b))) for record, (a, b) in zip(records, off, strict=True)]


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


def self_difference(reference: Array, moved: Sequence[Array]) -> Array:
    """The most that moved runs have differed from the reference up to each step."""
    largest: Array = np.maximum.accumulate(np.max([np.abs(losses - reference) for losses in moved], axis=0))
    return largest


def _compare(where: Where, curves: Mapping[str, Array], budgets: Array) -> list[Record]:
    """One record a step; the last one keeps the curves."""
    steps = zip(curves["reference"][:, None], curves["port"][:, None], budgets, strict=True)
    records = [
        compare_values("trajectory", where, f"loss.{i:02d}", expected, found, float(budget))
        for i, (expected, found, budget) in enumerate(steps, start=1)
    ]
    if unmoved(curves["reference"]) and unmoved(curves["port"]):
        records = [replace(r, vacuous="the loss does not move") for r in records]
    values = {name: [float(value) for value in curve] for name, curve in curves.items()}
    return [*records[:-1], replace(records[-1], values=values)]
