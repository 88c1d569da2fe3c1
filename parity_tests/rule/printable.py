"""Where text leaves for a terminal or a page: what they would obey is shown as an escape, wherever it came from.

Names of layers and files may hold control characters of ASCII and of ISO 6429 (C1), marks that turn the direction of
text around (Unicode's UAX 9), and others that nobody sees.
"""

import re
import sys

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


def say(text: str) -> None:
    """Print a line on stdout."""
    print(printable(text), flush=True)


def complain(text: str) -> None:
    """Print a text of one line or several on stderr."""
    print(printable_lines(text), file=sys.stderr, flush=True)


__all__ = ["complain", "printable", "printable_lines", "say"]
