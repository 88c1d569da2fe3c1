"""How a comparison is shown in colour and in a few characters: by its verdict and the share of the budget it used."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from parity_tests.rule.record import Record, Verdict, verdict_of

MARKS: dict[Verdict, str] = {"equal": "✓", "tie": "≈", "different": "≠", "incomplete": "?"}
"""A sign for each verdict, so that colour alone never says it."""

STEPS = (0.0, 0.1, 0.25, 0.5, 0.75)
"""Shares of a budget above which the next darker shade begins; the last one ends at the whole budget."""

LEGEND = (("s0", "0"), ("s1", "10 %"), ("s2", "25 %"), ("s3", "50 %"), ("s4", "75 %"), ("s5", "100 %"))
"""Each shade and the largest share that has it."""


@dataclass(frozen=True, kw_only=True)
class Shade:
    """One or several comparisons as a coloured cell.

    Attributes:
        level: `s0` to `s5` by share, `over`, `unknown` where one could not be made, `none` where nothing is measured.
        text: the share in a few characters.
    """

    level: str
    text: str


def shade_of(records: Sequence[Record]) -> Shade:
    """The shade of the worst of these comparisons."""
    share, verdict = largest_share(records), verdict_of(records) if records else "equal"
    if verdict == "different":
        return Shade(level="over", text=MARKS["different"] if share is None or share <= 1 else share_text(share))
    if verdict == "incomplete":
        return Shade(level="unknown", text=MARKS["incomplete"])
    if share is None:
        return Shade(level="none", text=MARKS["equal"] if records else "")
    return Shade(level=f"s{sum(share > step for step in STEPS)}", text=share_text(share))


def share_of(record: Record) -> float | None:
    """The share of the budget used, infinite where next to none was overdrawn; `None` where there is no budget."""
    if record.used is None and record.difference and record.budget is not None:
        return math.inf
    return record.used


def largest_share(records: Sequence[Record]) -> float | None:
    """The largest share used; `None` where no record has a budget."""
    return max((share for share in map(share_of, records) if share is not None), default=None)


def share_text(share: float) -> str:
    """A share as people read it: `0`, `<1 %`, `34 %`, and from ten budgets on `×2e13`."""
    if share == 0:
        return "0"
    if share > 1e99:
        return "×∞"
    if share >= 10:
        return f"×{power_text(share)}"
    return "<1 %" if share < 0.005 else f"{_percent(share)} %"


def power_text(number: float) -> str:
    """One digit and a power of ten, `2e13` or `3e-7`."""
    digit, _, power = f"{number:.0e}".partition("e")
    return f"{digit}e{int(power)}"


def _percent(share: float) -> str:
    """Whole percents; what is over its budget by less than one must not read as 100."""
    return f"{share:.0%}".rstrip("%") if not 1 < share < 1.005 else ">100"
