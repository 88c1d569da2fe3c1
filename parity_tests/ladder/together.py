"""Several results as one, from which one report is made. Needs numpy alone."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from parity_tests.rule.result import Result


def together(results: Mapping[str, Sequence[Result]]) -> Result:
    """The results of tests by the test's name, which becomes the preset of their records."""
    named = [(name, result) for name, of_test in results.items() for result in of_test]
    each = [result for _, result in named]
    return Result(
        records=[replace(record, preset=name) for name, result in named for record in result.records],
        reference=_one({result.reference for result in each}, "references"),
        port=_one({result.port for result in each}, "ports"),
        settings={"preset": list(results)} | (dict(each[0].settings) if len(each) == 1 else {}),
        provenance=each[0].provenance if each else {},
        cost={
            "seconds": sum(result.cost.get("seconds", 0.0) for result in each),
            "peak_gib": max((result.cost.get("peak_gib", 0.0) for result in each), default=0.0),
        },
        warnings=[f"{name}: {warning}" for name, result in named for warning in result.warnings],
        coverage=[replace(covered, preset=name) for name, result in named for covered in result.coverage],
        sources=_agreed(each),
        examples=[replace(example, preset=name) for name, result in named for example in result.examples],
    )


def _one(words: set[str], many: str) -> str:
    return next(iter(words)) if len(words) == 1 else f"{len(words)} {many}"


def _agreed(results: Sequence[Result]) -> dict[str, Mapping[str, str]]:
    """Where taps are made, as far as all results that have a tap of that name say the same."""
    places: dict[str, list[Mapping[str, str]]] = {}
    for result in results:
        for tap, sides in result.sources.items():
            places.setdefault(tap, []).append(sides)
    return {tap: said[0] for tap, said in places.items() if all(sides == said[0] for sides in said)}
