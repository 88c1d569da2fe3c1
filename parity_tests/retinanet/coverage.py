"""Whether everything that both sides have was compared: each variable that its framework counts, and each tap made.

And which cases were not climbed, since a preset beside this one climbs them.
"""

from collections.abc import Iterable, Mapping, Sequence

from parity_tests.ladder.case import About
from parity_tests.rule.record import Record
from parity_tests.rule.result import Coverage

COVERS = {"parameters": ("forward", "parameters"), "taps": ("forward", "shapes")}
"""The rungs each of which compares all parameters, or all taps: that asked for which compares most, and without any of
them a run makes no claim."""

BESIDE = "climbed with a preset beside it, since presets hardly differ in it"


def coverage(
    preset: str, sides: Mapping[str, About], records: Sequence[Record], rungs: Iterable[str], left: Sequence[str] = ()
) -> list[Coverage]:
    """How much of both sides the records of these rungs cover, and which cases were left to another preset."""
    asked = set(rungs)
    climbed = len({(record.rung, record.where) for record in records})
    skipped = dict.fromkeys(left, BESIDE)
    of_cases = [Coverage(preset=preset, side="port", kind="cases", compared=climbed, skipped=skipped)] if left else []
    kinds = {kind: rungs[0] for kind, covering in COVERS.items() if (rungs := [r for r in covering if r in asked])}
    return of_cases + [
        _of_side(preset, name, about, kind, [record for record in records if record.rung == rung])
        for name, about in sides.items()
        for kind, rung in kinds.items()
    ]


def _of_side(preset: str, name: str, about: About, kind: str, records: Sequence[Record]) -> Coverage:
    has, skipped = (about.inventory, about.skipped) if kind == "parameters" else ({t: t for t in about.sources}, {})
    compared = {record.name for record in records if record.verdict != "incomplete"}
    missing = [own for own, known in has.items() if known not in compared]
    return Coverage(
        preset=preset,
        side=name,
        kind=kind,
        compared=len(has) - len(missing),
        skipped=skipped,
        missing=missing,
    )
