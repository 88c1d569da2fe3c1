"""What a run is shown as, all from the same records: tables for people, JSON for programs, one last line for both."""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from rich.console import Console

from parity_tests.compare import ALL, EXIT_CODES, Record, first_divergence, verdict_of
from parity_tests.tables import (
    COLOURS,
    anchor_table,
    is_variable,
    ladder_table,
    module_table,
    trajectory_table,
    variable_table,
)

FORMAT = "retinanet-parity 1"
"""Name and version of the JSON; the version counts up where old readers could not read new files."""

LIBRARIES = ("torch", "torchvision", "keras", "tensorflow", "numpy")
"""Those whose versions stand in the report."""

SHOWN_DIFFERENCES = 12


def print_report(
    records: Sequence[Record], settings: Mapping[str, Any], cost: Mapping[str, float], console: Console
) -> None:
    """What was run, its tables preset by preset, the ladder, the first differences, its cost, and the last line."""
    console.print(_headline(settings), highlight=False)
    compared = [record for record in records if record.name != ALL]
    for preset in dict.fromkeys(record.preset for record in compared):
        _print_preset(preset, [record for record in compared if record.preset == preset], console)
    console.print(ladder_table(records))
    _print_differences(records, console)
    console.print(f"took {cost['seconds']:.0f} s and {cost['peak_gib']:.1f} GiB of memory", highlight=False)
    console.print(f"[{COLOURS[verdict_of(records)]}]{last_line(records)}[/]", highlight=False, soft_wrap=True)


def _print_preset(preset: str, records: Sequence[Record], console: Console) -> None:
    console.print(f"preset [bold]{preset}[/]\n", highlight=False)
    if forward := [record for record in records if record.rung == "forward" and not is_variable(record)]:
        console.print(module_table(forward))
    if shapes := [record for record in records if record.rung == "shapes"]:
        console.print(anchor_table(shapes))
    variables = [record for record in records if record.rung in ("parameters", "forward") and is_variable(record)]
    if variables:
        console.print(variable_table(variables))
    if any(record.values for record in records):
        console.print(trajectory_table(records))


def last_line(records: Sequence[Record]) -> str:
    """Where it starts to differ, or what was left out, or how many taps agree."""
    verdict, first = verdict_of(records), first_divergence(records)
    if first is not None:
        count = sum(record.verdict == "different" for record in records)
        preset = f"{first.preset} " if len({record.preset for record in records}) > 1 else ""
        where = f"{first.name} ({preset}{first.rung} {first.case}: {first.reason})"
        return f"different: it starts at {where}; {count} of {len(records)} comparisons differ"
    if verdict == "incomplete":
        left_out = [record for record in records if record.verdict == "incomplete"]
        where = f", first {left_out[0].name} ({left_out[0].reason})" if left_out else ""
        return f"incomplete: {len(left_out)} comparisons could not be made{where}"
    return f"equal: {_what_agrees(records)}, in {len(records)} comparisons"


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


def as_json(records: Sequence[Record], settings: Mapping[str, Any], cost: Mapping[str, float]) -> str:
    """The run as JSON: verdict, settings, versions, what it cost, and every record."""
    verdict = verdict_of(records)
    run = {
        "format": FORMAT,
        "verdict": verdict,
        "exit_code": EXIT_CODES[verdict],
        "summary": last_line(records),
        "settings": settings,
        "versions": {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
        "cost": cost,
        "records": [asdict(record) | {"used": record.used} for record in records],
    }
    return json.dumps(run, indent=1, allow_nan=False) + "\n"


def _headline(settings: Mapping[str, Any]) -> str:
    turned = f", with {', '.join(settings['turn'])} in torch" if settings["turn"] else ""
    pictures = ", ".join(settings["image"] or ["seeded noise"])
    weights = settings["weights"] or "seeded random"
    sides = f"Keras reference and PyTorch port, {' and '.join(settings['preset'])}{turned}"
    return f"{sides}\nweights: {weights}; pictures: {pictures}\n"


def _print_differences(records: Sequence[Record], console: Console) -> None:
    failed = [record for record in records if record.verdict != "equal"]
    for record in failed[:SHOWN_DIFFERENCES]:
        place = f"{record.preset} {record.rung} {record.case}, {record.name}"
        console.print(f"  [{COLOURS[record.verdict]}]{record.verdict}[/] {place}: {record.reason}", highlight=False)
    if len(failed) > SHOWN_DIFFERENCES:
        console.print(f"  and {len(failed) - SHOWN_DIFFERENCES} more", highlight=False)
