"""`retinanet-parity diff`: which margins moved between two runs, as of two commits or two versions of a library."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from parity_tests.cli.options import Parser, plain_console
from parity_tests.rule.drift import Drift, Move, drift
from parity_tests.rule.errors import UsageError
from parity_tests.rule.result import Result, counted

if TYPE_CHECKING:
    from rich.table import Table


SHOWN = 20
"""Rows of a table."""


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = Parser(
        prog="retinanet-parity diff",
        description="Which margins moved between two runs.",
        epilog="exit code: 0 no verdict changed, 1 one did, 2 wrong usage",
    )
    parser.add_argument("old", type=Path, help="a run, as --json wrote it")
    parser.add_argument("new", type=Path, help="a later one")
    return parser


def run(options: argparse.Namespace) -> int:
    """Print what moved; 1 where a verdict changed."""
    runs = [_read(path) for path in (options.old, options.new)]
    found, console = drift(*runs), plain_console()
    for name, (old, new) in found.provenance.items():
        console.print(f"{name}: {old} -> {new}", highlight=False, markup=False)
    for title, moves in (("Verdicts that changed", found.changed), ("Margins that moved", found.moved)):
        if moves:
            console.print(_table(title, moves))
    console.print(_last_line(found), highlight=False, soft_wrap=True)
    return found.exit_code


def _read(path: Path) -> Result:
    from parity_tests.report import read_json

    result = read_json(path)
    if not result.records:
        raise UsageError(f"{path}: holds no comparisons, and those of two runs are held against each other")
    return result


def _table(title: str, moves: Sequence[Move]) -> "Table":
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    more = f", the first {SHOWN} of {len(moves)}" if len(moves) > SHOWN else ""
    table = Table(title=f"{title}{more}", box=box.SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0))
    for heading in ("preset", "rung", "case", "name"):
        table.add_column(heading)
    for heading in ("old", "new"):
        table.add_column(heading, justify="right")
    for move in moves[:SHOWN]:
        table.add_row(*map(escape, move.key), *_cells(move))
    return table


def _cells(move: Move) -> Sequence[str]:
    """Verdicts where they changed, else shares of the budget."""
    if move.changed:
        return move.verdicts
    return [f"{record.used:.1%}" if record and record.used is not None else "-" for record in (move.old, move.new)]


def _last_line(found: Drift) -> str:
    appeared = f", {found.appeared} {'is' if found.appeared == 1 else 'are'} new" if found.appeared else ""
    moved = f"{counted(len(found.moved), 'margin')} moved in {counted(found.compared, 'comparison')}{appeared}"
    if found.changed:
        return f"{counted(len(found.changed), 'verdict')} changed, {moved}"
    if found.exit_code:
        return f"the run was {found.verdicts[0]} and is {found.verdicts[1]}, since it covers other names; {moved}"
    return f"no verdict changed, {moved}"
