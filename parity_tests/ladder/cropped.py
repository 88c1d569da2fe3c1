"""Modules whose results a port cuts to size, where the reference's have it. Needs numpy alone.

A causal convolution is often one that pads at both ends, and whose last steps are cut off.
"""

from collections.abc import Iterable

from parity_tests.rule.record import Array
from parity_tests.sides.side import ROOT, Calls, tap_of

WORDS = "the port makes more than the reference and cuts it; it is compared where it arrives"


def cropped(reference: Calls, port: Calls) -> dict[str, str]:
    """The taps that make more in the port, in words, where all that arrives has the reference's shape.

    Both in the reference's layout. Where what arrives is longer, too, nothing is cut, and that is a difference.
    """
    shared = [name for name in reference if name in port]
    if any(_shapes(reference[name].inputs) != _shapes(port[name].inputs) for name in shared):
        return {}
    made = {name: [_shapes(of[name].outputs.values()) for of in (reference, port)] for name in shared}
    if ROOT in made and made[ROOT][0] != made[ROOT][1]:
        return {}
    return {tap_of(name): WORDS for name, (own, theirs) in made.items() if own != theirs and _all_longer(own, theirs)}


def _shapes(arrays: Iterable[Array]) -> list[tuple[int, ...]]:
    return [tuple(values.shape) for values in arrays]


def _all_longer(reference: list[tuple[int, ...]], port: list[tuple[int, ...]]) -> bool:
    """Whether each array has as many axes on both sides, and none that is shorter in the port."""
    if [len(shape) for shape in reference] != [len(shape) for shape in port]:
        return False
    return all(n <= m for one, other in zip(reference, port, strict=True) for n, m in zip(one, other, strict=True))
