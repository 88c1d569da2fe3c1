"""What stands on top of the page: the facts of the run, where it starts to differ, and the ladder at a glance."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from parity_tests.report.colours import Shade, largest_share, shade_of, share_of
from parity_tests.rule.record import Record, Verdict, verdict_of
from parity_tests.rule.result import Result


@dataclass(frozen=True, kw_only=True)
class Step:
    """One rung of one preset.

    Attributes:
        share: the largest share of a budget used, infinite where one of next to none was overdrawn; `None` without any.
        filled: how long its bar is, of 100.
        nearest: the comparison that came nearest to its budget, or the first that differs where none has one.
        ties: how many are equal only because a score stood at a threshold.
    """

    preset: str
    rung: str
    comparisons: int
    shade: Shade
    share: float | None
    filled: float
    nearest: Record | None
    ties: int
    verdict: Verdict


def ladder(records: Sequence[Record]) -> list[Step]:
    """One row a rung and preset, in the order of the run."""
    rungs: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        rungs.setdefault((record.preset, record.rung), []).append(record)
    return [_step(rows) for rows in rungs.values()]


def _step(rows: Sequence[Record]) -> Step:
    return Step(
        preset=rows[0].preset,
        rung=rows[0].rung,
        comparisons=len(rows),
        shade=shade_of(rows),
        share=largest_share(rows),
        filled=100 * min(largest_share(rows) or 0, 1),
        nearest=_nearest(rows),
        ties=sum(row.verdict == "tie" for row in rows),
        verdict=verdict_of(rows),
    )


def _nearest(rows: Sequence[Record]) -> Record | None:
    """The worst: what differs before what is left out, and that before what used most."""
    rank = {"different": 2, "incomplete": 1}
    worst = max(rows, key=lambda row: (rank.get(row.verdict, 0), share_of(row) or 0))
    return worst if worst.verdict in rank or share_of(worst) else None


def facts(result: Result) -> dict[str, str]:
    """What the run was, in a few words each; what is not known is left out."""
    settings, cost, records = result.settings, result.cost, result.records
    found = {
        "comparisons": f"{len(records):,}" if records else "",
        "presets": _words(settings.get("preset") or list(dict.fromkeys(record.preset for record in records))),
        "pictures": _words(
            settings.get("data") or settings.get("image") or ("seeded noise" if "image" in settings else "")
        ),
        "weights": _words(settings.get("weights") or ("seeded random" if "weights" in settings else "")),
        "changed in the port": _words(settings.get("override")),
        "took": _duration(cost["seconds"]) if "seconds" in cost else "",
        "memory": f"{cost['peak_gib']:.1f} GiB" if "peak_gib" in cost else "",
        "commit": str(result.provenance.get("commit") or ""),
    }
    return {name: value for name, value in found.items() if value}


def _words(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(word for word in map(str, value) if word)
    return str(value or "")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(math.ceil(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
