"""A whole run: its records and all that a reader needs beside them. Every report, on whatever medium, is made from it.

Needs numpy alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from parity_tests.rule.divergence import Divergence, divergence
from parity_tests.rule.record import ALL, EXIT_CODES, SIDES, Record, Verdict, verdict_of
from parity_tests.rule.vacuous import says_nothing


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """How much of what one side has was compared.

    Attributes:
        preset: that of the reference.
        side: `reference` or `port`.
        kind: `parameters` or `taps`; or `cases`, of which some were dealt to presets beside this one.
        compared: how many have a record.
        skipped: names that are not to be compared, each with a written reason.
        missing: names that no record has and no reason excuses: they make a run incomplete.
    """

    preset: str
    side: str
    kind: str
    compared: int
    skipped: Mapping[str, str] = field(default_factory=dict)
    missing: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Example:
    """A picture, and what both sides found in it.

    Attributes:
        preset: that of the reference.
        case: what the picture is, in a few words.
        png: the picture as base64 of a PNG.
        size: its height and width in pixels.
        reference, port: detections, each `{"box": [x1, y1, x2, y2], "score": ..., "label": ...}`, best first.
    """

    preset: str
    case: str
    png: str
    size: tuple[int, int]
    reference: Sequence[Mapping[str, Any]]
    port: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class PresetResult:
    """What climbing the ladder of one preset gives, as `Result` has it.

    Attributes:
        peak: the most memory that its process held, in bytes.
        mapped: of that the files, as libraries, which all processes share.
    """

    preset: str
    records: Sequence[Record]
    coverage: Sequence[Coverage]
    sources: Mapping[str, Mapping[str, str]]
    examples: Sequence[Example]
    warnings: Sequence[str]
    provenance: Mapping[str, Any]
    peak: int
    mapped: int = 0


@dataclass(frozen=True, kw_only=True)
class Result:
    """A run of the ladder.

    Attributes:
        records: every comparison.
        reference, port: what the two sides are, in words.
        settings: what the run was asked for, by name.
        provenance: versions, machine, precision flags, seeds, commit: what would be needed to repeat it.
        cost: `seconds` and `peak_gib`.
        warnings: sentences on what this run cannot see.
        coverage: how much of each side was compared.
        sources: where a tap is made, `file:line` by tap and side (`reference`, `port`).
        examples: pictures with the detections of both sides.
        ablation: what `retinanet-parity ablate` found, where it is part of the report.
    """

    records: Sequence[Record]
    reference: str = "Keras reference"
    port: str = "PyTorch port"
    settings: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    coverage: Sequence[Coverage] = ()
    sources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    examples: Sequence[Example] = ()
    ablation: Mapping[str, Any] | None = None

    @classmethod
    def of_presets(
        cls,
        found: Sequence[PresetResult],
        *,
        seconds: float,
        settings: Mapping[str, Any],
        more_warnings: Sequence[str] = (),
        **more: Any,
    ) -> "Result":
        """A run of several presets; what they have alike, as provenance and sources, is that of the first."""
        several = len(found) > 1
        return cls(
            records=[record for each in found for record in each.records],
            settings=dict(settings) | {"preset": [each.preset for each in found]},
            provenance=found[0].provenance,
            cost={"seconds": seconds, "peak_gib": _held_together(found) / 2**30},
            warnings=[
                *(f"{each.preset}: {words}" if several else words for each in found for words in each.warnings),
                *more_warnings,
            ],
            coverage=[coverage for each in found for coverage in each.coverage],
            sources=found[0].sources,
            examples=[example for each in found for example in each.examples],
            **more,
        )

    @classmethod
    def merge(cls, results: Mapping[str, Sequence["Result"]]) -> "Result":
        """The results of tests by the test's name, which becomes the preset of their records."""
        named = [(name, result) for name, of_test in results.items() for result in of_test]
        each = [result for _, result in named]
        return cls(
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

    @property
    def verdict(self) -> Verdict:
        """That of the records; what was not covered makes an equal run incomplete, as does what could not have failed.

        An ablation alone measures what differs and compares nothing; there is nothing that could fail.
        """
        if self.is_ablation:
            return "equal"
        verdict = verdict_of(self.records)
        uncovered = any(coverage.missing for coverage in self.coverage)
        return "incomplete" if verdict == "equal" and (uncovered or says_nothing(self.records)) else verdict

    @property
    def is_ablation(self) -> bool:
        """Whether it is an ablation alone."""
        return bool(self.ablation) and not self.records

    @property
    def exit_code(self) -> int:
        """0 equal, 1 different, 3 incomplete."""
        return EXIT_CODES[self.verdict]

    @property
    def summary(self) -> str:
        """One line: where it starts to differ, or what was left out, or how many taps agree."""
        if self.ablation and self.is_ablation:
            return str(self.ablation["summary"])
        return f"{self.verdict}: {self.claim}"

    @property
    def claim(self) -> str:
        """What follows the verdict in that line."""
        records, parting = self.records, divergence(self.records)
        if parting is not None:
            count = sum(record.verdict == "different" for record in records)
            several = len({record.preset for record in records}) > 1
            return f"{where_it_starts(parting, several)}; {count} of {len(records)} comparisons differ"
        if self.verdict == "incomplete":
            return self._left_out()
        return f"{_what_agrees(records)}, in {counted(len(records), 'comparison')}{_judged_as_float32(records)}"

    def _left_out(self) -> str:
        if not self.records:
            return "nothing was compared"
        if verdict_of(self.records) == "equal" and says_nothing(self.records):
            vacuous = next(record for record in self.records if record.vacuous)
            return f"no comparison of values could have failed, first {vacuous.name} ({vacuous.vacuous})"
        left_out = [record for record in self.records if record.verdict == "incomplete"]
        if left_out or not any(coverage.missing for coverage in self.coverage):
            return f"{counted(len(left_out), 'comparison')} could not be made{_first(left_out)}"
        first = next(coverage for coverage in self.coverage if coverage.missing)
        count = sum(len(coverage.missing) for coverage in self.coverage)
        names = f"{counted(count, 'name')} {'was' if count == 1 else 'were'} not compared"
        return f"{names}, first {first.missing[0]} ({first.kind} of the {first.side})"


def _one(words: set[str], many: str) -> str:
    return next(iter(words)) if len(words) == 1 else f"{len(words)} {many}"


def _agreed(results: Sequence[Result]) -> dict[str, Mapping[str, str]]:
    """Where taps are made, as far as all results that have a tap of that name say the same."""
    places: dict[str, list[Mapping[str, str]]] = {}
    for result in results:
        for tap, sides in result.sources.items():
            places.setdefault(tap, []).append(sides)
    return {tap: said[0] for tap, said in places.items() if all(sides == said[0] for sides in said)}


def counted(count: int, noun: str) -> str:
    """`1 name`, `2 names`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _first(left_out: Sequence[Record]) -> str:
    """The first that could not be made, by its case where that failed as a whole."""
    if not left_out:
        return ""
    first = left_out[0]
    name = f"{first.rung} {first.where.text}".strip() if first.name == ALL else first.name
    return f", first {name} ({first.reason})"


SHOWN_NAMES = 8


def where_it_starts(parting: Divergence, several_presets: bool) -> str:
    """`p6 is where it starts (isolated 4.1e+01, budget 3.7e-13 at 512x512); p7 only inherits it`.

    Of the backward pass `the gradient by p6`: what p6 enters passes a wrong one back.
    """
    first, where = parting.first, parting.first.where
    preset = f"{first.preset}, " if several_presets else ""
    if where.mode != "isolated" or first.budget is None:
        return f"it starts at {first.name} ({preset}{first.rung} {where.text}: {first.reason})"
    what, backward = first.name, ""
    if first.rung == "backward":
        what, backward = f"the gradient by {first.name}", "backward, "
    single = "" if where.dtype == "float64" else f" {where.dtype}"
    measured = f"isolated {first.difference:.1e}, budget {first.budget:.1e}"
    words = f"{what} is where it starts ({preset}{backward}{measured} at {where.extent}{single})"
    if more := _together(parting.origins[1:]):
        words += f", and by themselves also {_listed(more)}"
    if inherited := [name for name in _together(parting.inherited) if name not in _together(parting.origins)]:
        words += f"; {_listed(inherited)} only {'inherits' if len(inherited) == 1 else 'inherit'} it"
    return words


def _together(records: Sequence[Record]) -> list[str]:
    """Names, those of one module as one: the layers of a head at one level."""
    return list(dict.fromkeys(record.tag.module or record.name for record in records))


def _held_together(found: Sequence[PresetResult]) -> int:
    """The most memory of processes side by side: what each has of its own, and once what they share."""
    return sum(each.peak - each.mapped for each in found) + max(each.mapped for each in found)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:SHOWN_NAMES])
    return shown if len(names) <= SHOWN_NAMES else f"{shown} and {len(names) - SHOWN_NAMES} more"


def _judged_as_float32(records: Sequence[Record]) -> str:
    """How many taps were never compared in float64, though the run was in it: a side computes them in float32."""
    taps = [r for r in records if (r.rung, r.tag.kind, r.where.dtype) == ("forward", "tap", "float64")]
    exact = {record.name for record in taps if not record.coarse}
    coarse = {record.name: record.coarse for record in taps if record.name not in exact}
    if not coarse:
        return ""
    sides = [f"the {side}" for side in SIDES if any(side in found for found in coarse.values())]
    words = f"{len(coarse)} of the taps {'is' if len(coarse) == 1 else 'are'} judged as float32"
    return f"; {words}, in which {' and '.join(sides)} {'computes' if len(sides) == 1 else 'compute'}"


def _what_agrees(records: Sequence[Record]) -> str:
    for rung, (kind, noun, how) in {
        "forward": ("tap", "tap", ""),
        "shapes": ("tap", "tap", " in shape"),
        "parameters": ("variable", "variable", ""),
    }.items():
        if count := len({record.name for record in records if record.rung == rung and record.tag.kind == kind}):
            return f"{counted(count, noun)} {'agrees' if count == 1 else 'agree'}{how}"
    rungs = " and ".join(dict.fromkeys(record.rung for record in records))
    return f"{rungs} {'agree' if rungs.endswith('s') or ' and ' in rungs else 'agrees'}"
