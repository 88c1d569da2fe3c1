"""The anchors of a cell, in numbers that both sides take; in both presets they are the same."""

from typing import Any, NamedTuple

SCALES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
RATIOS = (0.5, 1.0, 2.0)


class Anchors(NamedTuple):
    """The side of a level's smallest square anchor in strides, and the factors and ratios of a cell's anchors."""

    anchor_scale: float = 4.0
    anchor_scales: tuple[float, ...] = SCALES
    anchor_ratios: tuple[float, ...] = RATIOS

    @property
    def per_cell(self) -> int:
        """How many stand in a cell."""
        return len(self.anchor_scales) * len(self.anchor_ratios)


PUBLISHED = Anchors()
"""Those of both presets, nine a cell."""


def anchors_of(config: Any) -> Anchors:
    """Those of a config of either side, of which one that was recorded says the first number alone."""
    return Anchors(**{name: getattr(config, name) for name in Anchors._fields if hasattr(config, name)})
