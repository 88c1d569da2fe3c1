"""Which of several modules that fit each other belong together by the words and numbers in their paths.

Needs nothing.
"""

import re
from collections.abc import Collection, Sequence


def alike_in_words(reference: Sequence[str], port: Sequence[str]) -> dict[str, str]:
    """Each path of the reference by the path of the port that has most words in common with it, and it alone.

    Of several that have as many, those of the same numbers belong together: `filter0` and `filters.0`. Nothing is
    found where one of them is left, since then the words may mean something else.
    """
    found: dict[str, str] = {}
    for one in reference:
        theirs = _nearest(one, port)
        own = _nearest(theirs[0], reference) if theirs else []
        numbered = [path for path in theirs if _numbers(path) == _numbers(one)] if len(theirs) > 1 else theirs
        alike = [path for path in own if _numbers(path) == _numbers(one)]
        if one not in own or len(own) != len(theirs) or len(numbered) != 1 or (len(own) > 1 and len(alike) != 1):
            return {}
        found[numbered[0]] = one
    return found if len(found) == len(reference) == len(port) else {}


def _nearest(path: str, others: Sequence[str]) -> list[str]:
    """Those that have most words in common with a path; none where no other has any."""
    words = _words(path)
    common = {other: _common(words, _words(other)) for other in others}
    most = max(common.values(), default=0)
    return [other for other in others if common[other] == most > 0]


def _common(words: Collection[str], others: Collection[str]) -> int:
    return sum(any(word.rstrip("s") == other.rstrip("s") for other in others) for word in words)


def _words(path: str) -> set[str]:
    return set(re.findall(r"[a-z]+", path.lower()))


def _numbers(path: str) -> list[str]:
    return re.findall(r"\d+", path)
