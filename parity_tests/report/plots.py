"""The training runs as plots: how far both sides are apart at each step, and what they may be, on a log axis."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeGuard

from parity_tests.rule.record import Record, Verdict, Where, verdict_of

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 460, 250, 52, 10, 10, 26
"""Of the plot in its own units, and of its margins."""

GROWTH_HEIGHT = 96
"""Of the plot of growth under it."""

TICKS = 6
"""The most labels on an axis of values."""

Curve = Sequence[float | None]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Curves over the same steps.

    Attributes:
        lines: points of each curve as SVG has them, by what it is.
        dots: the points of the first curve.
        ticks: height and label of each value named on the axis.
        steps: place and number of each step named.
    """

    height: int
    lines: Mapping[str, str]
    dots: Sequence[tuple[float, float]]
    ticks: Sequence[tuple[float, str]]
    steps: Sequence[tuple[float, int]]


@dataclass(frozen=True, kw_only=True)
class TrainingPlot:
    """One training run of both sides, as it is drawn."""

    title: str
    verdict: Verdict
    apart: Panel
    growth: Panel | None
    facts: Mapping[str, str] = field(default_factory=dict)


def trainings(records: Sequence[Record]) -> list[TrainingPlot]:
    """The runs that kept their curves, in order."""
    runs: dict[tuple[str, str, Where], list[Record]] = {}
    for record in records:
        runs.setdefault((record.preset, record.rung, record.where), []).append(record)
    return [_training(rows) for rows in runs.values() if rows[-1].values]


def _training(rows: Sequence[Record]) -> TrainingPlot:
    values = rows[-1].values or {}
    reference = values.get("reference", ())
    apart: dict[str, Curve] = {
        "difference": [row.difference for row in rows],
        "budget": [row.budget for row in rows],
        "self-difference": values.get("self-difference", ()),
    }
    for name in (name for name in values if name.startswith("reference moved")):
        apart[name] = [abs(moved - own) for moved, own in zip(values[name], reference, strict=False)]
    growth = values.get("growth", ())
    return TrainingPlot(
        title=f"{rows[0].preset} {rows[0].where.text}".strip(),
        verdict=verdict_of(rows),
        apart=panel(apart, HEIGHT),
        growth=panel({"growth": [None, *growth]}, GROWTH_HEIGHT) if any(map(_drawn, growth)) else None,
        facts=_facts(rows, reference, growth),
    )


def _facts(rows: Sequence[Record], losses: Sequence[float], growth: Sequence[float]) -> dict[str, str]:
    apart = [row.difference / row.scale for row in rows if row.difference is not None and row.scale]
    found = {"steps": str(len(rows))}
    if losses:
        found["loss"] = f"{losses[0]:.4g} → {losses[-1]:.4g}"
    if apart:
        found["apart by"] = f"{max(apart):.1e} of the loss"
    if factors := [factor for factor in growth if _drawn(factor)]:
        found["growth"] = f"×{math.exp(sum(map(math.log, factors)) / len(factors)):.2g} a step"
    return found


def panel(curves: Mapping[str, Curve], height: int) -> Panel:
    """Curves on one log axis; a value of 0 lies on a line of its own under the lowest decade."""
    positive = [value for curve in curves.values() for value in curve if _drawn(value)]
    low = math.floor(math.log10(min(positive, default=1.0)))
    high = max(math.ceil(math.log10(max(positive, default=10.0))), low + 1)
    zero = any(value == 0 for curve in curves.values() for value in curve)
    axis = _Axis(low - zero * max(1, (high - low) / 7), high, height)
    count = max(map(len, curves.values()))
    points = {name: axis.points(curve, count) for name, curve in curves.items()}
    stride = max(1, math.ceil(count / 8))
    return Panel(
        height=height,
        lines={name: " ".join(f"{x},{y}" for x, y in line) for name, line in points.items() if line},
        dots=next(iter(points.values())),
        ticks=axis.ticks(low, zero),
        steps=[(_across(i, count), i + 1) for i in range(0, count, stride)],
    )


@dataclass(frozen=True)
class _Axis:
    """Powers of ten from `low` at the bottom to `high` at the top."""

    low: float
    high: int
    height: int

    def points(self, curve: Curve, count: int) -> list[tuple[float, float]]:
        return [
            (_across(i, count), self.up(math.log10(value) if value else self.low))
            for i, value in enumerate(curve)
            if value is not None and (value == 0 or _drawn(value))
        ]

    def up(self, power: float) -> float:
        share = (power - self.low) / (self.high - self.low)
        return round(self.height - BOTTOM - share * (self.height - TOP - BOTTOM), 1)

    def ticks(self, low: int, zero: bool) -> list[tuple[float, str]]:
        stride = math.ceil((self.high - low + 1) / (TICKS * self.height / HEIGHT))
        named = [(self.up(power), f"1e{power}" if power else "1") for power in range(self.high, low - 1, -stride)]
        return [*named, (self.up(self.low), "0")] if zero else named


def _across(step: int, count: int) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * (step + 0.5) / max(count, 1), 1)


def _drawn(value: float | None) -> TypeGuard[float]:
    """Whether a log axis has a place for it; growth from nothing at all is beyond any."""
    return value is not None and 0 < value < 1e100
