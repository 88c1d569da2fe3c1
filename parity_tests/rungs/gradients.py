"""The rung *gradients*: the loss's gradient by every parameter, BatchNorm in inference and in training mode."""

from collections.abc import Mapping, Sequence
from functools import partial

from parity_tests.compare import GRADIENT, Array, Record, compare_taps, largest
from parity_tests.inputs import Scene, Size, size_name
from parity_tests.rungs.run import Case, Run

TRAINING_SIZE: Size = (32, 64)
"""Picture size of the rungs that train."""

BATCH, STEPS = 2, 20
"""Pictures in a training batch, and batches in a training run."""


def gradients(run: Run) -> list[Case]:
    """Gradients on a batch of digits, in float64."""
    modes = {"inference": False, "training": True}
    return [Case("gradients", mode, partial(_gradients, run, mode, training)) for mode, training in modes.items()]


def _gradients(run: Run, mode: str, training: bool) -> list[Record]:
    scene = training_scenes(run)[0]
    try:
        reference, port = (weights_of(side.gradients(scene, training=training)) for side in run.sides("float64"))
    finally:
        run.assign("float64")
    budgets = {name: GRADIENT * largest(reference[_scale_of(name, training, reference)]) for name in reference}
    case = f"{size_name(scene.size)} float64 {mode}"
    return compare_taps("gradients", case, reference, port, budgets=budgets)


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
