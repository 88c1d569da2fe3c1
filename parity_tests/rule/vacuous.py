"""Comparisons that could not have failed: what is equal and says nothing. Needs numpy alone."""

from collections.abc import Sequence

import numpy as np

from parity_tests.rule.record import Array, Record

OF_ITSELF = ("parameters", "shapes")
"""Rungs whose comparisons can fail whatever the values are: what was carried over, and structure."""


def why_vacuous(reference: Array, port: Array) -> str:
    """Why two equal arrays say nothing of what made them, or an empty string."""
    if not reference.size:
        return "both are empty"
    if not (_is_constant(reference) and _is_constant(port)):
        return ""
    value = float(reference.flat[0])
    if reference.size == 1:
        return "" if value else "both are zero"
    return f"both are {'zero' if value == 0 else format(value, 'g')} throughout"


def _is_constant(values: Array) -> bool:
    """A look at both ends first: nearly all arrays end otherwise than they begin."""
    return bool(values.flat[0] == values.flat[-1] and values.min() == values.max())


def says_nothing(records: Sequence[Record]) -> bool:
    """Whether every comparison of values is vacuous, and there is one."""
    measured = _of_values(records)
    return bool(measured) and all(record.vacuous for record in measured)


def silent_rungs(records: Sequence[Record]) -> list[str]:
    """A sentence for each rung that says nothing at all."""
    return [
        f"{rung} says nothing: no comparison of values could have failed, first {_first(of_rung)}"
        for rung, of_rung in _by_rung(records).items()
        if says_nothing(of_rung)
    ]


def silent_parts(records: Sequence[Record]) -> list[str]:
    """A sentence for each rung in which some comparisons say nothing, and some do."""
    said = []
    for rung, of_rung in _by_rung(records).items():
        measured = _of_values(of_rung)
        count = sum(bool(record.vacuous) for record in measured)
        if 0 < count < len(measured):
            counted = "1 comparison says" if count == 1 else f"{count} comparisons say"
            said.append(f"{rung}: {counted} nothing, of {len(measured)}, first {_first(measured)}")
    return said


def _by_rung(records: Sequence[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record.rung, []).append(record)
    return found


def _first(records: Sequence[Record]) -> str:
    first = next(record for record in records if record.vacuous)
    return f"{first.name}: {first.vacuous}"


def _of_values(records: Sequence[Record]) -> list[Record]:
    return [r for r in records if r.rung not in OF_ITSELF and (r.difference is not None or r.vacuous)]


def unmoved(losses: Array) -> bool:
    """Whether a loss is the same at each step of a training run of several."""
    return len(losses) > 1 and bool(np.ptp(losses) == 0)
