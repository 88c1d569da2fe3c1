"""The rung *forward*: every tap's values in both precisions, statistics after a training step, and the weights."""

from collections.abc import Mapping
from functools import partial

import numpy as np

from parity_tests.retinanet.inputs import Size, size_name
from parity_tests.retinanet.run import Case, Run, refusal
from parity_tests.retinanet.sums import longest_sums
from parity_tests.rule.compare import (
    CASCADED,
    ISOLATED,
    Array,
    Record,
    compare_taps,
    float32_budget,
    isolated_units,
    rounding_budget,
)
from parity_tests.rule.sampled import Sampled

FORWARD_SIZES: tuple[Size, ...] = ((128, 128), (96, 160), (32, 64))
"""Picture sizes of the forward rung: P5 and P6 with even and odd sides, so that the padding of P6 and P7 shows."""

TRAINING_SIZE: Size = (96, 160)
"""Picture size of the training step, at which each channel of C5 has 15 values a picture."""


BLOCKS = ("stem", "conv")
"""How the names of the taps begin that blocks with BatchNorm are fed."""


def forward(run: Run) -> list[Case]:
    """Values of all taps size by size, running statistics after a training step, and the weights of the run."""
    sizes = run.sizes or FORWARD_SIZES
    cases = [Case("forward", size_name(size), partial(_forward_at, run, size)) for size in sizes]
    training = Case("forward", "training", partial(_statistics_after_training, run))
    return [*cases, training, Case("forward", "weights", partial(_weights_of_port, run))]


def _forward_at(run: Run, size: Size) -> list[Record]:
    images = run.inputs.images(size)
    reference, port = (side.forward(images) for side in run.sides("float64"))
    records = refusal("forward", size_name(size), reference)
    if "float64" in run.dtypes:
        if can_be_fed(reference):
            isolated = run.sides("float64")[1].forward(images, given=reference)
            case = f"{size_name(size)} float64 isolated"
            budgets = isolated_budgets(run, reference)
            records += compare_taps("forward", case, reference, isolated, budgets=budgets)
        records += compare_taps("forward", f"{size_name(size)} float64 cascaded", reference, port, units=CASCADED)
    if "float32" in run.dtypes:
        records += _float32_at(run, size, images, reference, port)
    return records


def _float32_at(
    run: Run, size: Size, images: Array, reference64: Mapping[str, Array], port64: Mapping[str, Array]
) -> list[Record]:
    reference, port = (side.forward(images) for side in run.sides("float32"))
    case, records = f"{size_name(size)} float32", []
    if can_be_fed(reference):
        isolated = run.sides("float32")[1].forward(images, given=reference)
        bounds = rounding_bounds(run, images, reference)
        records = compare_taps("forward", f"{case} isolated", reference, isolated, budgets=bounds)
    budgets = _float32_budgets(CASCADED, reference, reference64, port, port64)
    return [*records, *compare_taps("forward", f"{case} cascaded", reference, port, budgets=budgets)]


def isolated_budgets(run: Run, given: Mapping[str, Array]) -> dict[str, float]:
    """What a fed module may differ by in float64 at each tap of `given`: roundings of the largest value."""
    sums = longest_sums({name: value.shape for name, value in run.variables.items()})
    return {name: rounding_budget(value, isolated_units(sums.get(name, 1))) for name, value in given.items()}


def rounding_bounds(run: Run, images: Array, given: Mapping[str, Array]) -> dict[str, float | Array]:
    """How far float32 may be off at each tap of `given`, element by element; 0 where a tap only hands on its input.

    Never more than `ISOLATED` roundings of the largest value; that alone is allowed where the layers of the port are
    not known, as those of Keras, and where the images were refused.
    """
    most = {name: rounding_budget(value, ISOLATED) for name, value in given.items()}
    bounds = run.sides("float64")[1].rounding_bounds(images, given) if "outputs" in given else {}
    if not bounds:
        return {**most}
    return {name: np.minimum(bounds[name], most[name]) if name in bounds else 0.0 for name in given}


def can_be_fed(taps: Mapping[str, Array]) -> bool:
    """Whether taps are whole: modules cannot be fed with the samples that a bundle has of large ones."""
    return not any(isinstance(value, Sampled) for value in taps.values())


def _float32_budgets(units: int, *taps: Mapping[str, Array]) -> dict[str, float]:
    """Budgets of the taps that reference and port have in both precisions, in one shape."""
    shapes = [{name: value.shape for name, value in side.items()} for side in taps]
    common = [name for name, shape in shapes[0].items() if all(side.get(name) == shape for side in shapes)]
    return {name: float32_budget(units, *(side[name] for side in taps)) for name in common}


def _statistics_after_training(run: Run) -> list[Record]:
    """The running statistics that one training step leaves, each block fed the reference's input.

    Taps are not judged here: what BatchNorm makes of a channel that hardly varies within the batch magnifies rounding
    without bound. The statistics themselves do not. A mean is judged on the scale of what it averages, the deviation:
    it may itself be nothing but rounding.
    """
    images, (reference, port) = run.inputs.images(TRAINING_SIZE), run.sides("float64")
    try:
        taps = reference.forward(images, training=True)
        given = {name: value for name, value in taps.items() if name.startswith(BLOCKS)}
        port.forward(images, given=given, training=True)
        left = [{n: value for n, value in side.variables().items() if "/moving_" in n} for side in (reference, port)]
    finally:
        run.assign("float64")
    scales = {name: statistic_scale(name, left[0]) for name in left[0]}
    budgets = {name: rounding_budget(scale, ISOLATED) for name, scale in scales.items()}
    return compare_taps("forward", f"{size_name(TRAINING_SIZE)} float64 training", left[0], left[1], budgets=budgets)


def statistic_scale(name: str, statistics: Mapping[str, Array]) -> Array:
    """What a running statistic is judged beside: itself, and of a mean the deviation of what it averages over."""
    layer, _, statistic = name.rpartition("/")
    if statistic != "moving_mean":
        return statistics[name]
    return np.concatenate([statistics[name], np.sqrt(statistics[f"{layer}/moving_variance"])])


def _weights_of_port(run: Run) -> list[Record]:
    """The weights that the port ran with, bit for bit: what was not carried over is missing or differs here."""
    given = {name: value.astype(np.float64) for name, value in run.variables.items()}
    port = run.sides("float64")[1].variables()
    return compare_taps("forward", "float64 weights", given, port, budgets=dict.fromkeys(given, 0.0))
