"""Whether everything that both sides have was compared: each variable that its framework counts, and each tap made.

And which cases were not climbed, since a preset beside this one climbs them.
"""

from collections.abc import Iterable, Sequence

from parity_tests.retinanet.run import Run
from parity_tests.retinanet.side import Side
from parity_tests.rule.compare import Record
from parity_tests.rule.result import Coverage

COVERS = {"parameters": ("forward", "parameters"), "taps": ("forward", "shapes")}
"""The rungs each of which compares all parameters, or all taps: that asked for which compares most, and without any of
them a run makes no claim."""


def coverage(run: Run, records: Sequence[Record], rungs: Iterable[str]) -> list[Coverage]:
    """How much of both sides the records of these rungs cover."""
    asked = set(rungs)
    dealt = _of_cases(run, records) if run.left else []
    kinds = {kind: rungs[0] for kind, covering in COVERS.items() if (rungs := [r for r in covering if r in asked])}
    sides = zip(("reference", "port"), (run.built() or run.sides("float32")) if kinds else (), strict=False)
    return dealt + [
        _of_side(run.preset, name, side, kind, [record for record in records if record.rung == rung])
        for name, side in sides
        for kind, rung in kinds.items()
    ]


def _of_cases(run: Run, records: Sequence[Record]) -> list[Coverage]:
    climbed = len({(record.rung, record.case) for record in records})
    reason = "climbed with a preset beside it, since presets hardly differ in it"
    exempt = dict.fromkeys(run.left, reason)
    return [Coverage(preset=run.preset, side="port", kind="cases", compared=climbed, exempt=exempt)]


def _of_side(preset: str, name: str, side: Side, kind: str, records: Sequence[Record]) -> Coverage:
    has = side.inventory() if kind == "parameters" else {tap: tap for tap in side.sources}
    exempt = {own: known.strip("[]") for own, known in has.items() if known.startswith("[")}
    compared = {record.name for record in records if record.verdict != "incomplete"}
    missing = [own for own, known in has.items() if own not in exempt and known not in compared]
    return Coverage(
        preset=preset,
        side=name,
        kind=kind,
        compared=len(has) - len(exempt) - len(missing),
        exempt=exempt,
        missing=missing,
    )
