"""Where two sides part: of all differences the one that causes the others. Needs numpy alone."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from parity_tests.rule.record import Record

PASSES = ("forward", "backward")
"""The rungs that run the network, each module by itself and all of them in a chain."""

CAUSES = (("forward",), ("anchors", "targets", "losses"), ("backward",))
"""Rungs by what a difference on them causes: one that stands before makes those behind differ, and not the reverse."""


LOSS = ("gradients", "loss")
"""Rung and name of the loss from which two models are run back."""


class Divergence(NamedTuple):
    """Where two sides part.

    Attributes:
        first: the record where it starts.
        origins: what differs even where its module is fed the reference's own input, `first` first.
        inherited: what differs only where each side goes on with its own, in the same pass.
    """

    first: Record
    origins: Sequence[Record]
    inherited: Sequence[Record]


def divergence(records: Iterable[Record]) -> Divergence | None:
    """Where it starts, `None` where there is no difference.

    At a parameter that does not fit, or whose values were carried over wrongly; else in the forward pass; else in
    anchors, targets and losses, which the port computes by itself wherever it goes back; else in the backward pass;
    else at the first difference of all. Of a pass isolated modules tell more than the whole chain, and float64 more
    than float32. A loss is made from outputs: where those were compared and agree, it causes what differs behind it.
    """
    compared = [*records]
    different = [record for record in compared if record.verdict == "different"]
    if not different:
        return None
    first = min(different, key=_precedence)
    if first.rung == "backward" and any(record.rung == "forward" for record in compared):
        first = next((record for record in different if (record.rung, record.name) == LOSS), first)
    same_pass = [record for record in different if _pass_of(record) == _pass_of(first)]
    origins = [record for record in same_pass if record.where.mode == "isolated"] or [first]
    known = {record.name for record in origins}
    inherited = [r for r in same_pass if r.where.mode == "cascaded" and r.name not in known]
    return Divergence(first, origins, inherited)


def _precedence(record: Record) -> tuple[int, bool, bool]:
    rank = next((i for i, rungs in enumerate(CAUSES) if record.rung in rungs), len(CAUSES))
    where, shapes = record.where, (record.reference_shape, record.port_shape)
    if None not in shapes:
        misfit = record.rung == "parameters" and shapes[0] != shapes[1]
        miscarried = record.rung == "forward" and where.subject == "weights" and shapes[0] == shapes[1]
        rank = -1 if misfit or miscarried else rank
    return rank, record.rung in PASSES and where.mode != "isolated", where.dtype == "float32"


def _pass_of(record: Record) -> tuple[str, str, str, str]:
    return record.preset, record.rung, record.where.extent, record.where.dtype
