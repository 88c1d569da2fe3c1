"""Which call of a module on one side is which on the other, where both call it as often, in another order.

A graph of Keras runs its deepest branch first, and a port written line by line may not: the result is the same. Needs
numpy alone.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from parity_tests.rule.budgets import largest
from parity_tests.rule.record import Array
from parity_tests.sides.side import Call, Calls, tap_of

CLEARLY = 1e-3
"""How much nearer calls must be in another order, by what they are fed, to be taken in that order."""

INCOMPARABLE = float("inf")
"""How far calls are apart that are fed other shapes: those that are fed the same are never so far, right or wrong."""

ALIKE = 1e-6
"""How far what calls are fed may be apart, as a share of the largest, without a look at other orders."""


def other_order(reference: Calls, port: Calls) -> dict[str, str]:
    """The reference's name of each of the port's calls that has another name there; both in the reference's layout."""
    renamed: dict[str, str] = {}
    names = _by_tap(reference), _by_tap(port)
    for tap, own in names[0].items():
        theirs = names[1].get(tap, [])
        if len(own) == len(theirs) > 1:
            order = _order([reference[name] for name in own], [port[name] for name in theirs])
            renamed |= {theirs[place]: own[i] for i, place in enumerate(order) if place != i}
    return renamed


def in_words(renamed: dict[str, str]) -> list[str]:
    """A sentence for each module whose calls are taken in another order."""
    return [
        f"{tap}: the port calls it in another order, and each call is compared with the one that is fed the same"
        for tap in dict.fromkeys(map(tap_of, renamed))
    ]


def _by_tap(calls: Calls) -> dict[str, list[str]]:
    """The names of the calls of each tap, in their order."""
    names: defaultdict[str, list[str]] = defaultdict(list)
    for name in calls:
        names[tap_of(name)].append(name)
    return names


def _order(reference: Sequence[Call], port: Sequence[Call]) -> list[int]:
    """For each call of the reference the place of the port's that is fed the same."""
    as_they_are = [*range(len(reference))]
    if (most := max(map(_apart, reference, port))) <= ALIKE:
        return as_they_are
    apart = np.array([[_apart(one, other) for other in port] for one in reference])
    order, left = list[int](), [*as_they_are]
    for row in apart:
        order.append(min(left, key=row.__getitem__))
        left.remove(order[-1])
    found = float(apart[as_they_are, order].max())
    return order if found <= CLEARLY * min(most, 1.0) or found < most == INCOMPARABLE else as_they_are


def _apart(one: Call, other: Call) -> float:
    """How far apart what two calls are fed is, as a share of the largest; of a tap of the model's own what it holds."""
    left, right = (list(call.inputs or call.outputs.values()) for call in (one, other))
    if [values.shape for values in left] != [values.shape for values in right]:
        return INCOMPARABLE
    return max((_share(*pair) for pair in zip(left, right, strict=True)), default=0.0)


def _share(one: Array, other: Array) -> float:
    difference, most = largest(one.astype(np.float64) - other.astype(np.float64)), largest(one)
    return difference / most if most else difference
