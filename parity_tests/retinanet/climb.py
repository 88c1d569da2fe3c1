"""All rungs of a run climbed one after the other, and what reports need beside the records."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from parity_tests.ladder.processes import Progress
from parity_tests.ladder.provenance import peak_memory, provenance
from parity_tests.retinanet.blind_spots import warnings
from parity_tests.retinanet.coverage import coverage
from parity_tests.retinanet.exhibits import exhibits
from parity_tests.retinanet.run import Case, Run
from parity_tests.rule.compare import Record, records_of
from parity_tests.rule.errors import in_one_line
from parity_tests.rule.result import Climbed, Exhibit

Rungs = Mapping[str, Callable[[Run], Sequence[Case]]]
"""What turns a run into cases, by name, in the order of the ladder."""


def climb(rungs: Rungs, run: Run, report: Callable[[Progress], None]) -> Climbed:
    """Every comparison of the rungs, and what surrounds them in a report."""
    records = [replace(record, preset=run.preset) for record in _records(rungs, run, report)]
    shown, unshown = _exhibits(run) if "detections" in rungs else ([], [])
    return Climbed(
        preset=run.preset,
        records=records,
        coverage=coverage(run, records, rungs),
        sources=_sources(run),
        exhibits=shown,
        warnings=[*warnings(records, run.variables), *unshown],
        provenance=provenance(),
        peak=peak_memory(),
    )


def _records(rungs: Rungs, run: Run, report: Callable[[Progress], None]) -> list[Record]:
    """All records of the rungs; what fails to run is kept as incomplete."""
    cases = [case for make_cases in rungs.values() for case in make_cases(run)]
    records: list[Record] = []
    for done, case in enumerate(cases):
        report(Progress(run.preset, f"{case.rung} {case.name}", done, len(cases)))
        run.begin(f"{case.rung} {case.name}")
        records += records_of(case.rung, case.name, case.compare)
    return records


def _exhibits(run: Run) -> tuple[list[Exhibit], list[str]]:
    """Pictures of detections, or a sentence on why there are none."""
    try:
        return exhibits(run), []
    except Exception as error:  # whatever a model raises: what was compared is reported all the same
        return [], [f"there are no pictures of detections ({in_one_line(error)})"]


def _sources(run: Run) -> dict[str, dict[str, str]]:
    """The line that makes each tap, by tap and side."""
    sources: dict[str, dict[str, str]] = {}
    for name, side in zip(("reference", "port"), run.built(), strict=False):
        for tap, line in side.sources.items():
            sources.setdefault(tap, {})[name] = line
    return sources
