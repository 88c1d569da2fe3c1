"""The sizes of `torch_retinanet/preprocess.py` as arithmetic on tensors, for pictures of any size.

Each number is a tensor without axes, so that no operation asks for its value while it is traced.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.traced.whole_sides import whole_sides


class TracedSize(NamedTuple):
    """How a picture is resized and padded; each pair is by height and width.

    Attributes:
        pixels: whole pixels after resizing, int64.
        multiples: how many times `pad_multiple` fits into the padded sides, int64.
        ratio: how many times larger the picture becomes, before its sides are cut.
        kept: whether the picture keeps its size, and is fed as it is.
        is_line: whether it is one pixel high or wide; nothing is mirrored at its borders then.
        returns: what detections are divided by on their way back.
    """

    pixels: tuple[Tensor, Tensor]
    multiples: tuple[Tensor, Tensor]
    ratio: Tensor
    kept: Tensor
    is_line: Tensor
    returns: tuple[Tensor, Tensor]


def traced_size(height: int, width: int, config: RetinaNetConfig, *, doubles: bool = True) -> TracedSize:
    """The sizes of pictures of `height` by `width`, which may be symbols; as `resized_size` and `padded_size`.

    Without `doubles`, whole pixels come out the same on a runtime that has no double precision.
    """
    number = torch.float32 if config.resize_rounding == "single" else torch.float64
    sides = tuple(torch.scalar_tensor(side, dtype=number) for side in (height, width))
    short, long = torch.minimum(*sides), torch.maximum(*sides)
    least = torch.full_like(short, config.min_side) if config.min_side else short
    ratio = torch.minimum(least / short, torch.full_like(long, config.max_side) / long)
    uncut = tuple(ratio * side for side in sides)
    pixels = [_whole(side, config.whole_pixels) for side in uncut]
    if not doubles and config.resize_rounding == "double" and config.min_side:
        limits, whole = (config.min_side, config.max_side), (sides[0].long(), sides[1].long())
        pixels = [p.double() for p in whole_sides(short.long(), long.long(), whole, limits, config.whole_pixels)]
    pixels = [side.clamp(min=1) for side in pixels]
    followed: Sequence[Tensor] = pixels if config.padded_from == "cut" else uncut
    padded_from = pixels if config.padded_from == "boxes_uncut" else followed
    multiples = tuple(
        _multiples(torch.maximum(p, f).double(), config) for p, f in zip(pixels, padded_from, strict=True)
    )
    scales = [f.double() / side.double() for f, side in zip(followed, sides, strict=True)]
    back = [ratio, ratio] if config.padded_from != "cut" else scales
    return TracedSize(
        (pixels[0].long(), pixels[1].long()),
        (multiples[0], multiples[1]),
        ratio.double(),
        (pixels[0] == sides[0].double()) & (pixels[1] == sides[1].double()),
        short == 1,
        (back[0].float(), back[1].float()),
    )


def _whole(side: Tensor, how: str) -> Tensor:
    """Whole pixels of a side; `WHOLE` of preprocess.py has the same for numbers, which it takes in double precision."""
    side = side.double()
    if how == "half_even":
        return side.round()
    return (side if how == "down" else side + 0.5).floor()


def _multiples(side: Tensor, config: RetinaNetConfig) -> Tensor:
    share = side / config.pad_multiple
    return ((share + 1).floor() if config.pad_always else share.ceil()).long()
