"""The boxes of COCO's `segmentation`: polygons, and masks as run lengths, plain or compressed.

The runs are those of background and object in turn, down the columns of a picture; compressed they are what
pycocotools writes, differences to the run two before in groups of 5 bits (https://github.com/cocodataset/cocoapi).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from torch_retinanet.data.annotations import Ints
from torch_retinanet.data.box_layouts import Box
from torch_retinanet.data.coco_values import numbers_of, whole_number_of
from torch_retinanet.data.formats.shapes import bounding_box

FIRST = 48
"""The code of the letter that stands for 0."""

BITS, MORE, SIGN = 5, 32, 16
"""Bits of a group, the mark of one that goes on, and the sign of the last one."""

LARGEST = 2**40
"""Pixels that no mask has more of."""

UNCHANGED = 3
"""Runs at the beginning that are written as they are."""


def outline_box(segmentation: Any) -> Box:
    """The box xyxy around all parts of a segmentation.

    Raises:
        ValueError: in a few words, for one that is none, or has no extent.
    """
    if isinstance(segmentation, Mapping):
        return _mask_box(segmentation)
    parts = segmentation if isinstance(segmentation, list) else []
    parts = parts if any(isinstance(part, list) for part in parts) else [parts]
    numbers = [number for part in parts for number in numbers_of(part)]
    if len(numbers) % 2:
        raise ValueError(f"outline with half a point: {len(numbers)} numbers")
    box = bounding_box(list(zip(numbers[::2], numbers[1::2], strict=True)))
    if not (box[2] > box[0] and box[3] > box[1]):
        raise ValueError("outline without extent")
    return box


def _mask_box(mask: Mapping[str, Any]) -> Box:
    size, counts = numbers_of(mask.get("size")), mask.get("counts")
    if not isinstance(counts, str | list):
        raise ValueError("mask without counts")
    height, width = (whole_number_of(side) for side in size) if len(size) == 2 else (0, 0)
    runs = _decompressed(counts) if isinstance(counts, str) else [whole_number_of(n) for n in counts]
    if not 0 < height * width <= LARGEST or not all(0 <= run <= height * width for run in runs):
        raise ValueError("mask that does not fit its size")
    ends: Ints = np.cumsum(runs, dtype=np.int64)
    if not len(ends) or ends[-1] > height * width:
        raise ValueError("mask that does not fit its size")
    last = ends[1::2] - 1
    first = ends[:-1:2][: len(last)]
    is_there = last >= first
    if not is_there.any():
        raise ValueError("mask without extent")
    first, last = first[is_there], last[is_there]
    whole = (first // height < last // height).any()
    top, bottom = (0, height - 1) if whole else (int((first % height).min()), int((last % height).max()))
    return float(first[0] // height), float(top), float(last[-1] // height + 1), float(bottom + 1)


def _decompressed(text: str) -> list[int]:
    runs: list[int] = []
    value = shift = 0
    for letter in text:
        group = ord(letter) - FIRST
        if not 0 <= group < 2 * MORE or shift > 60:
            raise ValueError("mask that is not whole")
        value |= (group % MORE) << shift
        shift += BITS
        if group & MORE:
            continue
        value -= (group & SIGN) << (shift - BITS + 1)
        runs.append(value + (runs[-2] if len(runs) >= UNCHANGED else 0))
        value = shift = 0
    return runs
