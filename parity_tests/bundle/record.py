"""Recording: the reference of some cases is asked, and all that it answers is written to a folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from parity_tests.bundle.files import BundleWriter, check_replaceable
from parity_tests.ladder.case import Answer, Case, S, Sides
from parity_tests.ladder.climb import ClimbProgress, Report
from parity_tests.ladder.provenance import provenance
from parity_tests.rule.errors import UsageError, in_one_line
from parity_tests.rule.record import Array


def record(
    cases: Sequence[Case[S]],
    sides: Sides[S],
    weights: Mapping[str, Array],
    folder: Path,
    *,
    about: Mapping[str, Any],
    report: Report = lambda progress: None,
) -> None:
    """Write what the reference answers in these cases.

    Args:
        cases: what it is asked.
        sides: the reference; a port is not built.
        weights: those that it has, by its names.
        folder: where to write; a bundle that is there is replaced.
        about: what goes into the manifest as it is.
        report: hears how far it has come.

    Raises:
        UsageError: for a folder that is there and no bundle, and for a side that does not answer.
        OSError: where the folder cannot be written.
    """
    check_replaceable(folder)
    writer = BundleWriter()
    for done, case in enumerate(cases):
        report(ClimbProgress("", case.name, done, len(cases)))
        try:
            writer.put(case.name, case.rung, _asked(case, sides), case.whole)
        finally:
            if case.trains:
                sides.restore()
    known = sides.about()["reference"]
    known_facts = {name: dict(value) for name, value in vars(known).items()}
    writer.write(folder, weights, {**about, **known_facts, "provenance": provenance()})


def _asked(case: Case[S], sides: Sides[S]) -> Answer:
    try:
        return case.reference(sides)
    except UsageError:
        raise
    except Exception as error:  # whatever a model raises: a bundle is written whole or not at all
        raise UsageError(f"{case.name}: the side does not answer ({in_one_line(error)})") from error
