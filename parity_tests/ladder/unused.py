"""Modules that a side does not call, though it computes with their parameters. Needs numpy alone.

A port may take the table of an embedding itself where the other side looks all of its rows up: both are right.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from parity_tests.rule.record import SIDES, Array
from parity_tests.sides.names import is_within
from parity_tests.sides.side import ROOT, Call, Calls, Side, tap_of

SEED = 2018
"""Of the numbers by which outputs are weighted for the gradients that tell."""

Ends = Sequence[Mapping[str, str]]
"""By tap the path of its module, of each side."""


def used_uncalled(
    paths: Ends, calls: Sequence[Calls], opened: Sequence[Callable[[str], Side]], inputs: Sequence[Sequence[Array]]
) -> dict[str, str]:
    """The taps that a side does not call, though it has a gradient by their parameters; and that in words."""
    called = [{tap_of(name) for name in of_side} for of_side in calls]
    used = [dict[str, str](), dict[str, str]()]
    for i, side in enumerate(SIDES):
        idle = [tap for tap in paths[i] if tap not in called[i] and tap != ROOT and tap in paths[1 - i]]
        if idle and calls[i].get(ROOT, Call()).outputs:
            moved = _with_gradient(opened[i]("float64"), inputs[i], calls[i][ROOT].outputs)
            words = f"the {side} computes with its parameters and does not call it; it is compared where it arrives"
            used[i] = {tap: words for tap in idle if any(is_within(name, paths[i][tap]) for name in moved)}
    both = "neither side calls it, and both compute with its parameters; it is compared where it arrives"
    return {
        tap: both if tap in used[1 - i] else words
        for i in (0, 1)
        for tap, words in used[i].items()
        if tap in called[1 - i] or tap in used[1 - i]
    }


def _with_gradient(side: Side, inputs: Sequence[Array], outputs: Mapping[str, Any]) -> list[str]:
    """The parameters on which the outputs depend."""
    rng = np.random.default_rng(SEED)
    seeds = {place: rng.normal(size=values.shape) for place, values in outputs.items() if values.dtype.kind == "f"}
    gradients = side.backward(inputs, seeds).gradients if seeds else {}
    return [name for name, gradient in gradients.items() if np.any(gradient)]
