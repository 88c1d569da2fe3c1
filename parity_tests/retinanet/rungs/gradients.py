"""The rung *gradients*: the loss's gradient by every parameter, BatchNorm in inference and in training mode."""

from collections.abc import Mapping, Sequence
from functools import partial

from parity_tests.ladder.case import Answer
from parity_tests.ladder.gradients import compare_gradients, may_be_magnified, self_differences
from parity_tests.retinanet.comparison import DetectorCase, DetectorComparison, DetectorSides
from parity_tests.retinanet.inputs import Scene, Size
from parity_tests.retinanet.side import DetectorSide
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
        sides.make_room("float32")
        scene = training_scenes(run)[0]
        return {"scene": scene._asdict(), "gradients": gradients_of(sides.reference("float64"), scene, training)}

    def port(sides: DetectorSides, given: Answer) -> Answer:
        side, scene = sides.port("float64"), Scene(**given["scene"])
        found = gradients_of(side, scene, training)
        if training and may_be_magnified(compare_gradients(where, given["gradients"], found), given["gradients"]):
            moved = partial(_from_weights, side, scene)
            return {"gradients": found, "own": self_differences(moved, run.weights, found)}
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
    return compare_gradients(where, reference["gradients"], port["gradients"], port.get("own"))


def _from_weights(side: DetectorSide, scene: Scene, weights: Mapping[str, Array]) -> Mapping[str, Array]:
    side.assign(weights)
    return gradients_of(side, scene, training=True)


def gradients_of(side: DetectorSide, scene: Scene, training: bool) -> Mapping[str, Array]:
    """The gradient of a scene's loss by every weight."""
    return side.backward([scene.images], side.loss_of(scene), training=training).gradients


def training_scenes(run: DetectorComparison) -> Sequence[Scene]:
    """The batches of digits that all rungs that train are fed, in order."""
    return run.inputs.training(TRAINING_SIZE, BATCH, STEPS)
