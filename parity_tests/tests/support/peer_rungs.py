"""The rungs by which the table of peers sorts its records: how far each part of a RetinaNet is from the original's."""

import re
from collections.abc import Sequence
from typing import Any

from parity_tests.rule.record import Record

RUNGS = {
    "network": r"stem|c\d|p\d",
    "outputs": r"logits|deltas|scores",
    "anchors": r"anchors",
    "targets": r"positives.*|ignored|targets/.*|encoded",
    "losses": r"(second/)?(loss/.*|normaliser)|focal/.*",
    "gradients": r"grad_.*",
    "statistics": r".*/running_(mean|var)|.*/moving_(mean|variance)",
    "boxes": r"boxes|boxes_clipped|decoded|clipped",
    "detections": r"(.*/)?\d+/(boxes|scores|labels|confidence)|detections.*|.*/detections.*",
    "pictures": r".*/fed|pictures|scales|resized",
}
"""A part by the names that its records have, in the order in which a picture meets them."""


def rung_of(name: str) -> str:
    """The rung of a record.

    Raises:
        LookupError: for a name that is of none.
    """
    found = next((rung for rung, names in RUNGS.items() if re.fullmatch(names, name)), None)
    if found is None:
        raise LookupError(f"{name}: is a record of no rung; RUNGS in {__name__} lists them")
    return found


def by_rung(records: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """Of each rung the record with the largest difference as a share of the largest value, and the budget used."""
    sorted_out: dict[str, list[Record]] = {rung: [] for rung in RUNGS}
    for record in records:
        sorted_out[rung_of(record.name)].append(record)
    measured = {rung: [r for r in found if r.difference is not None] for rung, found in sorted_out.items()}
    return {rung: _largest(found) for rung, found in measured.items() if found}


def _largest(records: Sequence[Record]) -> dict[str, Any]:
    worst = max(records, key=_share)
    used = max((record.difference or 0) / record.budget if record.budget else 0.0 for record in records)
    return {"name": worst.name, "difference": _share(worst), "used": used}


def _share(record: Record) -> float:
    """A difference as a share of the largest value; of zeros that are equal, none."""
    return (record.difference or 0.0) / record.scale if record.scale else 0.0
