"""What the records of a changed convention say: where it shows, how much, and at which sizes. Needs nothing."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from parity_tests.ablation.override import ROUNDING
from parity_tests.rule.divergence import divergence
from parity_tests.rule.record import Record

Effect = float | None
"""A relative difference; `None` where structure differs, and there is nothing to measure."""


def effect_of(record: Record) -> Effect:
    """The largest difference of a comparison over the largest value of its reference; 0 where it is equal."""
    if record.verdict != "different":
        return 0.0
    if record.difference is None or not record.scale:
        return None
    return record.difference / record.scale


def starts_at(records: Iterable[Record]) -> str | None:
    """The first name that differs."""
    parting = divergence(records)
    return parting.first.name if parting else None


def largest_on_taps(records: Iterable[Record]) -> Effect:
    """The largest effect on an activation, each module on its own inputs all the way."""
    return largest([effect_of(r) for r in records if (r.rung, r.where.mode) == ("forward", "cascaded")])


def by_size(records: Sequence[Record]) -> dict[str, Effect]:
    """The largest effect at each size at which an override was compared; what a training step leaves is of no size."""
    seen, unknown = _largest_by_size(records), refused(records)
    return {size: effect for size, effect in seen.items() if size not in unknown}


def refused(records: Sequence[Record]) -> list[str]:
    """The sizes that the model refuses before an override shows: what follows was not compared, and may hide it."""
    broken_off = {
        r.where.extent for r in records if (r.rung, r.name, r.verdict) == ("forward", "outputs", "incomplete")
    }
    return [size for size, effect in _largest_by_size(records).items() if size in broken_off and effect == 0]


def sizes_of(records: Sequence[Record]) -> list[str]:
    """The sizes at which an override was looked for, in the order of the run."""
    return list(_largest_by_size(records))


def _largest_by_size(records: Sequence[Record]) -> dict[str, Effect]:
    compared = [record for record in records if record.where.size and record.where.mode != "training"]
    sizes = dict.fromkeys(record.where.extent for record in compared)
    return {size: largest([effect_of(r) for r in compared if r.where.extent == size]) for size in sizes}


def unseen(seen: Mapping[str, Effect]) -> list[str]:
    """The sizes at which an override was compared and there is no effect at all."""
    return [size for size, effect in seen.items() if effect == 0]


def largest(effects: Sequence[Effect]) -> Effect:
    """The largest of some effects; one that cannot be measured counts where no other is seen."""
    measured = max((effect for effect in effects if effect is not None), default=0.0)
    return None if not measured and None in effects else measured


def in_words(measured: Sequence[Mapping[str, Any]]) -> str:
    """One line: how many conventions were changed, some to several values, and how many overrides some size hides."""
    rows = [row for row in measured if row["convention"] != ROUNDING.convention]
    count, hidden = len({row["convention"] for row in rows}), sum(bool(row["unseen"]) for row in rows)
    overrides = f", in {len(rows)} overrides" if len(rows) > count else ""
    where = f"at some picture sizes {hidden} of them cannot be seen" if hidden else "no picture size hides any of them"
    return f"{count} conventions changed, one at a time{overrides}; {where}"
