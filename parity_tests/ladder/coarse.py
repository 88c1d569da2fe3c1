"""What a side computed in float32 in a run in float64, and what that part is allowed. Needs numpy alone.

Frameworks do so with constants and with whole operations, whatever they are asked for: `tf.image.resize` gives float32,
and the slope of `tf.nn.leaky_relu` is one. Such a part is judged in the precision that it really has.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from parity_tests.rule.budgets import CASCADED
from parity_tests.rule.record import SIDES, Record
from parity_tests.sides.side import ROOT

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


def coarse_budget(scale: float) -> float:
    """What such a part may differ beside values of this size: the roundings of a whole model in float32.

    A single operation may need them: a resized picture has the rounding of its coordinates.
    """
    return CASCADED * EPS * scale


def in_words(records: Sequence[Record]) -> list[str]:
    """A sentence on each side that computed in float32, and where, as far as that is known; none where no side did."""
    return [_sentence(side, _own(side, records)) for side in SIDES if any(side in record.coarse for record in records)]


def _own(side: str, records: Sequence[Record]) -> list[str]:
    """The taps that a side makes so when they are fed."""
    alone = [r.name for r in records if side in r.coarse and (r.rung, r.where.mode) == ("forward", "isolated")]
    return [name for name in dict.fromkeys(alone) if ".input" not in name and name != ROOT]


def _sentence(side: str, names: Sequence[str]) -> str:
    others = f" and {len(names) - 3} others" if len(names) > 3 else ""
    found = ", ".join(names[:3]) + others or "a part"
    return f"in float64 the {side} computes {found} in float32: that, and what follows from it, is judged as float32 is"
