"""The rung *trajectory*: the loss at every step of a training run of the narrow network, on the same batches.

How far losses may be apart is the ladder's, `ladder/trajectory.py`.
"""

from collections.abc import Sequence
from functools import partial

from parity_tests.ladder.case import Answer
from parity_tests.ladder.perturbation import PERTURBATION_SEEDS, moved_by_rounding
from parity_tests.ladder.trajectory import judge_losses
from parity_tests.retinanet.comparison import DetectorCase, DetectorComparison, DetectorSides
from parity_tests.retinanet.inputs import Scene
from parity_tests.retinanet.rungs.gradients import STEPS, TRAINING_SIZE, training_scenes
from parity_tests.retinanet.side import DetectorSide, Recipe
from parity_tests.rule.record import Array, Where

RECIPE = Recipe("sgd", 1e-3, ((STEPS // 2, 3e-4),), momentum=0.9, clip_norm=1.0)
"""As the keras.io example trains: SGD with momentum and a piecewise constant rate."""


def trajectory(run: DetectorComparison) -> list[DetectorCase]:
    """Losses step by step with BatchNorm in inference and in training mode.

    Gradients, in both modes, show what a preset has a part in; what follows from them is dealt out. A mode that is
    alone is climbed with all presets.
    """
    if "float64" not in run.dtypes:
        return [_case(run, "inference", shared=None)]
    return [_case(run, mode, shared=which) for which, mode in enumerate(("inference", "training"))]


def _case(run: DetectorComparison, mode: str, shared: int | None) -> DetectorCase:
    """In float32, and so that its own error can be measured in float64 too, in inference mode alone."""
    precisions = run.precisions if mode == "inference" else ("float64",)

    def reference(sides: DetectorSides) -> Answer:
        scenes = [*training_scenes(run)]
        losses = {dtype: _losses(run, sides.reference(dtype), scenes, mode) for dtype in precisions}
        answer = {"scenes": [scene._asdict() for scene in scenes], **losses}
        if mode == "training":
            answer["moved"] = {str(s): _moved(run, sides.reference("float64"), s, scenes) for s in PERTURBATION_SEEDS}
        return answer

    def port(sides: DetectorSides, given: Answer) -> Answer:
        scenes = [Scene(**scene) for scene in given["scenes"]]
        return {dtype: _losses(run, sides.port(dtype), scenes, mode) for dtype in precisions}

    return DetectorCase(
        rung="trajectory",
        where=Where(size=TRAINING_SIZE, mode=mode),
        reference=reference,
        port=port,
        judge=partial(judge_losses, run.dtypes, mode),
        whole=("scenes",),
        trains=True,
        shared=shared,
    )


def _losses(run: DetectorComparison, side: DetectorSide, scenes: Sequence[Scene], mode: str) -> Array:
    """The loss at each step of a side."""
    return run.narrowed(side).train_on(scenes, RECIPE, training=mode == "training")


def _moved(run: DetectorComparison, side: DetectorSide, seed: int, scenes: Sequence[Scene]) -> Array:
    """The loss at each step of the reference from weights that are moved by rounding."""
    side.narrow.assign(moved_by_rounding(run.narrow_weights, seed=seed))
    return side.narrow.train_on(scenes, RECIPE, training=True)
