"""The rung *shapes*: every tap's shape and the number of anchors, at sizes that both refuse too."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from parity_tests.ladder.case import Answer
from parity_tests.retinanet.comparison import DetectorCase, DetectorComparison, DetectorSides, refusal
from parity_tests.retinanet.inputs import Size
from parity_tests.retinanet.names import tag_of
from parity_tests.rule.compare import compare_taps
from parity_tests.rule.record import Array, Record, Where

SWEEP: tuple[Size, ...] = (
    *((32, 32), (64, 64), (96, 96), (128, 128), (160, 160), (192, 192), (224, 224), (256, 256)),
    *((96, 160), (128, 96), (32, 256), (288, 32), (64, 224), (320, 96)),
)
"""Picture sizes of the shapes rung: sides of P5 even and odd, wide, tall, and a single pixel."""

REFUSED: tuple[Size, ...] = ((120, 120), (128, 100), (33, 64))
"""Picture sizes that do not divide by 32, which both sides must refuse, at the same tap."""

ANCHORS_PER_CELL, STRIDES = 9, (8, 16, 32, 64, 128)
"""Anchors of a cell and strides of the levels (Lin et al. 2017, section 4), from which anchor counts are computed."""


Judge = Callable[[Where, Answer, Answer], list[Record]]


def shapes(run: DetectorComparison) -> list[DetectorCase]:
    """Shapes of all taps, and anchors, size by size."""
    taken = [_case(size, _judge_taken) for size in run.sizes or SWEEP]
    return taken if run.sizes else [*taken, *(_case(size, _judge_refused) for size in REFUSED)]


def _case(size: Size, judge: Judge) -> DetectorCase:
    where = Where(size=size)

    def reference(sides: DetectorSides) -> Answer:
        return {"taps": sides.reference("float32").shapes(size)}

    def port(sides: DetectorSides, given: Answer) -> Answer:
        return {"taps": sides.port("float32").shapes(size)}

    return DetectorCase(rung="shapes", where=where, reference=reference, port=port, judge=partial(judge, where))


def _judge_taken(where: Where, reference: Answer, port: Answer) -> list[Record]:
    records = compare_taps("shapes", where, reference["taps"], port["taps"], tag_of=tag_of)
    assert where.size is not None
    anchors = _compare_anchors(where, reference["taps"], port["taps"], _expected_anchors(where.size))
    return [*records, anchors, *refusal("shapes", where, reference["taps"])]


def _judge_refused(where: Where, reference: Answer, port: Answer) -> list[Record]:
    """Taps of a size that both sides must refuse: up to the same one, and no result."""
    records = compare_taps("shapes", where, reference["taps"], port["taps"], tag_of=tag_of)
    reasoned = [replace(record, reason=record.reason and f"{record.reason}, at a refused size") for record in records]
    return [*reasoned, _compare_anchors(where, reference["taps"], port["taps"], expected=None)]


def _expected_anchors(size: Size) -> int:
    return ANCHORS_PER_CELL * sum(math.prod(math.ceil(side / stride) for side in size) for stride in STRIDES)


def _compare_anchors(
    where: Where, reference: Mapping[str, Array], port: Mapping[str, Array], expected: int | None
) -> Record:
    """Anchors of both sides against what the cells of the levels make; `None` where a side refuses, or must."""
    counts = [taps["outputs"].shape[1] if "outputs" in taps else None for taps in (reference, port)]
    equal = counts == [expected, expected]
    return Record(
        rung="shapes",
        where=where,
        name="anchors",
        verdict="equal" if equal else "different",
        reference_shape=None if counts[0] is None else (counts[0],),
        port_shape=None if counts[1] is None else (counts[1],),
        reason="" if equal else f"{counts[1]} anchors, the reference has {counts[0]}, and there must be {expected}",
    )
