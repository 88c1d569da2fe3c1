"""The rung *shapes*: every tap's shape and the number of anchors, at sizes that both refuse too."""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from parity_tests.retinanet.inputs import Size, random_images, size_name
from parity_tests.retinanet.run import Case, Run, refusal
from parity_tests.rule.compare import Array, Record, compare_taps

SWEEP: tuple[Size, ...] = (
    *((32, 32), (64, 64), (96, 96), (128, 128), (160, 160), (192, 192), (224, 224), (256, 256)),
    *((96, 160), (128, 96), (32, 256), (288, 32), (64, 224), (320, 96)),
)
"""Picture sizes of the shapes rung: sides of P5 even and odd, wide, tall, and a single pixel."""

REFUSED: tuple[Size, ...] = ((120, 120), (128, 100), (33, 64))
"""Picture sizes that do not divide by 32, which both sides must refuse, at the same tap."""

ANCHORS_PER_CELL, STRIDES = 9, (8, 16, 32, 64, 128)
"""Anchors of a cell and strides of the levels (Lin et al. 2017, section 4), from which anchor counts are computed."""


def shapes(run: Run) -> list[Case]:
    """Shapes of all taps, and anchors, size by size."""
    cases = [Case("shapes", size_name(size), partial(_shapes_at, run, size)) for size in run.sizes or SWEEP]
    refused = () if run.sizes else REFUSED
    return [*cases, *(Case("shapes", size_name(size), partial(_refused_at, run, size)) for size in refused)]


def _shapes_at(run: Run, size: Size) -> list[Record]:
    reference, port = (side.forward(random_images(size, batch=1)) for side in run.sides("float32"))
    records = compare_taps("shapes", size_name(size), reference, port)
    anchors = _compare_anchors(size, reference, port, _expected_anchors(size))
    return [*records, anchors, *refusal("shapes", size_name(size), reference)]


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
