"""What cannot be judged since weights were not carried over: values that follow from them. Needs numpy alone."""

from collections.abc import Sequence
from dataclasses import replace

from parity_tests.ladder.comparison import Comparison
from parity_tests.rule.record import SIDES, Record
from parity_tests.sides.names import is_within
from parity_tests.sides.side import ROOT, tap_of


def judged(pair: Comparison, records: Sequence[Record]) -> list[Record]:
    """The records; where both sides have parameters without a partner, other values say nothing of the port."""
    reason = _reason(pair)
    if not reason:
        return [*records]
    return [replace(r, verdict="incomplete", reason=reason) if _follows(pair, r) else r for r in records]


def _reason(pair: Comparison) -> str:
    missing = pair.parameters.missing
    if not pair.transfer or pair.port_is_folded or not all(missing[side] for side in SIDES):
        return ""
    words = " and ".join(f"{missing[side][0]} of the {side}" for side in SIDES)
    return f"its weights were not carried over, {words} have no partner; names says which belong together"


def _follows(pair: Comparison, record: Record) -> bool:
    """Whether a difference of values can come from weights that were not carried over: not that of a fed module
    whose own were."""
    if record.verdict != "different" or record.difference is None or record.rung == "parameters":
        return False
    tap = tap_of(record.name)
    if (record.rung, record.where.mode) != ("forward", "isolated") or tap not in pair.paths[0]:
        return True
    paths = zip((pair.paths[0][tap], pair.paths[1][tap]), SIDES, strict=True)
    return tap == ROOT or any(is_within(name, path) for path, side in paths for name in pair.parameters.missing[side])
