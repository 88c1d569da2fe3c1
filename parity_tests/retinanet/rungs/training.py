"""The rung *training*: the steps that `retinanet train` takes, with everything that it does around the optimiser.

Schedule, accumulation, clipping, decay of kernels alone, the moving average, what is frozen, and a checkpoint that is
gone on from: the trainer on the one side, a closed form on the other. First with gradients that both are given, then
on pictures, of which the reference takes gradients by itself. The narrow network does.
"""

from collections.abc import Mapping
from functools import partial

import numpy as np

from parity_tests.ladder.case import Answer
from parity_tests.ladder.perturbation import PERTURBATION_SEEDS, moved_by_rounding
from parity_tests.retinanet.comparison import DetectorCase, DetectorComparison, DetectorSides
from parity_tests.retinanet.inputs import Batches, Scene
from parity_tests.retinanet.names import tag_of, weights_of
from parity_tests.retinanet.narrow import for_bytes
from parity_tests.retinanet.preparation import PictureSides
from parity_tests.retinanet.rungs.gradients import TRAINING_SIZE, training_scenes
from parity_tests.retinanet.side import DetectorSide
from parity_tests.retinanet.trainer import Plan
from parity_tests.rule.budgets import BATCHNORM_LIMIT, CASCADED, GRADIENT, SELF_FACTOR, largest, largest_difference
from parity_tests.rule.compare import compare_taps
from parity_tests.rule.record import Array, Record, Where

GIVEN = {
    "AdamW, one_cycle": Plan(
        optimizer="adamw",
        schedule="one_cycle",
        steps=6,
        warm_up=0.5,
        accumulate=2,
        weight_decay=0.05,
        clip_norm=1.0,
        ema=0.25,
        resumed_after=3,
    ),
    "SGD, cosine": Plan(
        optimizer="sgd",
        schedule="cosine",
        steps=6,
        warm_up=0.3,
        weight_decay=0.05,
        frozen_stages=2,
        ema=0.999,
        resumed_after=2,
        backbone_rate=0.25,
    ),
    "SGD, step": Plan(
        optimizer="sgd", schedule="step", steps=9, accumulate=3, clip_norm=1.0, frozen_norm=True, short_step=4
    ),
    "AdamW, constant": Plan(
        optimizer="adamw", schedule="constant", steps=3, warm_up=0.5, clip_norm=0.1, clip_scope="parameter"
    ),
}
"""Runs of which both sides are given the gradients."""

SIDES, LARGER = PictureSides(min(TRAINING_SIZE), max(TRAINING_SIZE)), (1.5, 2.0)
"""To which pictures are resized, and how many times larger those of a batch are."""

FEW = Plan(optimizer="sgd", schedule="constant", steps=2, clip_norm=0.1, rate=1e-3)

ON_PICTURES = {
    "frozen backbone": FEW._replace(frozen_stages=5, resumed_after=1),
    "pictures": FEW._replace(schedule="one_cycle", accumulate=2, weight_decay=0.01, ema=0.999),
    "frozen BatchNorm": FEW._replace(frozen_stages=1, frozen_norm=True),
}
"""Runs on pictures, each side with gradients of its own; of two presets each has those of the mode of BatchNorm in
which it climbs a training run."""


def training(run: DetectorComparison) -> list[DetectorCase]:
    """Weights, moving averages, and the rate, norm and loss of each step, in float64."""
    given = [_given(run, name, plan, shared) for shared, (name, plan) in enumerate(GIVEN.items())]
    return given + [_on_pictures(run, name, plan, shared) for shared, (name, plan) in enumerate(ON_PICTURES.items())]


def _given(run: DetectorComparison, name: str, plan: Plan, shared: int) -> DetectorCase:
    where = Where(dtype="float64", subject=name, data="given gradients")

    def steps(side: DetectorSide) -> Answer:
        shapes = {name: values.shape for name, values in weights_of(run.narrow_weights).items()}
        return {"after": run.narrowed(side).trained_with(plan, shapes)}

    return DetectorCase(
        rung="training",
        where=where,
        reference=lambda sides: steps(sides.reference("float64")),
        port=lambda sides, given: steps(sides.port("float64")),
        judge=partial(_judge, where, CASCADED * float(np.finfo(np.float64).eps)),
        trains=True,
        shared=shared,
    )


def _on_pictures(run: DetectorComparison, name: str, plan: Plan, shared: int) -> DetectorCase:
    """Where BatchNorm follows the batches it magnifies rounding: the reference then tells how far it is from itself
    once its weights are moved by rounding."""
    where = Where(dtype="float64", subject=name)

    def trained(side: DetectorSide, weights: Mapping[str, Array], scenes: Batches) -> Mapping[str, Array]:
        side.narrow.assign(for_bytes(weights))
        return side.narrow.trained_on(plan, scenes, SIDES)

    def reference(sides: DetectorSides) -> Answer:
        scenes, side, weights = _scenes(run, plan), sides.reference("float64"), run.narrow_weights
        after = trained(side, weights, scenes)
        seeds = PERTURBATION_SEEDS if plan.norm_follows else ()
        moved = [trained(side, moved_by_rounding(weights, seed=seed), scenes) for seed in seeds]
        own = {
            name: max((largest_difference(after[name], each[name]) for each in moved), default=0.0) for name in after
        }
        return {"after": after, "own": own}

    def port(sides: DetectorSides, given: Answer) -> Answer:
        return {"after": trained(sides.port("float64"), run.narrow_weights, _scenes(run, plan))}

    judge = partial(_judge, where, GRADIENT)
    return DetectorCase(
        rung="training", where=where, reference=reference, port=port, judge=judge, trains=True, shared=shared
    )


def _scenes(run: DetectorComparison, plan: Plan) -> Batches:
    """The batches of each step, as pictures from 0 to 255 that are larger than the network sees them."""
    drawn = [_enlarged(scene) for scene in training_scenes(run)[: plan.steps * plan.accumulate]]
    return [drawn[step * plan.accumulate :][: plan.accumulate] for step in range(plan.steps)]


def _enlarged(scene: Scene) -> list[Scene]:
    """Each picture with its boxes, in another size by repeating pixels."""
    pictures = []
    for picture, boxes, labels, times in zip(*scene, LARGER, strict=True):
        rows, columns = ((np.arange(side * times) // times).astype(int) for side in scene.size)
        larger = ((picture.astype(np.float64) + 1) * 127.5)[rows][:, columns]
        pictures.append(Scene(larger[None], [boxes * times], [labels]))
    return pictures


def _judge(where: Where, share: float, reference: Answer, port: Answer) -> list[Record]:
    """Each value by a share of its largest, or by what the reference differs from itself, within a limit."""
    left, right, own = reference["after"], port["after"], reference.get("own", {})
    sizes = {name: largest(value) for name, value in left.items()}
    magnified = {n: min(SELF_FACTOR * own.get(n, 0.0), BATCHNORM_LIMIT * size) for n, size in sizes.items()}
    budgets = {name: max(share * size, magnified[name]) for name, size in sizes.items()}
    return compare_taps("training", where, left, right, budgets=budgets, tag_of=tag_of)
