"""A dense layer on patches of a map beside a convolution that steps as far as its kernel reaches. Needs numpy alone.

Either may have the numbers of a patch in its own order, channels before pixels or behind them: what arrives tells it.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from parity_tests.rule.record import Array
from parity_tests.sides.adapter import Adapter
from parity_tests.sides.layouts import FIRST
from parity_tests.sides.links import Link, Links, on_patches

NEAR = 1e-3
"""How near a patch must be to what arrives at the dense layer, as a share of the largest number, to be it."""


def in_order_of_patches(
    links: Links, adapters: Sequence[Adapter], inputs: Sequence[Sequence[Array]], weights: Mapping[str, Array]
) -> Links:
    """Links with the kernels of such layers carried in the order in which the patches arrive."""
    found = {link: _owners(link) for link in links.each if link.fits and on_patches(*_of(link)) is not None}
    if not found or not all(adapter.has_modules for adapter in adapters):
        return links
    calls: list[Mapping[str, Any]] = []
    with suppress(Exception):  # a model that does not run is told of when it is compared
        for i, (adapter, of_side) in enumerate(zip(adapters, inputs, strict=True)):
            side = adapter.open("float32", {path: path for path in (ends[i] for ends in found.values())})
            if i == 1:
                side.assign(Links([link for link in links.each if link.fits]).to_port(weights))
            calls.append(side.forward(of_side))
        return Links([_ordered(link, adapters, calls) if link in found else link for link in links.each])
    return links


def _ordered(link: Link, adapters: Sequence[Adapter], calls: Sequence[Mapping[str, Any]]) -> Link:
    maps = 0 if len(link.shapes[0]) > 2 else 1
    ends = _owners(link)
    whole, rows = (calls[i][ends[i]].inputs[0] for i in (maps, 1 - maps))
    kernel, name = link.shapes[maps], (link.reference, link.port)[maps][0]
    rows_and_columns = kernel[:2] if name.endswith("kernel") else kernel[2:]
    first = whole[0] if adapters[maps].layout == FIRST else np.moveaxis(whole[0], -1, 0)
    patch = first[:, : rows_and_columns[0], : rows_and_columns[1]]
    arrives = rows.reshape(-1, rows.shape[-1])[0]
    for channels_first, numbers in ((True, patch), (False, np.moveaxis(patch, 0, -1))):
        if np.abs(numbers.ravel() - arrives).max() <= NEAR * np.abs(arrives).max():
            way = on_patches(*_of(link), channels_first)
            return link if way is None else link._replace(way=way)
    return link


def _of(link: Link) -> tuple[str, str, tuple[tuple[int, ...], tuple[int, ...]]]:
    return link.reference[0], link.port[0], link.shapes


def _owners(link: Link) -> tuple[str, str]:
    reference, port = (re.sub(r"[./]?[^./]*$", "", of[0]) for of in (link.reference, link.port))
    return reference, port
