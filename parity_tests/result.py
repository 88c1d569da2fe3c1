"""A whole run: its records and all that a reader needs beside them. Every report, on whatever medium, is made from it.

Needs numpy alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from parity_tests.compare import EXIT_CODES, Record, Verdict, first_divergence, verdict_of


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """How much of what one side has was compared.

    Attributes:
        preset: that of the reference.
        side: `reference` or `port`.
        kind: `parameters` or `taps`.
        compared: how many have a record.
        exempt: names that are not to be compared, each with a written reason.
        missing: names that no record has and no reason excuses: they make a run incomplete.
    """

    preset: str
    side: str
    kind: str
    compared: int
    exempt: Mapping[str, str] = field(default_factory=dict)
    missing: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """A picture, and what both sides found in it.

    Attributes:
        preset, case: as in records.
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
        exhibits: pictures with the detections of both sides.
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
    exhibits: Sequence[Exhibit] = ()
    ablation: Mapping[str, Any] | None = None

    @property
    def verdict(self) -> Verdict:
        """That of the records; what was not covered makes an equal run incomplete."""
        verdict = verdict_of(self.records)
        uncovered = any(coverage.missing for coverage in self.coverage)
        return "incomplete" if verdict == "equal" and uncovered else verdict

    @property
    def exit_code(self) -> int:
        """0 equal, 1 different, 3 incomplete."""
        return EXIT_CODES[self.verdict]

    @property
    def summary(self) -> str:
        """One line: where it starts to differ, or what was left out, or how many taps agree."""
        verdict, records = self.verdict, self.records
        first = first_divergence(records)
        if first is not None:
            count = sum(record.verdict == "different" for record in records)
            preset = f"{first.preset} " if len({record.preset for record in records}) > 1 else ""
            where = f"{first.name} ({preset}{first.rung} {first.case}: {first.reason})"
            return f"different: it starts at {where}; {count} of {len(records)} comparisons differ"
        if verdict == "incomplete":
            return f"incomplete: {self._left_out()}"
        return f"equal: {_what_agrees(records)}, in {len(records)} comparisons"

    def _left_out(self) -> str:
        left_out = [record for record in self.records if record.verdict == "incomplete"]
        if left_out or not any(coverage.missing for coverage in self.coverage):
            where = f", first {left_out[0].name} ({left_out[0].reason})" if left_out else ""
            return f"{len(left_out)} comparisons could not be made{where}"
        first = next(coverage for coverage in self.coverage if coverage.missing)
        count = sum(len(coverage.missing) for coverage in self.coverage)
        return f"{count} names were not compared, first {first.missing[0]} ({first.kind} of the {first.side})"


def _what_agrees(records: Sequence[Record]) -> str:
    for rung, what in {
        "forward": "taps agree",
        "shapes": "taps agree in shape",
        "parameters": "variables agree",
    }.items():
        names = {record.name for record in records if record.rung == rung} - {"anchors", "count"}
        counted = [name for name in names if ("/" in name) == (rung == "parameters")]
        if counted:
            return f"{len(counted)} {what}"
    rungs = dict.fromkeys(record.rung for record in records)
    return f"{' and '.join(rungs)} agree"
