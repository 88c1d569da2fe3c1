"""The ladder: what is compared, step by step. Each rung turns a `Run` into cases, each case gives records.

- *shapes*: every tap's shape and the number of anchors at many picture sizes, those that both refuse among them;
- *parameters*: names and shapes of all variables, and the distribution of fresh values layer by layer;
- *forward*: every tap's values, isolated and cascaded, in float64 and float32, statistics after training, and weights.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from parity_tests.bridge import Config, Side, build_sides
from parity_tests.compare import (
    CASCADED,
    ISOLATED,
    Array,
    Record,
    compare_taps,
    compare_values,
    float32_budget,
    rounding_budget,
)
from parity_tests.inputs import Size, random_images, size_name

SWEEP: tuple[Size, ...] = (
    *((32, 32), (64, 64), (96, 96), (128, 128), (160, 160), (192, 192), (224, 224), (256, 256)),
    *((96, 160), (128, 96), (32, 256), (288, 32), (64, 224), (320, 96)),
)
"""Picture sizes of the shapes rung: sides of P5 even and odd, wide, tall, and a single pixel."""

REFUSED: tuple[Size, ...] = ((120, 120), (128, 100), (33, 64))
"""Picture sizes that do not divide by 32, which both sides must refuse, at the same tap."""

FORWARD_SIZES: tuple[Size, ...] = ((128, 128), (96, 160), (32, 64))
"""Picture sizes of the forward rung: P5 and P6 with even and odd sides, so that the padding of P6 and P7 shows."""

TRAINING_SIZE: Size = (128, 128)
"""Picture size of the training step, at which each channel of C5 has 16 values a picture."""

ANCHORS_PER_CELL, STRIDES = 9, (8, 16, 32, 64, 128)
"""Anchors of a cell and strides of the levels (Lin et al. 2017, section 4), from which anchor counts are computed."""

SAMPLE = 2**16
"""Values of a variable that enter the comparison of distributions, spread over it evenly."""

FALSE_ALARM = 1e-9
"""How often two samples of one distribution may be taken for two; what the distance may be follows from it."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What is held against what, and on which inputs.

    Attributes:
        preset: that of the reference.
        config: the conventions of the port.
        variables: weights of both sides, by Keras name.
        sizes: picture sizes of all rungs; by default each rung has its own.
        dtypes: precisions that get records.
        images: a batch (B,H,W,3) for a size.
    """

    preset: str
    config: Config
    variables: Mapping[str, Array]
    sizes: Sequence[Size] = ()
    dtypes: Sequence[str] = ("float64", "float32")
    images: Callable[[Size], Array] = random_images
    _sides: dict[str, tuple[Side, Side]] = field(default_factory=dict)

    def sides(self, dtype: str) -> tuple[Side, Side]:
        """Reference and port with the run's weights."""
        if dtype not in self._sides:
            self._sides[dtype] = build_sides(self.preset, self.config, dtype)
            self.assign(dtype)
        return self._sides[dtype]

    def assign(self, dtype: str) -> None:
        """Give both sides the run's weights, again."""
        for side in self._sides[dtype]:
            side.assign(self.variables)


class Case(NamedTuple):
    """One step of a rung, and what runs it."""

    rung: str
    name: str
    compare: Callable[[], list[Record]]


def shapes(run: Run) -> list[Case]:
    """Shapes of all taps, and anchors, size by size."""
    cases = [Case("shapes", size_name(size), partial(_shapes_at, run, size)) for size in run.sizes or SWEEP]
    refused = () if run.sizes else REFUSED
    return [*cases, *(Case("shapes", size_name(size), partial(_refused_at, run, size)) for size in refused)]


def parameters(run: Run) -> list[Case]:
    """Names, shapes, number and fresh values of all variables."""
    return [Case("parameters", "fresh", partial(_fresh_variables, run))]


def forward(run: Run) -> list[Case]:
    """Values of all taps size by size, running statistics after a training step, and the weights of the run."""
    sizes = run.sizes or FORWARD_SIZES
    cases = [Case("forward", size_name(size), partial(_forward_at, run, size)) for size in sizes]
    training = Case("forward", "training", partial(_statistics_after_training, run))
    return [*cases, training, Case("forward", "weights", partial(_weights_of_port, run))]


RUNGS: dict[str, Callable[[Run], list[Case]]] = {"shapes": shapes, "parameters": parameters, "forward": forward}


def _shapes_at(run: Run, size: Size) -> list[Record]:
    reference, port = (side.forward(random_images(size, batch=1)) for side in run.sides("float32"))
    records = compare_taps("shapes", size_name(size), reference, port)
    anchors = _compare_anchors(size, reference, port, _expected_anchors(size))
    return [*records, anchors, *_refusal("shapes", size_name(size), reference)]


def _refused_at(run: Run, size: Size) -> list[Record]:
    """Taps of a size that both sides must refuse: up to the same one, and no result."""
    reference, port = (side.forward(random_images(size, batch=1)) for side in run.sides("float32"))
    records = compare_taps("shapes", size_name(size), reference, port)
    reasoned = [replace(record, reason=record.reason and f"{record.reason}, at a refused size") for record in records]
    return [*reasoned, _compare_anchors(size, reference, port, expected=None)]


def _expected_anchors(size: Size) -> int:
    return ANCHORS_PER_CELL * sum(math.prod(math.ceil(side / stride) for side in size) for stride in STRIDES)


