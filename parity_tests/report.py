"""What a run is shown as, all from the same records: tables for people, JSON for programs, one last line for both."""

import json
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from parity_tests.compare import ALL, EXIT_CODES, Record, first_divergence, verdict_of

FORMAT = "retinanet-parity 1"
"""Name and version of the JSON; the version counts up where old readers could not read new files."""

LIBRARIES = ("torch", "torchvision", "keras", "tensorflow", "numpy")
"""Those whose versions stand in the report."""

LEVELS = ("p3", "p4", "p5", "p6", "p7")
SHOWN_DIFFERENCES = 12
COLOURS = {"equal": "green", "different": "bold red", "incomplete": "yellow"}


def print_report(
    records: Sequence[Record], settings: Mapping[str, Any], cost: Mapping[str, float], console: Console
) -> None:
    """What was run, tables of modules, anchors and variables, the first differences, its cost, and the last line."""
    console.print(_headline(settings), highlight=False)
    compared = [record for record in records if record.name != ALL]
    if forward := [record for record in compared if record.rung == "forward" and not _is_variable(record)]:
        console.print(_module_table(forward))
    if shapes := [record for record in compared if record.rung == "shapes"]:
        console.print(_anchor_table(shapes))
    if variables := [record for record in compared if record.rung == "parameters" or _is_variable(record)]:
        console.print(_variable_table(variables))
    _print_differences(records, console)
    console.print(f"took {cost['seconds']:.0f} s and {cost['peak_gib']:.1f} GiB of memory", highlight=False)
    console.print(f"[{COLOURS[verdict_of(records)]}]{last_line(records)}[/]", highlight=False, soft_wrap=True)


def last_line(records: Sequence[Record]) -> str:
    """Where it starts to differ, or what was left out, or how many taps agree."""
    verdict, first = verdict_of(records), first_divergence(records)
    if first is not None:
        count = sum(record.verdict == "different" for record in records)
        where = f"{first.name} ({first.rung} {first.case}: {first.reason})"
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
    return "nothing to compare"


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
    sides = f"Keras reference and PyTorch port, preset {settings['preset']}{turned}"
    return f"{sides}\nweights: {weights}; pictures: {pictures}\n"


def _module_table(records: Sequence[Record]) -> Table:
    """One row a module, its worst over all sizes; the five layers of a head at one level share a row."""
    size = records[0].case.split()[0]
    title = f"Modules: shapes at {size}, the largest difference over all sizes,\nand the largest share of a budget used"
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0))
    for heading in ("module", "Keras", "torch"):
        table.add_column(heading, no_wrap=True)
    for heading in ("float64", "used", "float32", "used"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for module, rows in _by_module(records).items():
        shown = [row for row in rows if row.case.startswith(f"{size} ")][-1]
        cells = [cell for dtype in ("float64", "float32") for cell in _worst(rows, dtype)]
        table.add_row(module, _shape(shown.reference_shape), _torch_shape(shown.port_shape), *cells, _verdict(rows))
    return table


def _is_variable(record: Record) -> bool:
    """Variables have paths for names, `fpn/conv_c3_1x1/bias`; taps do not."""
    return "/" in record.name


def _by_module(records: Sequence[Record]) -> dict[str, list[Record]]:
    modules: dict[str, list[Record]] = {}
    for record in records:
        modules.setdefault(re.sub(r"\.\d$", "", record.name), []).append(record)
    return modules


def _worst(records: Sequence[Record], dtype: str) -> tuple[str, str]:
    """The largest difference and the largest share of a budget, for one precision."""
    measured = [record for record in records if dtype in record.case and record.difference is not None]
    if not measured:
        return "", ""
    difference = max(record.difference for record in measured if record.difference is not None)
    shares = [record.used for record in measured]
    share = max((share for share in shares if share is not None), default=0.0)
    over = None in shares or share > 9.99
    return f"{difference:.1e}" if difference else "0", "over" if over else f"{share:.0%}"


def _anchor_table(records: Sequence[Record]) -> Table:
    """Anchors of each level and in all, size by size; sizes that both sides refuse say so."""
    table = Table(title="Anchors", box=box.SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0))
    for heading in ("picture", *LEVELS, "total Keras", "torch", "verdict"):
        table.add_column(heading, justify="left" if heading in ("picture", "verdict") else "right", no_wrap=True)
    for case in dict.fromkeys(record.case for record in records):
        rows = {record.name: record for record in records if record.case == case}
        shapes = (rows["anchors"].reference_shape, rows["anchors"].port_shape) if "anchors" in rows else (None, None)
        levels = _anchors_of_levels(rows, shapes[0])
        totals = [f"{shape[0]:,}" if shape else "refused" for shape in shapes]
        table.add_row(case, *levels, *totals, _verdict(list(rows.values())))
    return table


def _variable_table(records: Sequence[Record]) -> Table:
    """The variables: when fresh, after a training step, and as they were carried over for the run."""
    table = Table(title="Variables", box=box.SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0))
    for heading in ("what", "variables", "used", "nearest to its budget", "verdict"):
        table.add_column(heading, justify="right" if heading in ("variables", "used") else "left")
    kinds = {
        "fresh": [record for record in records if record.rung == "parameters"],
        "after a training step": [record for record in records if record.case.endswith("training")],
        "carried over": [record for record in records if record.case.endswith("weights")],
    }
    for kind, rows in kinds.items():
        if rows:
            worst = max(rows, key=lambda row: row.used or 0)
            count = sum(map(_is_variable, rows))
            table.add_row(kind, str(count), f"{worst.used or 0:.0%}", worst.name, _verdict(rows))
    return table


def _print_differences(records: Sequence[Record], console: Console) -> None:
    failed = [record for record in records if record.verdict != "equal"]
    for record in failed[:SHOWN_DIFFERENCES]:
        place = f"{record.rung} {record.case}, {record.name}"
        console.print(f"  [{COLOURS[record.verdict]}]{record.verdict}[/] {place}: {record.reason}", highlight=False)
    if len(failed) > SHOWN_DIFFERENCES:
        console.print(f"  and {len(failed) - SHOWN_DIFFERENCES} more", highlight=False)


def _verdict(records: Sequence[Record]) -> str:
    verdict = verdict_of(records)
    return f"[{COLOURS[verdict]}]{verdict}[/]"


def _anchors_of_levels(rows: Mapping[str, Record], total: tuple[int, ...] | None) -> list[str]:
    """How the anchors of the reference divide among the levels, by their cells."""
    shapes = [rows[level].reference_shape for level in LEVELS if level in rows]
    cells = [shape[1] * shape[2] for shape in shapes if shape]
    if total is None or len(cells) < len(LEVELS):
        return ["-"] * len(LEVELS)
    return [f"{total[0] * count // sum(cells):,}" for count in cells]


def _shape(shape: tuple[int, ...] | None) -> str:
    return "-" if shape is None else "x".join(map(str, shape))


def _torch_shape(shape: tuple[int, ...] | None) -> str:
    """The shape as the torch model has it: records keep maps channels last."""
    return _shape(tuple(shape[i] for i in (0, 3, 1, 2)) if shape is not None and len(shape) == 4 else shape)
