"""What stands for the climb of a preset in a process of its own, which must find it by name; it needs numpy alone."""

from argparse import Namespace
from collections.abc import Callable
from typing import Any

from parity_tests.rule.errors import UsageError
from parity_tests.rule.record import Record, Where
from parity_tests.rule.result import PresetResult


def equal_anchors(options: Namespace, preset: str, report: Callable[[Any], None]) -> PresetResult:
    """One comparison that is equal."""
    assert preset in options.preset
    record = Record(
        preset=preset,
        rung="anchors",
        where=Where(size=(64, 64), dtype="float64"),
        name="anchors",
        verdict="equal",
        reference_shape=(774, 4),
        port_shape=(774, 4),
        difference=0.0,
        scale=1.0,
        budget=1.0,
    )
    facts: dict[str, Any] = {"coverage": [], "sources": {}, "examples": [], "warnings": [], "provenance": {}}
    return PresetResult(preset=preset, records=[record], peak=2**30, **facts)


def refused(options: Namespace, preset: str, report: Callable[[Any], None]) -> PresetResult:
    """Nothing, as of a wrong size."""
    raise UsageError(f"--sizes: {options.sizes[0]} does not divide by 32, which preset {preset} needs")
