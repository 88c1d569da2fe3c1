"""How far a reader has come: a bar on a terminal, a line a minute in a log."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from torch_retinanet.terminal import note

T = TypeVar("T")

MINUTE = 60.0
"""Seconds between two lines in a log."""


def track(items: Iterable[T], *, total: int, words: str) -> Iterator[T]:
    """The items one by one; on stderr is shown how many of them are done.

    Args:
        items: what is gone through.
        total: how many there are.
        words: what is done with them.
    """
    if not sys.stderr.isatty():
        return _in_a_log(items, total, words)
    from rich.console import Console
    from rich.progress import track as bar

    return iter(bar(items, words, total=total, console=Console(stderr=True), transient=True))


class Minutes:
    """Says once a minute that a line is due."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def due(self) -> bool:
        """Whether the last line is a minute old; the next one then is due a minute later."""
        if time.monotonic() - self.last < MINUTE:
            return False
        self.last = time.monotonic()
        return True


def _in_a_log(items: Iterable[T], total: int, words: str) -> Iterator[T]:
    minutes = Minutes()
    for done, item in enumerate(items):
        if minutes.due():
            note(f"{words}: {done:,} of {total:,}")
        yield item
