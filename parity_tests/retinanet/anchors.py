"""The anchors of a cell, as both sides are told them where they are other than their own.

What a preset has by itself is never handed from one side to the other: a wrong number in it must show.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from parity_tests.retinanet.inputs import Size
from parity_tests.rule.record import Array

Changed = Mapping[str, Any]
"""Anchors other than a preset's own, by the names of their fields."""

NOTHING: Changed = MappingProxyType({})


class Anchors(NamedTuple):
    """The side of a level's smallest square anchor in strides, and the factors and ratios of a cell's anchors.

    In place of the first the sizes of each level; and the levels, P3 to P7 by default.
    """

    anchor_scale: float
    anchor_scales: tuple[float, ...]
    anchor_ratios: tuple[float, ...]
    anchor_sizes: tuple[float, ...] = ()
    min_level: int = 3
    max_level: int = 7

    @property
    def per_cell(self) -> int:
        """How many stand in a cell."""
        return len(self.anchor_scales) * len(self.anchor_ratios)

    @property
    def text(self) -> str:
        """In words."""
        sizes = ", a size for each level" if self.anchor_sizes else ""
        return f"{self.per_cell} anchors a cell on P{self.min_level} to P{self.max_level}{sizes}"


def counted(size: Size, fields: Changed) -> Array:
    """How many anchors each level (L,) of a picture has: those of a cell in each cell that a side begins."""
    anchors = Anchors(**fields)
    cells = [math.prod(-(-side // 2**i) for side in size) for i in range(anchors.min_level, anchors.max_level + 1)]
    return np.array(cells, np.float64) * anchors.per_cell


def changed_anchors(config: Any, preset: Any) -> Changed:
    """What of the anchors a config has otherwise than its preset, by name; a recorded one says the scale alone."""
    said = {name: getattr(config, name) for name in Anchors._fields if hasattr(config, name)}
    return {name: value for name, value in said.items() if value != getattr(preset, name)}
