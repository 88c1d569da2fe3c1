"""The rung *backward*: gradients by every tap, from the loss to the picture.

Isolated, each module is given the reference's input, and noise as the gradient of its output: on a level where no
object is, the loss itself has no gradient, and a mistake there would pass. The gradient by a tap is then what the
modules that it enters make of the noise, and that by a weight what its module makes of it; the loss is given the
reference's outputs. Cascaded, the loss's own gradient goes all the way.
"""

from collections.abc import Mapping
from functools import partial

import numpy as np

from parity_tests.retinanet.inputs import size_name
from parity_tests.retinanet.run import Case, Run
from parity_tests.retinanet.rungs.gradients import training_scenes
from parity_tests.retinanet.side import Fed
from parity_tests.rule.compare import GRADIENT, ISOLATED, Array, Record, compare_taps, largest


def backward(run: Run) -> list[Case]:
    """Gradients by every tap of a batch of digits, in float64."""
    return [
        Case("backward", "isolated", partial(_isolated, run)),
        Case("backward", "cascaded", partial(_cascaded, run)),
    ]


def _isolated(run: Run) -> list[Record]:
    scene, sides = training_scenes(run)[0], run.sides("float64")
    taps = sides[0].forward(scene.images)
    fed = Fed(taps, _noise(taps))
    reference, port = (_from_the_loss(side.backward(scene, fed=fed)) for side in sides)
    return compare_taps("backward", f"{size_name(scene.size)} float64 isolated", reference, port, units=ISOLATED)


def _cascaded(run: Run) -> list[Record]:
    scene = training_scenes(run)[0]
    reference, port = (_of_taps(_from_the_loss(side.backward(scene))) for side in run.sides("float64"))
    budgets = {name: GRADIENT * largest(gradient) for name, gradient in reference.items()}
    return compare_taps("backward", f"{size_name(scene.size)} float64 cascaded", reference, port, budgets=budgets)


def _noise(taps: Mapping[str, Array]) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=value.shape) for name, value in taps.items()}


def _from_the_loss(gradients: Mapping[str, Array]) -> dict[str, Array]:
    """Taps in the order in which gradients reach them, then weights."""
    return {name: gradients[name] for name in (*reversed(_of_taps(gradients)), *(n for n in gradients if "/" in n))}


def _of_taps(gradients: Mapping[str, Array]) -> dict[str, Array]:
    return {name: gradient for name, gradient in gradients.items() if "/" not in name}
