"""Where text leaves for a terminal: what a terminal would obey is shown as an escape, wherever it came from.

Names of files and classes may hold control characters of ASCII and of ISO 6429 (C1), marks that turn the direction of
text around (Unicode's UAX 9), and others that nobody sees. Nothing else prints to a terminal but rich's tables, whose
console does the same.
"""

import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

OBEYED = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
"""Control characters, separators of lines, marks of direction, characters without width, and halves of others."""


def printable(text: str) -> str:
    """A text in one line without characters that a terminal obeys: each is shown as Python escapes it."""
    return OBEYED.sub(lambda found: ascii(found[0])[1:-1], text)


def printable_lines(text: str) -> str:
    """The same of a text of several lines."""
    return "\n".join(map(printable, text.split("\n")))


def say(text: str = "") -> None:
    """Print a line on stdout."""
    print(printable(text))


def note(text: str) -> None:
    """Print a line on stderr."""
    print(printable(text), file=sys.stderr, flush=True)


@contextmanager
def printable_warnings() -> Iterator[None]:
    """Within it warnings are shown so, too."""
    before: Any = warnings.formatwarning
    warnings.formatwarning = lambda *about, **more: printable_lines(before(*about, **more))
    try:
        yield
    finally:
        warnings.formatwarning = before
