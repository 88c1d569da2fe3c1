"""All records as one compact value, from which the page draws its table and its heat map."""

import math
from typing import Any

from parity_tests.report.colours import shade_of, share_of
from parity_tests.report.tree import taps_of
from parity_tests.rule.printable import printable
from parity_tests.rule.record import Record
from parity_tests.rule.result import Result

WORDS = (
    "preset",
    "rung",
    "case",
    "name",
    "verdict",
    "reference_shape",
    "port_shape",
    "reason",
    "level",
    "share",
    "vacuous",
)
NUMBERS = ("used", "difference", "scale", "budget", "own_reference", "own_port")
"""The columns of a row: words as places in a list where each stands once, then numbers."""


def records_data(result: Result) -> dict[str, Any]:
    """Rows of records, the list of words they point to, what cases consist of, and the rows that are taps."""
    places: dict[str, int] = {}
    rows = [_row(record, places) for record in result.records]
    taps, wheres = {id(record) for record in taps_of(result.records)}, {record.where for record in result.records}
    return {
        "words": WORDS,
        "numbers": NUMBERS,
        "strings": list(map(printable, places)),
        "rows": rows,
        "cases": {where.text: (where.extent, where.dtype, where.mode) for where in wheres},
        "taps": [i for i, record in enumerate(result.records) if id(record) in taps],
        "sources": {printable(tap): sides for tap, sides in result.sources.items()},
    }


def _row(record: Record, places: dict[str, int]) -> list[int | float | None]:
    shade = shade_of([record])
    words = (
        *(record.preset, record.rung, record.where.text, record.name, record.verdict),
        *(_shape(record.reference_shape), _shape(record.port_shape), record.reason, shade.level, shade.text),
        record.vacuous,
    )
    numbers = (share_of(record), record.difference, record.scale, record.budget, *(record.own_errors or (None, None)))
    return [*(places.setdefault(word, len(places)) for word in words), *map(_short, numbers)]


def _shape(shape: tuple[int, ...] | None) -> str:
    return "" if shape is None else "×".join(map(str, shape)) or "scalar"


def _short(number: float | None) -> float | None:
    """Three digits are all that is shown; JSON has no infinity."""
    if number is None or not math.isfinite(number):
        return None
    return float(f"{number:.3g}")
