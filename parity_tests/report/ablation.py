"""An ablation as tables: for the terminal, and in Markdown with the notes below."""

from collections.abc import Mapping, Sequence
from itertools import compress
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from parity_tests.report.effects import EFFECTS, changed

COLOURS = {"s0": "dim", "s4": "yellow", "s5": "bold red"}
"""Of effects by their shade; others are plain."""


def ablation_table(ablation: Mapping[str, Any]) -> Table:
    """One row an override: where it starts, what it does, and at which sizes nobody sees it."""
    model = ", ".join(f"{name} {value}" for name, value in ablation["model"].items())
    title = f"Conventions of {ablation['preset']}, one changed at a time\n{model}"
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0))
    located = any(row["sizes"] for row in ablation["rows"])
    measured = [any(row[name] is not None for row in ablation["rows"]) for name in EFFECTS]
    for heading in ("convention", "changed to", *(["starts at"] if located else [])):
        table.add_column(heading, overflow="fold")
    for heading in compress(EFFECTS.values(), measured):
        table.add_column(heading, justify="right")
    if located:
        table.add_column("unseen at", overflow="fold")
    for line in changed(ablation):
        row = line.row
        words = (row["convention"], row["to"], *([row["starts_at"] or "–"] if located else []))
        shades = compress(line.effects, measured)
        effects = [f"[{COLOURS.get(shade.level, 'default')}]{escape(shade.text)}[/]" for shade in shades]
        table.add_row(*map(escape, words), *effects, *([_unseen(row)] if located else []))
    return table


def as_markdown(ablation: Mapping[str, Any]) -> str:
    """The same as a table in Markdown, and what sizes do not tell as numbered notes below it."""
    headings = ["convention", "from", "to", "starts at", *EFFECTS.values(), "unseen at"]
    rules = ["---"] * 4 + ["---:"] * len(EFFECTS) + ["---"]
    lines, notes = [_line(headings), f"|{'|'.join(rules)}|"], _numbered_notes(ablation)
    for override in changed(ablation):
        row = override.row
        words = [_code(row[name]) for name in ("convention", "from", "to", "starts_at")]
        mark = f" <sup>{notes[row['note']]}</sup>" if row["note"] else ""
        lines.append(_line([*words, *(shade.text for shade in override.effects), f"{_unseen(row)}{mark}"]))
    below = [f"{number}. {note}" for note, number in notes.items()]
    return "\n".join([*lines, *([""] if below else []), *below]) + "\n"


def _numbered_notes(ablation: Mapping[str, Any]) -> dict[str, int]:
    """Each note once, from 1 on."""
    notes = dict.fromkeys(row["note"] for row in ablation["rows"] if row["note"])
    return {note: number for number, note in enumerate(notes, 1)}


def _unseen(row: Mapping[str, Any]) -> str:
    """The sizes that hide a convention; a dash where sizes have no part in it, words where nothing shows it."""
    if row["starts_at"] is None and not any(row[name] for name in EFFECTS):
        return "never seen"
    if not row["seen"]:
        return "–"
    return "all sizes" if len(row["unseen"]) == len(row["seen"]) else ", ".join(row["unseen"])


def _code(word: str | None) -> str:
    return "–" if word is None else f"`{word}`"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
