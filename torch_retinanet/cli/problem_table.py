"""What is wrong in a data set as a table for people: what is lost first, and of many of one kind the first few."""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from torch_retinanet.data.annotations import Problem
from torch_retinanet.terminal import printable

MANY, SHOWN = 6, 3
"""Problems of one kind from which on they are counted, and how many of them are shown."""

LONGEST = 300
"""Letters of a cell that are shown."""

WIDTH = 160
"""Letters in a line where the output is no terminal."""


def print_problems(problems: Sequence[Problem], root: Path, *, every: bool = False) -> None:
    """Print a table of file, location, finding and what training does; files as seen from `root`.

    Of many of one kind the first few are listed and the others counted, or `every` one is listed.
    """
    from rich.table import Table
    from rich.text import Text

    from torch_retinanet.cli.tables import TableConsole

    table = Table("file", "location", "finding", "what training does", show_lines=False)
    for column in table.columns:
        column.overflow = "fold"
    for lost in (True, False):
        for row in _rows([problem for problem in problems if problem.data_loss == lost], root, every):
            table.add_row(*(Text(_cut(printable(cell)), style="red" if lost else "") for cell in row))
        table.add_section()
    TableConsole(WIDTH).print(table)


def _rows(problems: Sequence[Problem], root: Path, every: bool) -> Iterator[tuple[str, str, str, str]]:
    kinds: dict[Any, list[Problem]] = defaultdict(list)
    for problem in problems:
        kinds[problem.kind, problem.action].append(problem)
    for (kind, then), alike in kinds.items():
        shown = alike if every or len(alike) < MANY else alike[:SHOWN]
        yield from ((_seen_from(root, one.file), one.location, one.finding, then) for one in shown)
        if len(shown) < len(alike):
            yield "", "", f"{kind}: {len(alike) - len(shown)} more, which --all lists", then


def _seen_from(root: Path, file: Path) -> str:
    return os.path.relpath(file, root) if file.is_relative_to(root) else str(file)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"
