"""The anchors of the keras.io example; mirrors `torch_retinanet/anchors.py`.

Lin et al., Focal Loss for Dense Object Detection (2017), section 4: three ratios times three scales on the levels P3 to
P7. In this example a ratio is width over height, and a centre stands in the middle of its cell.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_reference.errors import InputError

ASPECT_RATIOS = (0.5, 1.0, 2.0)
"""Width over height."""

SCALES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
"""What a level's side is multiplied by."""

MIN_LEVEL, MAX_LEVEL = 3, 7
"""The finest and the coarsest level; level i has a cell each 2**i pixels, 8 at P3 to 128 at P7."""

ANCHOR_SCALE = 4.0
"""The side of a square anchor in strides: 32 pixels at P3, 512 at P7; one of another ratio has its area."""


class AnchorGenerator:
    """Where the anchors of a picture stand.

    Args:
        dtype: the precision of anchors; by default that of Keras at this moment, `keras.config.floatx()`.
        anchor_scale: the side of a level's smallest square anchor, in strides.
        anchor_scales: what that side is multiplied by, for each of a cell's sizes.
        anchor_ratios: width over height, for each of a cell's forms.
        anchor_sizes: the side of each level's smallest square anchor in pixels, in place of `anchor_scale`.
        min_level: the finest level, 2 or 3.
        max_level: the coarsest level, 5, 6 or 7.

    Raises:
        InputError: for an `anchor_scale`, or one of the scales, ratios or sizes, that is no number above 0; for other
            levels, or not as many sizes as levels.
    """

    def __init__(
        self,
        dtype: str | None = None,
        anchor_scale: float = ANCHOR_SCALE,
        anchor_scales: Sequence[float] = SCALES,
        anchor_ratios: Sequence[float] = ASPECT_RATIOS,
        anchor_sizes: Sequence[float] = (),
        min_level: int = MIN_LEVEL,
        max_level: int = MAX_LEVEL,
    ) -> None:
        check_anchors(anchor_scale, anchor_scales, anchor_ratios)
        check_levels(min_level, max_level, anchor_sizes)
        self.dtype, self.anchor_scale = dtype or keras.config.floatx(), anchor_scale
        self.anchor_scales, self.anchor_ratios = tuple(anchor_scales), tuple(anchor_ratios)
        self.anchor_sizes, self.min_level, self.max_level = tuple(anchor_sizes), min_level, max_level

    def get_config(self) -> dict[str, Any]:
        """The arguments but the precision."""
        of_cell = ("anchor_scale", "anchor_scales", "anchor_ratios", "anchor_sizes")
        return {name: getattr(self, name) for name in (*of_cell, "min_level", "max_level")}

    def get_anchors(self, image_height: Any, image_width: Any) -> Any:
        """Anchors (N,4) in xywh, in pixels of a picture whose sides are whole numbers, or tensors of them.

        Levels follow each other, P3 to P7; within a level the cells of a row, row by row; within a cell the ratios, and
        within a ratio the scales. A level has a cell for each stride that a side begins.
        """
        strides = [2**level for level in range(self.min_level, self.max_level + 1)]
        sides = self.anchor_sizes or [self.anchor_scale * stride for stride in strides]
        levels = [
            self._level_anchors(-(-image_height // stride), -(-image_width // stride), stride, side)
            for stride, side in zip(strides, sides, strict=True)
        ]
        return ops.concatenate(levels, axis=0)

    def _level_anchors(self, rows: Any, columns: Any, stride: int, side: float) -> Any:
        sides = cell_sizes(side, self.anchor_scales, self.anchor_ratios)
        sizes = ops.convert_to_tensor(sides, dtype=self.dtype)
        y = (ops.arange(rows, dtype=self.dtype) + 0.5) * stride
        x = (ops.arange(columns, dtype=self.dtype) + 0.5) * stride
        shape = (rows, columns, len(sides))
        centre_y, centre_x = ops.broadcast_to(y[:, None, None], shape), ops.broadcast_to(x[None, :, None], shape)
        widths, heights = ops.broadcast_to(sizes[:, 0], shape), ops.broadcast_to(sizes[:, 1], shape)
        return ops.reshape(ops.stack([centre_x, centre_y, widths, heights], axis=-1), (-1, 4))


def check_anchors(anchor_scale: float, anchor_scales: Sequence[float], anchor_ratios: Sequence[float]) -> None:
    """Refuse anchors without extent, or without end, and none at all."""
    given = {"anchor_scale": [anchor_scale], "anchor_scales": anchor_scales, "anchor_ratios": anchor_ratios}
    for name, numbers in given.items():
        if not numbers:
            raise InputError(f"{name}: {numbers!r} must have a number or more")
        for number in numbers:
            if not isinstance(number, int | float) or not 0 < number < float("inf"):
                raise InputError(f"{name}: {number!r} must be a number above 0")


def check_levels(min_level: int, max_level: int, anchor_sizes: Sequence[float]) -> None:
    """Refuse levels that the pyramid does not have, and sizes that are not one for each."""
    for name, value, allowed in (("min_level", min_level, (2, 3)), ("max_level", max_level, (5, 6, 7))):
        if value not in allowed:
            raise InputError(f"{name}: {value!r} must be one of {', '.join(map(str, allowed))}")
    levels = max_level - min_level + 1
    if len(anchor_sizes) not in (0, levels):
        raise InputError(f"anchor_sizes: {anchor_sizes!r} must have a number for each of {levels} levels")
    for number in anchor_sizes:
        if not isinstance(number, int | float) or not 0 < number < float("inf"):
            raise InputError(f"anchor_sizes: {number!r} must be a number above 0")


def cell_sizes(side: float, scales: Sequence[float] = SCALES, ratios: Sequence[float] = ASPECT_RATIOS) -> np.ndarray:
    """Width and height (A,2) of a cell's anchors, in pixels and float64, ratio by ratio and in each scale by scale."""
    heights = [np.sqrt(side**2 / ratio) for ratio in ratios]
    sizes = [(scale * side**2 / height, scale * height) for height in heights for scale in scales]
    return np.array(sizes, dtype=np.float64)
