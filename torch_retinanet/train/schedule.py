"""The learning rate of each step, as a pure function of its number: nothing to store, nothing to resume."""

import math
from typing import Literal

Schedule = Literal["constant", "step", "cosine", "one_cycle"]

DROPS, FACTOR = (2 / 3, 8 / 9), 0.1
"""At which shares of a run `step` drops the rate, and to what of it (Lin et al. 2017, section 4.1)."""

FIRST, LAST = 1 / 25, 1e-4 / 25
"""The first and last rate of `one_cycle` as shares of the largest (Smith and Topin 2017; `torch.optim.OneCycleLR`)."""


def rate_share(step: int, steps: int, *, schedule: Schedule, warm_up: float) -> float:
    """What of the largest learning rate a step has, counted from 0 in a run of `steps`.

    Args:
        schedule: `constant`; `step`, a tenth after two thirds and again after eight ninths; `cosine`, down to 0;
            `one_cycle`, up along a cosine from a 25th and down along one to nearly 0.
        warm_up: the share of steps until the largest rate is reached, along a line from 0, of `one_cycle` its rise.
    """
    rise = warm_up * steps
    if schedule == "one_cycle":
        return _one_cycle(step, steps, rise)
    if step < rise:
        return (step + 1) / (rise + 1)
    if schedule == "step":
        return FACTOR ** sum(step >= drop * steps for drop in DROPS)
    if schedule == "cosine":
        return _cosine(1.0, 0.0, (step - rise) / max(1.0, steps - rise))
    return 1.0


def _one_cycle(step: int, steps: int, rise: float) -> float:
    peak = max(rise - 1, 0.0)
    if step < peak:
        return _cosine(FIRST, 1.0, step / peak)
    return _cosine(1.0, LAST, (step - peak) / max(1.0, steps - 1 - peak))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
