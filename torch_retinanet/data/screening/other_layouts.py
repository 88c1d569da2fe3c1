"""Boxes that as a whole cannot be what the format says: of another layout, shares, or of pictures of another size.

A file is judged by all of its boxes together: how many of them lie in their pictures, as they are read and as every
other layout would read them.
"""

import os
from collections.abc import Sequence
from typing import NoReturn

import numpy as np

from torch_retinanet.data.annotations import Annotations, Bools, Floats
from torch_retinanet.data.box_layouts import (
    BOX_LAYOUTS,
    RELATIVE,
    BoxLayout,
    box_sides,
    in_pixels,
    is_relative,
    to_xyxy,
)
from torch_retinanet.data.builder import NO_CLASS
from torch_retinanet.errors import InputError

SLACK = 2.0, 0.02
"""Pixels, or the share of a side, by which a box may lie over the border."""

WRONG = 0.1
"""The share of boxes that lie wrong from which on a file is doubted."""

LIES_WRONG = 2
"""Boxes that must lie wrong, as one alone may be a slip."""

RIGHT = 0.99
"""The share of boxes that must lie in their pictures in another layout."""

PERCENT = 100
"""What shares are multiplied by where they are percent."""

SMALL = 0.5
"""The share of the longest side up to which numbers are taken for percent, though they may be pixels too."""

FAR = 0.1
"""The share of a side, or of 100, that the largest number must be, if the numbers are pixels, or percent."""

BEYOND = 0.2
"""The share of boxes with their centres outside of the picture from which on they are of pictures of another size."""

ENOUGH, REACHED = 10, 0.9
"""Boxes that show how far they reach, and the share of an annotated size that they must reach."""


def refuse_other_layouts(annotations: Annotations, annotated: Annotations) -> None:
    """Refuse boxes that are of another layout or of pictures of another size, unless the caller has named the layout.

    Args:
        annotations: with the sizes of the pictures themselves.
        annotated: the same with the sizes that the annotations say.

    Raises:
        InputError: with the flag that reads them right.
    """
    if annotations.layout_is_given:
        return
    objects = np.isfinite(annotations.boxes).all(axis=1) & (annotations.labels != NO_CLASS)
    sides = box_sides(annotations)[objects]
    boxes = in_pixels(annotations).boxes[objects]
    if not len(boxes):
        return
    numbers = _numbers(boxes, annotations.layout) / (sides if is_relative(annotations.layout) else 1.0)
    wrong = ~_fits(numbers, annotations.layout, sides)
    doubted = wrong.mean() >= WRONG
    percent = doubted and _are_percent(numbers, annotations.layout, sides)
    if percent and numbers.max() <= SMALL * sides.max():
        _refuse_percent(annotations, wrong, numbers)
    if doubted and (fitting := _fitting(numbers, annotations.layout, sides, int(wrong.sum()))):
        _refuse_layout(annotations, wrong, numbers, fitting)
    if percent:
        _refuse_percent(annotations, wrong, numbers)
    sizes = dict(zip(annotated.pictures, annotated.sizes.tolist(), strict=True))
    said = np.array([sizes[path] for path in annotations.pictures], dtype=np.float64).reshape(-1, 2)
    said = said[annotations.owners()][objects][:, [1, 0, 1, 0]]
    if (doubted and _lie_beyond(boxes, sides)) or _are_of_annotated_size(boxes, sides, said):
        _refuse_size(annotations, boxes, sides, said)


def _numbers(boxes: Floats, layout: BoxLayout) -> Floats:
    """The numbers (T,4) of a layout that boxes (T,4) xyxy have; the reverse of `to_xyxy`."""
    first, second = boxes[:, :2], boxes[:, 2:]
    if layout.startswith("xywh"):
        return np.concatenate([first, second - first], axis=1)
    if layout.startswith("cxcywh"):
        return np.concatenate([(first + second) / 2, second - first], axis=1)
    return boxes


def _fits(numbers: Floats, layout: BoxLayout, sides: Floats) -> Bools:
    """Which boxes (T,) lie in their pictures, read in a layout; none in pixels that lies within the first one."""
    corners = to_xyxy(numbers, layout) * (sides if is_relative(layout) else 1.0)
    slack = np.maximum(SLACK[0], SLACK[1] * sides)
    inside = (corners >= -slack) & (corners <= sides + slack)
    extended = corners[:, 2:] > corners[:, :2]
    whole = is_relative(layout) | (numbers.max(axis=1) > 1)
    fits: Bools = inside.all(axis=1) & extended.all(axis=1) & whole
    return fits


