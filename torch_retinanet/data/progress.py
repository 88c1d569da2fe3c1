"""How far a reader has come, on a terminal alone."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def track(items: Iterable[T], *, total: int, words: str) -> Iterator[T]:
    """The items one by one, with a bar on stderr where that is a terminal.

    Args:
        items: what is gone through.
        total: how many there are.
        words: what is done with them.
    """
    from rich.console import Console
    from rich.progress import track as bar

    console = Console(stderr=True)
    yield from bar(items, words, total=total, console=console, transient=True, disable=not console.is_terminal)
