"""How far a run has come: a bar on a terminal; in a log its first step, a line a minute, and its last step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from torch_retinanet.data.progress import Minutes
from torch_retinanet.terminal import note

Show = Callable[[int, str], None]
"""Takes the steps done and a few words beside them."""


@contextmanager
def run_bar(steps: int, *, done: int, is_shown: bool = True) -> Iterator[Show]:
    """A bar over the steps of a run on stderr; where that is no terminal, as in a notebook, lines."""
    console = Console(stderr=True)
    if not is_shown:
        yield lambda step, words: None
    elif not console.is_terminal:
        yield _lines(steps, done)
    else:
        columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
        times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        with Progress(*columns, *times, console=console, transient=True) as bars:
            task = bars.add_task("", total=steps, completed=done)
            yield lambda step, words: bars.update(task, completed=step, description=words)


def _lines(steps: int, done: int) -> Show:
    """A line for the first step, the last one, and one a minute between them."""
    minutes = Minutes()

    def show(step: int, words: str) -> None:
        if minutes.due() or step in (done + 1, steps):
            note(f"training: step {step:,} of {steps:,}, {words}")

    return show
