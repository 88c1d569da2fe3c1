"""Which modules of two sides belong together where no table says it: by values, by order and by shape.

Needs numpy alone.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from parity_tests.sides.layouts import Layouts
from parity_tests.sides.links import Links, linked
from parity_tests.sides.names import Names, Pairs
from parity_tests.sides.parts import Module, Signature
from parity_tests.sides.spelling import alike_in_words


class Matches(NamedTuple):
    """What was found.

    Attributes:
        table: paths of the reference by paths of the port.
        ambiguous: paths of the reference that could be meant by several of the port, in groups.
    """

    table: dict[str, str]
    ambiguous: list[tuple[list[str], list[str]]]


def matched(reference: Sequence[Module], port: Sequence[Module], orders: Sequence[Sequence[str]] = ()) -> Matches:
    """Modules that belong together.

    Those whose values are alike and no others' are; those that stand at one place, if each fits that has a place, by
    the order in which they are defined and by that in which they are called alike; those that fit nothing else; and of
    those that are left, each that shares words of its path with one alone.

    Args:
        orders: the paths of each side in the order of their calls, where that is known.
    """
    fits = _Fits()
    table = _by_values(reference, port, fits)
    left = [m for m in reference if m.path not in table.values()], [m for m in port if m.path not in table]
    rest = (
        [a for a in left[0] if any(fits(a, b) for b in left[1])],
        [b for b in left[1] if any(fits(a, b) for a in left[0])],
    )
    called = [[_called(side, order) for side, order in zip(rest, orders, strict=True)]] if orders else []
    sequences = [[*rest], *called]
    found = [in_order for one, other in sequences if (in_order := _in_order(one, other, fits))]
    agreed = {b: a for b, a in found[0].items() if all(other[b] == a for other in found)} if found else {}
    alone = {b.path: a.path for a in rest[0] for b in rest[1] if fits.alone(a, b, *rest)}
    table |= alone | agreed
    for of_reference, of_port in _ambiguous(rest, table, fits):
        table |= alike_in_words(of_reference, of_port)
    return Matches(table, _ambiguous(rest, table, fits))


class _Fits:
    """Whether the parameters of two modules can be made of each other; asked once for modules that are built alike."""

    def __init__(self) -> None:
        self._known: dict[tuple[Signature, Signature, frozenset[str]], bool] = {}

    def __call__(self, a: Module, b: Module) -> bool:
        idle = frozenset(name.removeprefix(module.path) for module in (a, b) for name in module.idle)
        key = a.signature, b.signature, idle
        if key not in self._known:
            self._known[key] = _fit(a, b)
        return self._known[key]

    def alone(self, a: Module, b: Module, reference: Sequence[Module], port: Sequence[Module]) -> bool:
        """Whether two fit, and neither fits another."""
        others = sum(self(a, other) for other in port) + sum(self(other, b) for other in reference)
        return self(a, b) and others == 2


def _fit(a: Module, b: Module) -> bool:
    pairs, links = _linked(a, b)
    left = {name for names in pairs.missing.values() for name in names}
    return left <= a.idle | b.idle and all(link.fits for link in links.each)


def _linked(a: Module, b: Module) -> tuple[Pairs, Links]:
    """The parameters of two modules that are taken for one another."""
    names = Names([*a.values], [*b.values])
    shapes = ({n: v.shape for n, v in a.values.items()}, {n: v.shape for n, v in b.values.items()})
    table = dict.fromkeys(b.layers or [b.path], a.path)
    return linked(names, shapes, table, {}, Layouts("channels_last", "channels_first", {}))


def as_names(table: Mapping[str, str], reference: Sequence[Module], port: Sequence[Module]) -> dict[str, str]:
    """The table in names that both sides have: of a part that is no layer of its own, those of its parameters."""
    modules, found = ({module.path: module for module in side} for side in (reference, port)), dict[str, str]()
    references, ports = modules
    for path, other in table.items():
        a, b = references[other], ports[path]
        if not (a.named or b.named):
            found |= dict.fromkeys(b.layers or [path], other)
            continue
        each = [link for link in _linked(a, b)[1].each if len(link.reference) == 1]
        found |= {
            b.named.get(p, p): a.named.get(link.reference[0], link.reference[0]) for link in each for p in link.port
        }
    return found


def _by_values(reference: Sequence[Module], port: Sequence[Module], fits: _Fits) -> dict[str, str]:
    """Those that have the same numbers and fit, where no other module of either side has them."""
    found: dict[tuple[float, ...], tuple[list[Module], list[Module]]] = {}
    for i, side in enumerate((reference, port)):
        for module in side:
            found.setdefault(module.numbers, ([], []))[i].append(module)
    pairs = [(a[0], b[0]) for numbers, (a, b) in found.items() if numbers and len(a) == len(b) == 1]
    return {b.path: a.path for a, b in pairs if fits(a, b)}


def _in_order(
    reference: Sequence[Module], port: Sequence[Module], fits: Callable[[Module, Module], bool]
) -> dict[str, str]:
    """Those at one place; none where one of them does not fit, or a side has more."""
    if len(reference) != len(port) or not all(map(fits, reference, port)):
        return {}
    return {b.path: a.path for a, b in zip(reference, port, strict=True)}


def _called(modules: Sequence[Module], order: Sequence[str]) -> list[Module]:
    places = {path: place for place, path in reversed([*enumerate(order)])}
    return sorted(modules, key=lambda module: places.get(module.called, -1))


def _ambiguous(
    rest: Sequence[Sequence[Module]], table: Mapping[str, str], fits: _Fits
) -> list[tuple[list[str], list[str]]]:
    groups: dict[tuple[str, ...], list[str]] = {}
    for a in rest[0]:
        if a.path not in table.values():
            candidates = tuple(b.path for b in rest[1] if b.path not in table and fits(a, b))
            groups.setdefault(candidates, []).append(a.path)
    return [(paths, list(candidates)) for candidates, paths in groups.items() if candidates]