def _compare_anchors(
    size: Size, reference: Mapping[str, Array], port: Mapping[str, Array], expected: int | None
) -> Record:
    """Anchors of both sides against what the cells of the levels make; `None` where a side refuses, or must."""
    counts = [taps["outputs"].shape[1] if "outputs" in taps else None for taps in (reference, port)]
    equal = counts == [expected, expected]
    return Record(
        rung="shapes",
        case=size_name(size),
        name="anchors",
        verdict="equal" if equal else "different",
        reference_shape=None if counts[0] is None else (counts[0],),
        port_shape=None if counts[1] is None else (counts[1],),
        reason="" if equal else f"{counts[1]} anchors, the reference has {counts[0]}, and there must be {expected}",
    )


def _fresh_variables(run: Run) -> list[Record]:
    reference, port = (side.variables() for side in build_sides(run.preset, run.config, "float32"))
    names = [*reference, *(name for name in port if name not in reference)]
    records = [_compare_distribution(name, reference.get(name), port.get(name)) for name in names]
    counts = [np.array([sum(array.size for array in side.values())], float) for side in (reference, port)]
    return [*records, compare_values("parameters", "fresh", "count", counts[0], counts[1], budget=0.0)]


def _compare_distribution(name: str, reference: Array | None, port: Array | None) -> Record:
    """The largest distance of two distribution functions, against what chance allows (Kolmogorov and Smirnov).

    What the reference starts at one value, zeros or ones, must be that value.
    """
    structure = compare_values("parameters", "fresh", name, reference, port, budget=None)
    if reference is None or port is None or structure.verdict != "equal":
        return structure
    if reference.min() == reference.max():
        return compare_values("parameters", "fresh", name, reference, port, budget=0.0)
    left, right = (np.sort(array.ravel()[:: max(1, array.size // SAMPLE)]) for array in (reference, port))
    points = np.concatenate([left, right])
    shares = [np.searchsorted(values, points, side="right") / values.size for values in (left, right)]
    budget = math.sqrt(math.log(2 / FALSE_ALARM) / 2 * (1 / left.size + 1 / right.size))
    return compare_values("parameters", "fresh", name, shares[0], shares[1], budget)


def _forward_at(run: Run, size: Size) -> list[Record]:
    images = run.images(size)
    reference, port = (side.forward(images) for side in run.sides("float64"))
    records = _refusal("forward", size_name(size), reference)
    if "float64" in run.dtypes:
        isolated = run.sides("float64")[1].forward(images, given=reference)
        records += compare_taps("forward", f"{size_name(size)} float64 isolated", reference, isolated, units=ISOLATED)
        records += compare_taps("forward", f"{size_name(size)} float64 cascaded", reference, port, units=CASCADED)
    if "float32" in run.dtypes:
        records += _float32_at(run, size, images, reference, port)
    return records


def _float32_at(
    run: Run, size: Size, images: Array, reference64: Mapping[str, Array], port64: Mapping[str, Array]
) -> list[Record]:
    reference, port = (side.forward(images) for side in run.sides("float32"))
    isolated = run.sides("float32")[1].forward(images, given=reference)
    isolated64 = [side.forward(images, given=reference) for side in run.sides("float64")]
    case = f"{size_name(size)} float32"
    budgets = _float32_budgets(ISOLATED, reference, isolated64[0], isolated, isolated64[1])
    records = compare_taps("forward", f"{case} isolated", reference, isolated, budgets=budgets)
    budgets = _float32_budgets(CASCADED, reference, reference64, port, port64)
    return [*records, *compare_taps("forward", f"{case} cascaded", reference, port, budgets=budgets)]


def _float32_budgets(units: int, *taps: Mapping[str, Array]) -> dict[str, float]:
    """Budgets of the taps that reference and port have in both precisions, in one shape."""
    shapes = [{name: value.shape for name, value in side.items()} for side in taps]
    common = [name for name, shape in shapes[0].items() if all(side.get(name) == shape for side in shapes)]
    return {name: float32_budget(units, *(side[name] for side in taps)) for name in common}


def _refusal(rung: str, case: str, reference: Mapping[str, Array]) -> list[Record]:
    """A record that says so where the reference refused the images: what follows was not compared."""
    if "outputs" in reference:
        return []
    reason = f"the reference refuses the images after {list(reference)[-1]}"
    return [Record(rung=rung, case=case, name="outputs", verdict="incomplete", reason=reason)]


def _statistics_after_training(run: Run) -> list[Record]:
    """The running statistics that one training step leaves, each block fed the reference's input.

    Taps are not judged here: what BatchNorm makes of a channel that hardly varies within the batch magnifies rounding
    without bound. The statistics themselves do not. A mean is judged on the scale of what it averages, the deviation:
    it may itself be nothing but rounding.
    """
    images, (reference, port) = run.images(TRAINING_SIZE), run.sides("float64")
    try:
        given = reference.forward(images, training=True)
        port.forward(images, given=given, training=True)
        left = [{n: value for n, value in side.variables().items() if "/moving_" in n} for side in (reference, port)]
    finally:
        run.assign("float64")
    scales = {name: _statistic_scale(name, left[0]) for name in left[0]}
    budgets = {name: rounding_budget(scale, ISOLATED) for name, scale in scales.items()}
    return compare_taps("forward", f"{size_name(TRAINING_SIZE)} float64 training", left[0], left[1], budgets=budgets)


def _statistic_scale(name: str, statistics: Mapping[str, Array]) -> Array:
    layer, _, statistic = name.rpartition("/")
    if statistic != "moving_mean":
        return statistics[name]
    return np.concatenate([statistics[name], np.sqrt(statistics[f"{layer}/moving_variance"])])


def _weights_of_port(run: Run) -> list[Record]:
    """The weights that the port ran with, bit for bit: what was not carried over is missing or differs here."""
    given = {name: value.astype(np.float64) for name, value in run.variables.items()}
    port = run.sides("float64")[1].variables()
    return compare_taps("forward", "float64 weights", given, port, budgets=dict.fromkeys(given, 0.0))
