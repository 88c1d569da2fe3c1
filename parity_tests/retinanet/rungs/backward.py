"""The rung *backward*: gradients by every tap, from the loss to the picture.

Isolated, each module is given the reference's input, and noise as the gradient of its output: on a level where no
object is, the loss itself has no gradient, and a mistake there would pass. The gradient by a tap is then what the
modules that it enters make of the noise, and that by a weight what its module makes of it; the loss is given the
reference's outputs. Cascaded, the loss's own gradient goes all the way.
"""

from collections.abc import Mapping

import numpy as np

from parity_tests.ladder.case import Answer, asked_with, check_drawn
from parity_tests.retinanet.comparison import DetectorCase, DetectorComparison, DetectorSides
from parity_tests.retinanet.inputs import Scene
from parity_tests.retinanet.names import tag_of
from parity_tests.retinanet.rungs.gradients import TRAINING_SIZE, training_scenes
from parity_tests.retinanet.side import DetectorSide, fed_with, values_of
from parity_tests.rule.budgets import GRADIENT, ISOLATED, largest, rounding_budget
from parity_tests.rule.compare import compare_taps
from parity_tests.rule.record import Array, Record, Where
from parity_tests.sides.side import Calls


def backward(run: DetectorComparison) -> list[DetectorCase]:
    """Gradients by every tap of a batch of digits, in float64."""
    return [_isolated(run), _cascaded(run)]


def _isolated(run: DetectorComparison) -> DetectorCase:
    where = Where(size=TRAINING_SIZE, dtype="float64", mode="isolated")

    def reference(sides: DetectorSides) -> Answer:
        scene, side = training_scenes(run)[0], sides.reference("float64")
        taps = values_of(side.forward([scene.images]))
        noise = _noise(taps)
        found = _gradients(side, scene, fed_with(taps, noise))
        return {"scene": scene._asdict(), "taps": taps, "gradients": found} | asked_with(noise)

    def port(sides: DetectorSides, given: Answer) -> Answer:
        noise = _noise(given["taps"])
        check_drawn(given, noise)
        fed = fed_with(given["taps"], noise)
        return {"gradients": _gradients(sides.port("float64"), Scene(**given["scene"]), fed)}

    def judge(reference: Answer, port: Answer) -> list[Record]:
        left, right = reference["gradients"], port["gradients"]
        budgets = {name: rounding_budget(gradient, ISOLATED) for name, gradient in left.items()}
        return compare_taps("backward", where, left, right, budgets=budgets, tag_of=tag_of)

    whole = ("scene", "taps")
    return DetectorCase(rung="backward", where=where, reference=reference, port=port, judge=judge, whole=whole)


def _cascaded(run: DetectorComparison) -> DetectorCase:
    where = Where(size=TRAINING_SIZE, dtype="float64", mode="cascaded")

    def reference(sides: DetectorSides) -> Answer:
        scene = training_scenes(run)[0]
        return {"scene": scene._asdict(), "gradients": _of_taps(_gradients(sides.reference("float64"), scene))}

    def port(sides: DetectorSides, given: Answer) -> Answer:
        return {"gradients": _of_taps(_gradients(sides.port("float64"), Scene(**given["scene"])))}

    def judge(reference: Answer, port: Answer) -> list[Record]:
        left, right = reference["gradients"], port["gradients"]
        budgets = {name: GRADIENT * largest(gradient) for name, gradient in left.items()}
        return compare_taps("backward", where, left, right, budgets=budgets, tag_of=tag_of)

    return DetectorCase(rung="backward", where=where, reference=reference, port=port, judge=judge, whole=("scene",))


def _noise(taps: Mapping[str, Array]) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=value.shape) for name, value in taps.items()}


def _gradients(side: DetectorSide, scene: Scene, fed: Calls | None = None) -> dict[str, Array]:
    """Those by taps in the order in which gradients reach them, then those by weights."""
    back = side.backward([scene.images], side.loss_of(scene), fed=fed)
    by_tap = {name: call.output_gradients[""] for name, call in reversed([*back.calls.items()])}
    return {**by_tap, **back.gradients}


def _of_taps(gradients: Mapping[str, Array]) -> dict[str, Array]:
    return {name: gradient for name, gradient in gradients.items() if "/" not in name}
