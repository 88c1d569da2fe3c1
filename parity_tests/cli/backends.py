"""`retinanet-parity backends`: Keras on each of its backends, and the port, each held against all others."""

import argparse
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING

from parity_tests.cli.options import (
    Parser,
    add_override,
    add_report_options,
    add_seed,
    check_reports,
    plain_console,
    settings_of,
    write_reports,
)
from parity_tests.ladder.provenance import peak_memory, provenance
from parity_tests.retinanet.backends import BACKENDS, NOT_INDEPENDENT, PORT, Table, compare_backends
from parity_tests.retinanet.blind_spots import unseen_overrides
from parity_tests.retinanet.comparison import PRESETS
from parity_tests.rule.errors import UsageError
from parity_tests.rule.record import Record, verdict_of

if TYPE_CHECKING:
    from rich.table import Table as RichTable


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = Parser(
        prog="retinanet-parity backends",
        description="Which of Keras' backends and the PyTorch port disagrees with the others, and where?",
        epilog="exit code: 0 all that judge agree, 1 one differs, 2 wrong usage, 3 incomplete",
    )
    parser.add_argument("--preset", choices=PRESETS, default="notebook", help="conventions (default: %(default)s)")
    parser.add_argument(
        "--backends", nargs="+", choices=BACKENDS, default=list(BACKENDS), help="columns beside the port (default: all)"
    )
    add_override(parser)
    add_seed(parser)
    add_report_options(parser)
    return parser


def run(options: argparse.Namespace) -> int:
    """Compute all columns, print who disagrees with whom, and give the exit code of those that judge."""
    check_reports(options)
    if missing := [name for name in options.backends if find_spec(name) is None]:
        raise UsageError(f"--backends: {missing[0]} is not installed; pip install {missing[0]} brings it")
    if not {*options.backends} - {*NOT_INDEPENDENT}:
        raise UsageError(f"--backends: {' '.join(options.backends)} does not judge, and one that does is needed")
    from parity_tests.rule.result import Result

    began = time.perf_counter()
    table = compare_backends(options.preset, options.backends, options.seed, options.override)
    unseen = unseen_overrides(options.override, table.judged)
    result = Result(
        records=table.judged,
        reference="Keras' backends",
        port="PyTorch port",
        settings=settings_of(options) | {"preset": [options.preset]},
        provenance=provenance(),
        cost={"seconds": time.perf_counter() - began, "peak_gib": peak_memory(of_children=True) / 2**30},
        warnings=[*(_words(table, name) for name in table.odd_ones if name in NOT_INDEPENDENT), *unseen],
    )
    console = plain_console()
    console.print(_matrix(table))
    for words in (*(_words(table, name) for name in table.odd_ones), *(f"warning: {words}" for words in unseen)):
        console.print(words, highlight=False, soft_wrap=True)
    console.print(_last_line(table, options.preset, result.verdict), highlight=False, soft_wrap=True)
    write_reports(result, options)
    return result.exit_code


def _matrix(table: Table) -> "RichTable":
    from rich import box
    from rich.table import Table as RichTable

    title = "Largest share of the float64 budget that two columns are apart by"
    matrix = RichTable(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    matrix.add_column("")
    for name in table.columns:
        matrix.add_column(_label(name), justify="right")
    for left in table.columns:
        matrix.add_row(_label(left), *(_cell(table, left, right) for right in table.columns))
    return matrix


def _cell(table: Table, left: str, right: str) -> str:
    if left == right:
        return "-"
    records = table.records.get((left, right)) or table.records[right, left]
    if verdict_of(records) == "equal":
        return f"[green]{max(record.used or 0 for record in records):.0%}[/]"
    return f"[bold red]{_first(records).name}[/]"


def _label(name: str) -> str:
    if name == PORT:
        return "PyTorch port"
    return f"Keras on {name}" + (" (not independent)" if name in NOT_INDEPENDENT else "")


def _words(table: Table, name: str) -> str:
    """Where a column parts from one that judges."""
    others = [other for other in table.columns if other != name and not table.agree(name, other)]
    other = min(others, key=lambda column: column in NOT_INDEPENDENT)
    first = _first(table.records.get((name, other)) or table.records[other, name])
    apart = f"{first.difference:.1e} apart, budget {first.budget:.1e}" if first.budget is not None else first.reason
    place = f"{first.name} ({first.where.extent}: {apart})"
    return f"{_label(name)} is the odd one out: it parts from {_label(other)} at {place}"


def _first(records: "list[Record] | tuple[Record, ...] | object") -> Record:
    assert isinstance(records, list)
    return next(record for record in records if record.verdict != "equal")


def _last_line(table: Table, preset: str, verdict: str) -> str:
    judges = [name for name in table.columns if name not in NOT_INDEPENDENT]
    odd = [_label(name) for name in table.odd_ones if name in judges]
    if odd:
        return f"{verdict}: {preset}, {' and '.join(odd)} of {len(judges)} columns that judge"
    names = " and ".join(map(_label, judges))
    return f"{verdict}: {preset}, {names} agree in {len(table.judged)} comparisons"
