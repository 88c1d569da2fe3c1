"""A dense layer behind a flattened map, of which one side has its pixels first and the other its channels.

A port carries the kernel of such a layer in the order in which it flattens the map; what arrives tells it. Needs numpy
alone.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np

from parity_tests.rule.record import Array
from parity_tests.sides.adapter import Adapter
from parity_tests.sides.carry import Way
from parity_tests.sides.layouts import Layouts
from parity_tests.sides.links import Link, Links
from parity_tests.sides.side import Calls

CLEARLY = 0.5
"""How much nearer what arrives must be in another order than as it lies, and than in any third order."""

Ends = Mapping[str, tuple[str, str]]
"""The path of each tap in each side."""


def in_order_of_maps(
    links: Links,
    layouts: Layouts,
    adapters: Sequence[Adapter],
    inputs: Sequence[Sequence[Array]],
    weights: Mapping[str, Array],
    ends: Ends,
) -> tuple[Links, list[str]]:
    """Links with the kernels of such layers carried in the order of the port, and a sentence for each layer."""
    dense = _dense(links, ends)
    if layouts.reference == layouts.port or not dense or not all(adapter.sees_inputs for adapter in adapters):
        return links, []
    said: list[str] = []
    with suppress(Exception):  # a model that does not run is told of when it is compared
        reference = adapters[0].open("float32", {tap: ends[tap][0] for tap in dense}).forward(inputs[0])
        while found := _first_in_other_order(links, dense, reference, adapters[1], inputs[1], weights, ends):
            tap, order = found
            layouts.features[f"{tap}.input"] = order
            links = Links([_in_order(one, order) if one is dense[tap] else one for one in links.each])
            said.append(f"{tap}: the port flattens a map channels first, and its kernel is carried in that order")
            del dense[tap]
    return links, said


def _dense(links: Links, ends: Ends) -> dict[str, Link]:
    """By tap the link of the kernel of each dense layer, in a model that has maps."""
    if not any(len(link.shapes[0]) > 3 for link in links.each):
        return {}
    kernels = {
        tuple(_owner(of[0]) for of in (link.reference, link.port)): link for link in links.each if _is_dense(link)
    }
    return {tap: kernels[paths] for tap, paths in ends.items() if paths in kernels}


def _is_dense(link: Link) -> bool:
    return link.fits and link.is_single and all(len(shape) == 2 for shape in link.shapes)


def _owner(name: str) -> str:
    return name[: max(name.rfind("."), name.rfind("/"), 0)]


def _first_in_other_order(
    links: Links,
    dense: Mapping[str, Link],
    reference: Calls,
    port: Adapter,
    inputs: Sequence[Array],
    weights: Mapping[str, Array],
    ends: Ends,
) -> tuple[str, list[int]] | None:
    """The first of these layers, as the reference calls them, whose input arrives in another order."""
    side = port.open("float32", {tap: ends[tap][1] for tap in dense})
    side.assign(Links([link for link in links.each if link.fits]).to_port(weights))
    calls = side.forward(inputs)
    for tap in [tap for tap in reference if tap in dense and tap in calls]:
        if order := _order(reference[tap].inputs[0], calls[tap].inputs[0]):
            return tap, order
    return None


def _order(reference: Array, port: Array) -> list[int]:
    """Which feature of the reference each of the port is, if channels and pixels are exchanged; empty where not."""
    if reference.ndim != 2 or reference.shape != port.shape:
        return []
    count = reference.shape[1]
    orders = [[*np.arange(count).reshape(-1, n).T.ravel()] for n in range(1, count) if count % n == 0]
    apart = [float(np.linalg.norm(reference[:, order] - port)) for order in orders]
    least, *others = sorted(apart)
    found = orders[apart.index(least)]
    return found if apart[0] > 0 and others and least <= CLEARLY * others[0] and found != orders[0] else []


def _in_order(link: Link, order: Sequence[int]) -> Link:
    """The link with the port's features in this order."""
    axis = 0 if link.port[0].endswith("kernel") else 1
    again = np.argsort(order)
    way = link.way

    def there(arrays: Sequence[Array]) -> list[Array]:
        return [values.take(order, axis) for values in way.there(arrays)]

    def back(arrays: Sequence[Array]) -> list[Array]:
        return way.back([values.take(again, axis) for values in arrays])

    return link._replace(way=Way(there, back, there, back))