def _fitting(numbers: Floats, layout: BoxLayout, sides: Floats, wrong: int) -> list[BoxLayout]:
    """The layouts in which nearly all boxes lie in their pictures; the own one in shares alone, if it is of them."""
    pixels = wrong >= LIES_WRONG and numbers.max() >= FAR * sides.max()
    others = [other for other in BOX_LAYOUTS if other != layout and (is_relative(other) or pixels)]
    shares = {other: float(_fits(numbers, other, sides).mean()) for other in others}
    best = max(shares.values())
    fitting = [other for other, share in shares.items() if share == best >= RIGHT]
    own = [other for other in fitting if other == layout + RELATIVE]
    return own or fitting


def _are_percent(numbers: Floats, layout: BoxLayout, sides: Floats) -> bool:
    """Whether nearly all boxes that should be shares lie in their pictures as shares in percent."""
    far = is_relative(layout) and numbers.max() >= FAR * PERCENT
    return bool(far and _fits(numbers / PERCENT, layout, sides).mean() >= RIGHT)


def _lie_beyond(boxes: Floats, sides: Floats) -> bool:
    """Whether many boxes have their centres outside of their pictures."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    beyond = ((centres < 0) | (centres > sides[:, :2])).any(axis=1)
    return bool(beyond.sum() >= LIES_WRONG and beyond.mean() >= BEYOND)


def _are_of_annotated_size(boxes: Floats, sides: Floats, said: Floats) -> bool:
    """Whether boxes lie in the size that the annotations say, and not in the picture, or reach as far as that size."""
    differs = (said > 0).all(axis=1) & ((said < sides * REACHED) | (said * REACHED > sides)).all(axis=1)
    if not differs.all() or not (boxes <= said + SLACK[0]).all():
        return False
    outside = (boxes > sides * (1 + SLACK[1]) + SLACK[0]).any(axis=1).sum()
    reach = (boxes[:, 2:] / said[:, 2:]).max(axis=0)
    smaller = bool((said < sides).all() and len(boxes) >= ENOUGH and (reach >= REACHED).all())
    return bool(outside >= LIES_WRONG) or smaller


def _refuse_layout(annotations: Annotations, wrong: Bools, numbers: Floats, fitting: Sequence[BoxLayout]) -> NoReturn:
    found = f"{int(wrong.sum()):,} of {len(wrong):,} boxes cannot be {annotations.layout}"
    kind = (
        f"shares of the picture (none above {numbers.max():.4g})"
        if is_relative(fitting[0])
        else "boxes of another kind"
    )
    flags = " or ".join(f"`--boxes {layout}`" for layout in fitting)
    raise InputError(
        f"{_where(annotations)}: {found}, and all lie in their pictures as {kind}; {flags} reads them so, "
        f"`retinanet browse` shows how they lie, and `--boxes {annotations.layout}` takes them as they are"
    )


def _refuse_percent(annotations: Annotations, wrong: Bools, numbers: Floats) -> NoReturn:
    found = f"{int(wrong.sum()):,} of {len(wrong):,} boxes cannot be {annotations.layout}"
    raise InputError(
        f"{_where(annotations)}: {found}, and lie in their pictures as percent (none above {numbers.max():.4g}); "
        f"divide them by {PERCENT}, and `--boxes {annotations.layout}` takes them as they are"
    )


def _refuse_size(annotations: Annotations, boxes: Floats, sides: Floats, said: Floats) -> NoReturn:
    outside = (boxes > sides * (1 + SLACK[1]) + SLACK[0]).any(axis=1)
    first = int(outside.argmax())
    is_said = bool((said[first] > 0).all() and (said[first] != sides[first]).any())
    size = f"pictures of {_by(said[first])} are annotated, " if is_said else ""
    found = f"{int(outside.sum()):,} of {len(boxes):,} boxes reach beyond their pictures"
    raise InputError(
        f"{_where(annotations)}: {size}{found}, the first to {boxes[first, 2]:.6g}, {boxes[first, 3]:.6g} in "
        f"{_by(sides[first])}: they are of pictures of another size; `--images` names the folder of those, and "
        f"`--boxes {annotations.layout}` takes them as they are"
    )


def _by(sides: Floats) -> str:
    return f"{sides[0]:.6g}x{sides[1]:.6g}"


def _where(annotations: Annotations) -> str:
    """The file of the annotations, or the folder of all of them."""
    return os.path.commonpath(sorted(set(annotations.files)))
