"""What a side computed in float32 in a run in float64, and what that part is allowed. Needs numpy alone.

Frameworks do so with constants and with whole operations, whatever they are asked for: `tf.image.resize` gives float32,
and the slope of `tf.nn.leaky_relu` is one. Such a part is judged in the precision that it really has.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from parity_tests.rule.budgets import largest
from parity_tests.rule.record import SIDES, Array, Record
from parity_tests.rule.sampled import Sampled

EPS = float(np.finfo(np.float32).eps)

Coarsened = Mapping[str, Sequence[str]]
"""By the name of a comparison the sides that computed part of it in float32."""


def coarsened(reference: Collection[str], port: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The names that either side computed so, with the sides."""
    found = dict(zip(SIDES, (reference, port), strict=True))
    names = dict.fromkeys([*reference, *port])
    return {name: tuple(side for side in SIDES if name in found[side]) for name in names}


def coarse_sides(*answers: Mapping[str, Any]) -> tuple[str, ...]:
    """The sides whose run had any part in float32, of the answers of both."""
    return tuple(side for side, answer in zip(SIDES, answers, strict=True) if answer.get("coarse"))


def coarse_budget(reference: Array | Sampled, units: int) -> float:
    """So many roundings of the largest value in float32."""
    return units * EPS * largest(reference)


def in_words(records: Sequence[Record]) -> list[str]:
    """A sentence on each side that computed in float32, and where; none where no side did."""
    found: dict[str, list[str]] = {side: [] for side in SIDES}
    for record in records:
        if record.rung == "forward" and record.where.mode in ("isolated", ""):
            for side in record.coarse:
                found[side].append(record.name)
    if not any(found.values()):
        found = {side: ["all of it"] if any(side in record.coarse for record in records) else [] for side in SIDES}
    return [_sentence(side, list(dict.fromkeys(names))) for side, names in found.items() if names]


def _sentence(side: str, names: Sequence[str]) -> str:
    few = ", ".join(names[:3]) + (f" and {len(names) - 3} others" if len(names) > 3 else "")
    return f"in float64 the {side} computes {few} in float32: that, and what follows from it, is judged as float32 is"
