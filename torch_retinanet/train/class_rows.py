"""The class layer of a checkpoint where classes of the data have changed places: rows follow their names."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from torch import Tensor


def moved_rows(
    tensors: Mapping[str, Tensor], layer: str, before: Sequence[str], now: Sequence[str]
) -> dict[str, Tensor]:
    """The tensors of a checkpoint with the rows of each class where its name is now.

    The weights, their average, and what the optimiser remembers of them move together. Classes whose names are new take
    the rows of those that are gone, in order: they are taken for renamed.

    Args:
        tensors: by their names in the checkpoint.
        layer: the name of the class layer (A*K,...) in the network, as `cls_head.8`.
        before: the K names, by the labels that the rows were trained for.
        now: the K names by the labels of the data.
    """
    of_layer = re.compile(rf"(?:.*[:.])?{re.escape(layer)}\.(?:weight|bias)(?:@.*)?")
    order = _places(before, now)
    return {
        name: _reordered(tensor, order) if of_layer.fullmatch(name) and tensor.ndim else tensor
        for name, tensor in tensors.items()
    }


def _places(before: Sequence[str], now: Sequence[str]) -> list[int]:
    """For each class of now the place that it had, or that of one that is gone."""
    old = defaultdict[str, list[int]](list)
    for place, name in enumerate(before):
        old[name].append(place)
    found = [old[name].pop(0) if old[name] else None for name in now]
    gone = iter(sorted(place for places in old.values() for place in places))
    return [next(gone) if place is None else place for place in found]


def _reordered(tensor: Tensor, order: Sequence[int]) -> Tensor:
    rows = tensor.reshape(-1, len(order), *tensor.shape[1:])
    return rows[:, list(order)].reshape(tensor.shape)
