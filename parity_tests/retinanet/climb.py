"""All rungs of a comparison climbed one after the other, and what reports need beside the records."""

from collections.abc import Sequence
from dataclasses import replace

from parity_tests.ladder.case import About, dealt
from parity_tests.ladder.climb import Answers, Report, climb
from parity_tests.ladder.provenance import mapped_memory, peak_memory, provenance
from parity_tests.retinanet.blind_spots import warnings
from parity_tests.retinanet.comparison import DetectorComparison
from parity_tests.retinanet.coverage import coverage
from parity_tests.retinanet.examples import examples
from parity_tests.retinanet.rungs import cases_of
from parity_tests.rule.errors import in_one_line
from parity_tests.rule.result import Example, PresetResult
from parity_tests.rule.vacuous import silent_rungs


def climb_rungs(
    run: DetectorComparison,
    rungs: Sequence[str],
    *,
    share: tuple[int, int] = (0, 1),
    answers: Answers | None = None,
    report: Report = lambda progress: None,
) -> PresetResult:
    """Every comparison of the rungs, and what surrounds them in a report.

    Args:
        run: what is compared.
        rungs: the steps of the ladder.
        share: which one of how many presets this is that are climbed beside each other, and deal cases out.
        answers: those of a reference that was recorded.
        report: hears how far it has come.
    """
    cases, left = dealt(cases_of(run, rungs), share)
    found = climb(cases, run.sides, preset=run.preset, answers=answers, report=report)
    records = [replace(record, preset=run.preset) for record in found]
    shown, unshown = _examples(run) if "detections" in rungs and answers is None else ([], [])
    sides = run.sides.about()
    return PresetResult(
        preset=run.preset,
        records=records,
        coverage=coverage(run.preset, sides, records, rungs, left),
        sources=_sources(sides),
        examples=shown,
        warnings=[*warnings(records, run.weights), *silent_rungs(records), *unshown],
        provenance=provenance(),
        peak=peak_memory(),
        mapped=mapped_memory(),
    )


def _examples(run: DetectorComparison) -> tuple[list[Example], list[str]]:
    """Pictures of detections, or a sentence on why there are none."""
    try:
        return examples(run), []
    except Exception as error:  # whatever a model raises: what was compared is reported all the same
        return [], [f"there are no pictures of detections ({in_one_line(error)})"]


def _sources(sides: dict[str, About]) -> dict[str, dict[str, str]]:
    """The line that makes each tap, by tap and side."""
    sources: dict[str, dict[str, str]] = {}
    for name, about in sides.items():
        for tap, line in about.sources.items():
            sources.setdefault(tap, {})[name] = line
    return sources
