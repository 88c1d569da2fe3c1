"""How far a run has come, on a terminal alone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Show = Callable[[int, str], None]
"""Takes the steps done and a few words beside them."""


@contextmanager
def run_bar(steps: int, *, done: int) -> Iterator[Show]:
    """A bar over the steps of a run."""
    columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    console = Console(stderr=True)
    times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    with Progress(*columns, *times, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task("", total=steps, completed=done)
        yield lambda step, words: bars.update(task, completed=step, description=words)
