"""A run for people: its tables preset by preset, the ladder, the first differences, its cost, and the last line."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from parity_tests.report.tables import (
    COLOURS,
    anchor_table,
    is_variable,
    ladder_table,
    module_table,
    trajectory_table,
    variable_table,
)
from parity_tests.rule.record import ALL, Record
from parity_tests.rule.result import Coverage, Result

SHOWN_DIFFERENCES = 12


def print_report(result: Result, console: Console) -> None:
    """What was run, its tables preset by preset, the ladder, the first differences, its cost, and the last line."""
    records = result.records
    console.print(_headline(result), highlight=False)
    compared = [record for record in records if record.name != ALL]
    for preset in dict.fromkeys(record.preset for record in compared):
        sides = ("reference", "port") if "inputs" in result.settings else ("Keras", "torch")
        _print_preset(preset, [record for record in compared if record.preset == preset], sides, console)
    console.print(ladder_table(records))
    _print_differences(records, console)
    _print_coverage(result.coverage, console)
    for warning in result.warnings:
        console.print(f"[yellow]warning[/]: {warning}", highlight=False, soft_wrap=True)
    cost = result.cost
    console.print(f"took {cost['seconds']:.0f} s and {cost['peak_gib']:.1f} GiB of memory", highlight=False)
    console.print(f"[{COLOURS[result.verdict]}]{result.summary}[/]", highlight=False, soft_wrap=True)


def _print_preset(preset: str, records: Sequence[Record], sides: tuple[str, str], console: Console) -> None:
    if preset:
        console.print(f"preset [bold]{preset}[/]\n", highlight=False)
    if forward := [record for record in records if record.rung == "forward" and not is_variable(record)]:
        console.print(module_table(forward, sides=sides))
    if shapes := [record for record in records if record.rung == "shapes"]:
        console.print(anchor_table(shapes))
    variables = [record for record in records if record.rung in ("parameters", "forward") and is_variable(record)]
    if variables:
        console.print(variable_table(variables))
    if any(record.values for record in records):
        console.print(trajectory_table(records))


def _headline(result: Result) -> str:
    settings: Mapping[str, Any] = result.settings
    if "inputs" in settings:
        return f"{result.reference} and {result.port}\nweights: {settings['weights']}; inputs: {settings['inputs']}\n"
    changed = f", with {', '.join(settings['override'])} in torch" if settings.get("override") else ""
    pictures = ", ".join(settings.get("image") or ["seeded noise"])
    weights = settings.get("weights") or "seeded random"
    presets = " and ".join(settings.get("preset", []))
    sides = f"{result.reference} and {result.port}, {presets}{changed}"
    return f"{sides}\nweights: {weights}; pictures: {pictures}\n"


def _print_differences(records: Sequence[Record], console: Console) -> None:
    failed = [record for record in records if record.verdict != "equal"]
    for record in failed[:SHOWN_DIFFERENCES]:
        place = " ".join(filter(None, (record.preset, record.rung, record.where.text))) + f", {record.name}"
        console.print(f"  [{COLOURS[record.verdict]}]{record.verdict}[/] {place}: {record.reason}", highlight=False)
    if len(failed) > SHOWN_DIFFERENCES:
        console.print(f"  and {len(failed) - SHOWN_DIFFERENCES} more", highlight=False)


def _print_coverage(coverage: Sequence[Coverage], console: Console) -> None:
    """What was not compared: without a reason, and with one."""
    for covered in coverage:
        if covered.missing:
            names = f"{covered.kind} of the {covered.side}: {', '.join(covered.missing)}"
            console.print(f"  [{COLOURS['incomplete']}]not compared[/] {names}", highlight=False, soft_wrap=True)
        by_reason: dict[str, list[str]] = {}
        for name, reason in covered.skipped.items():
            by_reason.setdefault(reason, []).append(name)
        for reason, skipped in by_reason.items():
            shown = skipped[0] if len(skipped) == 1 else f"{len(skipped)} {covered.kind}, as {skipped[0]},"
            place = f"{covered.preset} {covered.side}".strip()
            console.print(f"  skipped {shown} of {place}: {reason}", highlight=False, soft_wrap=True)
