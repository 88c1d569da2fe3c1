"""Where two sides part: of all differences the one that causes the others. Needs numpy alone."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from parity_tests.rule.compare import Record

PASSES = ("forward", "backward")
"""The rungs that run the network, each module by itself and all of them in a chain."""

CAUSES = (("forward",), ("anchors", "targets", "losses"), ("backward",))
"""Rungs by what a difference on them causes: one that stands before makes those behind differ, and not the reverse."""


class Divergence(NamedTuple):
    """Where two sides part.

    Attributes:
        first: the record where it starts.
        origins: names that differ even where their module is fed the reference's own input, that of `first` first.
        inherited: names that differ only where each side goes on with its own, in the same pass.
    """

    first: Record
    origins: Sequence[str]
    inherited: Sequence[str]


def divergence(records: Iterable[Record]) -> Divergence | None:
    """Where it starts, `None` where there is no difference.

    In the forward pass; else in anchors, targets and losses, which the port computes by itself wherever it goes back;
    else in the backward pass; else at the first difference of all. Of a pass isolated modules tell more than the whole
    chain, and float64 more than float32.
    """
    different = [record for record in records if record.verdict == "different"]
    if not different:
        return None
    first = min(different, key=_precedence)
    same_pass = [r for r in different if (r.preset, r.rung, r.size, r.dtype) == _pass_of(first)]
    origins = [record.name for record in same_pass if record.mode == "isolated"] or [first.name]
    inherited = [record.name for record in same_pass if record.mode == "cascaded" and record.name not in origins]
    return Divergence(first, origins, inherited)


def _precedence(record: Record) -> tuple[int, bool, bool]:
    rank = next((i for i, rungs in enumerate(CAUSES) if record.rung in rungs), len(CAUSES))
    return rank, record.rung in PASSES and record.mode != "isolated", record.dtype == "float32"


def _pass_of(record: Record) -> tuple[str, str, str, str]:
    return record.preset, record.rung, record.size, record.dtype
