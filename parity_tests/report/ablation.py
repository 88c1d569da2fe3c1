"""An ablation as tables: for the terminal, and in Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from parity_tests.report.effects import EFFECTS, turned

COLOURS = {"s0": "dim", "s4": "yellow", "s5": "bold red"}
"""Of effects by their shade; others are plain."""


def ablation_table(ablation: Mapping[str, Any]) -> Table:
    """One row a turn: where it starts, what it does, and at which sizes nobody sees it."""
    model = ", ".join(f"{name} {value}" for name, value in ablation["model"].items())
    title = f"Conventions of {ablation['preset']}, one turned at a time\n{model}"
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0))
    for heading in ("convention", "turned to", "starts at"):
        table.add_column(heading, overflow="fold")
    for heading in EFFECTS.values():
        table.add_column(heading, justify="right")
    table.add_column("unseen at", overflow="fold")
    for line in turned(ablation):
        row = line.row
        words = (row["convention"], row["to"], row["starts_at"] or "–")
        effects = [f"[{COLOURS.get(shade.level, 'default')}]{escape(shade.text)}[/]" for shade in line.effects]
        table.add_row(*map(escape, words), *effects, _unseen(row))
    return table


def as_markdown(ablation: Mapping[str, Any]) -> str:
    """The same as a table in Markdown."""
    headings = ["convention", "from", "to", "starts at", *EFFECTS.values(), "unseen at"]
    rules = ["---"] * 4 + ["---:"] * len(EFFECTS) + ["---"]
    lines = [_line(headings), f"|{'|'.join(rules)}|"]
    for turn in turned(ablation):
        row = turn.row
        words = [_code(row[name]) for name in ("convention", "from", "to", "starts_at")]
        lines.append(_line([*words, *(shade.text for shade in turn.effects), _unseen(row)]))
    return "\n".join(lines) + "\n"


def _unseen(row: Mapping[str, Any]) -> str:
    """The sizes that hide a convention; a row that was looked for at no size has its note."""
    if row["seen"] and len(row["unseen"]) == len(row["seen"]):
        return "all sizes"
    return ", ".join(row["unseen"])


def _code(word: str | None) -> str:
    return "–" if word is None else f"`{word}`"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
