"""The rung *gradients*: the loss's gradient by every parameter, BatchNorm in inference and in training mode.

In training mode BatchNorm divides by the deviation of a batch, which in C5 is that of four values. Where those happen
to be nearly alike, rounding is magnified, on either side as much. Gradients that are further apart than elsewhere are
therefore held to how far the port's own are from themselves once its weights are moved by what sums of them round.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from parity_tests.ladder.case import Answer
from parity_tests.retinanet.comparison import DetectorCase, DetectorComparison, DetectorSides
from parity_tests.retinanet.inputs import PERTURBATION_SEEDS, Scene, Size, moved_by_rounding
from parity_tests.retinanet.names import tag_of
from parity_tests.retinanet.side import DetectorSide
from parity_tests.rule.budgets import BATCHNORM_LIMIT, GRADIENT, SELF_FACTOR, largest, largest_difference
from parity_tests.rule.compare import compare_taps
from parity_tests.rule.record import Array, Record, Where

TRAINING_SIZE: Size = (32, 64)
"""Picture size of the rungs that train."""

BATCH, STEPS = 2, 20
"""Pictures in a training batch, and batches in a training run."""


def gradients(run: DetectorComparison) -> list[DetectorCase]:
    """Gradients on a batch of digits, in float64."""
    return [_case(run, mode) for mode in ("inference", "training")]


def _case(run: DetectorComparison, mode: str) -> DetectorCase:
    where, training = Where(size=TRAINING_SIZE, dtype="float64", mode=mode), mode == "training"

    def reference(sides: DetectorSides) -> Answer:
        scene = training_scenes(run)[0]
        found = sides.reference("float64").gradients(scene, training=training)
        return {"scene": scene._asdict(), "gradients": weights_of(found)}

    def port(sides: DetectorSides, given: Answer) -> Answer:
        side, scene = sides.port("float64"), Scene(**given["scene"])
        found = weights_of(side.gradients(scene, training=training))
        if training and _may_be_magnified(_compare(where, given["gradients"], found, {}), given["gradients"]):
            own = _self_differences(side, run.weights, scene, found)
            return {"gradients": found, "own": {name: np.array(most) for name, most in own.items()}}
        return {"gradients": found}

    return DetectorCase(
        rung="gradients",
        where=where,
        reference=reference,
        port=port,
        judge=partial(_judge, where),
        whole=("scene",),
        trains=True,
    )


def _judge(where: Where, reference: Answer, port: Answer) -> list[Record]:
    return _compare(where, reference["gradients"], port["gradients"], port.get("own", {}))


def _compare(
    where: Where, reference: Mapping[str, Array], port: Mapping[str, Array], own: Mapping[str, Array]
) -> list[Record]:
    """Within 1e-10 of the largest; where the port's own differences are known, ten times those, within bounds."""
    budgets = {name: GRADIENT * scale for name, scale in _scales(where.mode, reference).items()}
    for name in budgets.keys() & own.keys():
        least = budgets[name]
        budgets[name] = float(np.clip(SELF_FACTOR * own[name], least, least * BATCHNORM_LIMIT / GRADIENT))
    return compare_taps("gradients", where, reference, port, budgets=budgets, tag_of=tag_of)


def _may_be_magnified(records: Sequence[Record], reference: Mapping[str, Array]) -> bool:
    """Whether some differ, and none by more than rounding can be magnified to."""
    apart, scales = [record for record in records if record.verdict != "equal"], _scales("training", reference)
    few = (r.difference is not None and r.difference <= BATCHNORM_LIMIT * scales.get(r.name, 0.0) for r in apart)
    return bool(apart) and all(few)


def _self_differences(
    side: DetectorSide, weights: Mapping[str, Array], scene: Scene, gradients: Mapping[str, Array]
) -> dict[str, float]:
    """The most that a side's gradients differ from themselves once its weights are moved by rounding."""
    own = dict.fromkeys(gradients, 0.0)
    for seed in PERTURBATION_SEEDS:
        side.assign(moved_by_rounding(weights, seed=seed))
        try:
            moved = side.gradients(scene, training=True)
        finally:
            side.assign(weights)
        own = {name: max(most, largest_difference(gradients[name], moved[name])) for name, most in own.items()}
    return own


def training_scenes(run: DetectorComparison) -> Sequence[Scene]:
    """The batches of digits that all rungs that train are fed, in order."""
    return run.inputs.training(TRAINING_SIZE, BATCH, STEPS)


def weights_of(values: Mapping[str, Array]) -> dict[str, Array]:
    """Values by variable name without those of BatchNorm's statistics."""
    return {name: value for name, value in values.items() if "/moving_" not in name}


def _scales(mode: str, reference: Mapping[str, Array]) -> dict[str, float]:
    return {name: largest(reference[_scale_of(name, mode)]) for name in reference}


def _scale_of(name: str, mode: str) -> str:
    """The parameter whose largest gradient is the scale.

    In training BatchNorm takes away whatever the bias of the convolution before it adds: that bias has a gradient of
    nothing but rounding, and is judged beside the kernel of its convolution.
    """
    layer, _, variable = name.rpartition("/")
    if mode == "training" and variable == "bias" and layer.startswith("fpn/backbone/"):
        return f"{layer}/kernel"
    return name
