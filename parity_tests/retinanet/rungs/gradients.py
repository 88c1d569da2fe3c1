"""The rung *gradients*: the loss's gradient by every parameter, BatchNorm in inference and in training mode.

In training mode BatchNorm divides by the deviation of a batch, which in C5 is that of four values. Where those happen
to be nearly alike, rounding is magnified, on either side as much. Gradients that are further apart than elsewhere are
therefore held to how far the port's own are from themselves once its weights are moved by what sums of them round.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from parity_tests.retinanet.inputs import MOVES, Scene, Size, moved_by_rounding, size_name
from parity_tests.retinanet.run import Case, Run
from parity_tests.retinanet.side import Side
from parity_tests.rule.compare import (
    GRADIENT,
    MAGNIFIED,
    SELF_FACTOR,
    Array,
    Record,
    compare_taps,
    largest,
    largest_difference,
)

TRAINING_SIZE: Size = (32, 64)
"""Picture size of the rungs that train."""

BATCH, STEPS = 2, 20
"""Pictures in a training batch, and batches in a training run."""


def gradients(run: Run) -> list[Case]:
    """Gradients on a batch of digits, in float64."""
    modes = {"inference": False, "training": True}
    return [Case("gradients", mode, partial(_gradients, run, mode, training)) for mode, training in modes.items()]


def _gradients(run: Run, mode: str, training: bool) -> list[Record]:
    scene, sides = training_scenes(run)[0], run.sides("float64")
    try:
        reference, port = (weights_of(side.gradients(scene, training=training)) for side in sides)
    finally:
        run.assign("float64")
    scales = {name: largest(reference[_scale_of(name, training, reference)]) for name in reference}
    compare = partial(compare_taps, "gradients", f"{size_name(scene.size)} float64 {mode}", reference, port)
    records = compare(budgets={name: GRADIENT * scale for name, scale in scales.items()})
    if not training or not _may_be_magnified(records, scales):
        return records
    return compare(budgets=_budgets_of_rounding(run, sides[1], scene, port, scales))


def _may_be_magnified(records: Sequence[Record], scales: Mapping[str, float]) -> bool:
    """Whether some differ, and none by more than rounding can be magnified to."""
    apart = [record for record in records if record.verdict != "equal"]
    few = (r.difference is not None and r.difference <= MAGNIFIED * scales.get(r.name, 0.0) for r in apart)
    return bool(apart) and all(few)


def _budgets_of_rounding(
    run: Run, side: Side, scene: Scene, gradients: Mapping[str, Array], scales: Mapping[str, float]
) -> dict[str, float]:
    """Ten times the most that a side's gradients have differed from themselves, where that is more than elsewhere."""
    own = dict.fromkeys(scales, 0.0)
    for seed in MOVES:
        side.assign(moved_by_rounding(run.variables, seed=seed))
        try:
            moved = side.gradients(scene, training=True)
        finally:
            side.assign(run.variables)
        own = {name: max(most, largest_difference(gradients[name], moved[name])) for name, most in own.items()}
    return {
        name: float(np.clip(SELF_FACTOR * own[name], GRADIENT * scale, MAGNIFIED * scale))
        for name, scale in scales.items()
    }


def training_scenes(run: Run) -> Sequence[Scene]:
    """The batches of digits that all rungs that train are fed, in order."""
    return run.inputs.training(TRAINING_SIZE, BATCH, STEPS)


def weights_of(values: Mapping[str, Array]) -> dict[str, Array]:
    """Values by variable name without those of BatchNorm's statistics."""
    return {name: value for name, value in values.items() if "/moving_" not in name}


def _scale_of(name: str, training: bool, reference: Mapping[str, Array]) -> str:
    """The parameter whose largest gradient is the scale.

    In training BatchNorm takes away whatever the bias of the convolution before it adds: that bias has a gradient of
    nothing but rounding, and is judged beside the kernel of its convolution.
    """
    layer, _, variable = name.rpartition("/")
    if training and variable == "bias" and layer.startswith("fpn/backbone/"):
        return f"{layer}/kernel"
    return name
