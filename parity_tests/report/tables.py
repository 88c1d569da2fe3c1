"""The tables of a run, for people; all from its records."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from rich import box
from rich.table import Table

from parity_tests.report.overview import ladder
from parity_tests.rule.record import Record, verdict_of

LEVELS = ("p3", "p4", "p5", "p6", "p7")
COLOURS = {"equal": "green", "tie": "cyan", "different": "bold red", "incomplete": "yellow"}


def ladder_table(records: Sequence[Record]) -> Table:
    """One row a rung: how many comparisons, what came nearest to its budget, and how many ties."""
    table = _table("Ladder", ("preset", "rung"), ("comparisons", "used"), ("nearest to its budget", "verdict"))
    for step in ladder(records):
        nearest = f"{step.nearest.name} ({step.nearest.where.text})" if step.nearest else "-"
        verdict = f"[{COLOURS[step.verdict]}]{step.verdict}[/]" + (f", {step.ties} ties" if step.ties else "")
        table.add_row(step.preset, step.rung, f"{step.comparisons:,}", _share(step.share), nearest, verdict)
    return table


def trajectory_table(records: Sequence[Record]) -> Table:
    """One row a training run: the loss, how far the sides have parted, and how fast rounding grows."""
    table = _table(
        "Training runs",
        ("BatchNorm",),
        ("steps", "first loss", "last loss", "apart by", "used", "growth a step"),
        ("verdict",),
    )
    for last in (record for record in records if record.values):
        rows = [record for record in records if record.rung == last.rung and record.where == last.where]
        losses = (last.values or {})["reference"]
        apart = max((row.difference / row.scale for row in rows if row.difference is not None and row.scale), default=0)
        growth = (last.values or {}).get("growth")
        factor = f"{_geometric_mean(growth):.2g}" if growth else "-"
        used = max(row.used or 0 for row in rows)
        numbers = (str(len(rows)), f"{losses[0]:.4g}", f"{losses[-1]:.4g}", f"{apart:.1e}", _share(used), factor)
        table.add_row(last.where.text, *numbers, verdict_text(rows))
    return table


def module_table(records: Sequence[Record], *, sides: tuple[str, str] = ("Keras", "torch")) -> Table:
    """One row a module, its worst over all sizes; the five layers of a head at one level share a row."""
    extent = next((record for record in records if record.reference_shape), records[0]).where.extent
    title = (
        f"Modules: shapes at {extent}, the largest difference over all sizes,\nand the largest share of a budget used"
    )
    table = _table(title, ("module", *sides), ("float64", "used", "float32", "used"), ("verdict",))
    for module, rows in _by_module(records).items():
        shown = ([row for row in rows if row.where.extent == extent] or rows)[-1]
        cells = [cell for dtype in ("float64", "float32") for cell in _worst(rows, dtype)]
        port_shape = (_torch_shape if sides[1] == "torch" else _shape)(shown.port_shape)
        table.add_row(module, _shape(shown.reference_shape), port_shape, *cells, verdict_text(rows))
    return table


def is_variable(record: Record) -> bool:
    """Whether a record is of a weight or a statistic."""
    return record.tag.kind == "variable"


def _by_module(records: Sequence[Record]) -> dict[str, list[Record]]:
    modules: dict[str, list[Record]] = {}
    for record in records:
        modules.setdefault(record.tag.module or record.name, []).append(record)
    return modules


def _worst(records: Sequence[Record], dtype: str) -> tuple[str, str]:
    """The largest difference and the largest share of a budget, for one precision."""
    measured = [record for record in records if record.where.dtype == dtype and record.difference is not None]
    if not measured:
        return "", ""
    difference = max(record.difference for record in measured if record.difference is not None)
    shares = [record.used for record in measured]
    share = max((share for share in shares if share is not None), default=0.0)
    over = None in shares or share > 9.99
    return f"{difference:.1e}" if difference else "0", "over" if over else f"{share:.0%}"


def anchor_table(records: Sequence[Record]) -> Table:
    """Anchors of each level and in all, size by size; sizes that both sides refuse say so."""
    table = _table("Anchors", ("picture",), (*LEVELS, "total Keras", "torch"), ("verdict",))
    for where in dict.fromkeys(record.where for record in records):
        rows = {record.name: record for record in records if record.where == where}
        shapes = (rows["anchors"].reference_shape, rows["anchors"].port_shape) if "anchors" in rows else (None, None)
        levels = _anchors_of_levels(rows, shapes[0])
        totals = [f"{shape[0]:,}" if shape else "refused" for shape in shapes]
        table.add_row(where.extent, *levels, *totals, verdict_text(list(rows.values())))
    return table


def variable_table(records: Sequence[Record]) -> Table:
    """The variables: when fresh, after a training step, and as they were carried over for the run."""
    table = _table("Variables", ("what",), ("variables", "used"), ("nearest to its budget", "verdict"))
    kinds = {
        "fresh": [record for record in records if record.where.subject == "fresh"],
        "after a training step": [record for record in records if record.where.mode == "training"],
        "carried over": [record for record in records if record.where.subject == "weights"],
        "as they are": [record for record in records if record.where.subject == "as they are"],
    }
    for kind, rows in kinds.items():
        if rows:
            step, count = ladder([replace(row, rung="", preset="") for row in rows])[0], sum(map(is_variable, rows))
            nearest = step.nearest or rows[0]
            table.add_row(kind, str(count), _share(step.share), nearest.name, verdict_text(rows))
    return table


def verdict_text(records: Sequence[Record]) -> str:
    """The verdict of records in its colour."""
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


def _table(title: str, left: Sequence[str], right: Sequence[str], last: Sequence[str]) -> Table:
    """A table whose columns of numbers, `right`, stand between words."""
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0))
    for headings, justify in ((left, "left"), (right, "right"), (last, "left")):
        for heading in headings:
            narrow = heading != "nearest to its budget"
            table.add_column(heading, justify="right" if justify == "right" else "left", no_wrap=narrow)
    return table


def _share(share: float | None) -> str:
    return "over" if share is not None and share > 9.99 else f"{share or 0:.0%}"


def _geometric_mean(factors: Sequence[float]) -> float:
    """The mean growth over the steps in which there was any to measure."""
    finite = [factor for factor in factors if 0 < factor < 1e9]
    return math.exp(sum(map(math.log, finite)) / len(finite)) if finite else 1.0
