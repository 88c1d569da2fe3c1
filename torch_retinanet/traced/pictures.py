"""`prepare` of `torch_retinanet/preprocess.py` for pictures of any size, as operations that every runtime has.

A pixel of the batch that the network is fed is computed from four pixels of the picture, found by their rows and
columns: resizing and padding are one step, and no runtime's own resizing takes part.
"""

from typing import NamedTuple, cast

import torch
from torch import Tensor

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.preprocess import from_0_to_255
from torch_retinanet.traced.sizes import TracedSize, traced_size


class Fed(NamedTuple):
    """What the network is fed, and what takes its boxes back.

    Attributes:
        images: (B,C,h,w), resized, normalised and padded.
        border: height and width at which boxes are cut off, as float32 tensors without axes.
        returns: what boxes are divided by, likewise.
        offsets: pixels above and left of the picture, likewise.
    """

    images: Tensor
    border: tuple[Tensor, Tensor]
    returns: tuple[Tensor, Tensor]
    offsets: tuple[Tensor, Tensor] | None = None


class Along(NamedTuple):
    """Where the pixels (n,) of one axis of the batch come from.

    Attributes:
        first, second: the two places in the picture between which each lies.
        share: how far it lies from the first.
        shown: whether the picture reaches there.
        lit: for each of the two whether it is in the picture, where black surrounds it.
    """

    first: Tensor
    second: Tensor
    share: Tensor
    shown: Tensor
    lit: tuple[Tensor, Tensor] | None = None


def feed(images: Tensor, config: RetinaNetConfig, *, doubles: bool = True) -> Fed:
    """Pictures (B,C,H,W) of bytes or from 0 to 1 as the network is fed; with `doubles` the runtime has float64."""
    images = from_0_to_255(images)
    if config.padding_place == "around":
        return _feed_around(images, config)
    height, width = images.shape[-2:]
    size = traced_size(height, width, config, doubles=doubles)
    sides = [_side(times) * config.pad_multiple for times in size.multiples]
    rows, columns = (
        _along(side, old, new, size, config) for side, old, new in zip(sides, (height, width), size.pixels, strict=True)
    )
    shown = rows.shown[:, None] & columns.shown
    fed = _between(images, rows, columns)
    if config.padding_value == "black":
        fed = _normalised(torch.where(shown, fed, 0), config)
    else:
        fed = torch.where(shown, _normalised(fed, config), 0)
    padded = tuple(torch.scalar_tensor(side, dtype=torch.float32) for side in sides)
    at_picture = (size.pixels[0].float(), size.pixels[1].float())
    border = (padded[0], padded[1]) if config.clip_at == "padded" else at_picture
    return Fed(fed, border, size.returns)


def _side(times: Tensor) -> int:
    """How often `pad_multiple` fits into a side, as a number that sizes can be made of."""
    number = cast("int", times.item())
    torch._check(number >= 1)
    return number


def _along(side: int, old: int, new: Tensor, size: TracedSize, config: RetinaNetConfig) -> Along:
    """The pixels of an axis of `side`, of which `new` show the `old` pixels of the picture."""
    pixels = torch.arange(side)
    length = torch.scalar_tensor(old, dtype=torch.int64)
    at = _places(pixels, length, new, size, config)
    first = at.floor()
    share = (at - first).float()
    places = [torch.minimum(place.clamp(min=0), length - 1) for place in (first, first + 1)]
    if config.resize_edges == "mirror":
        mirrored = [_mirrored(place, length) for place in (first, first + 1)]
        places = [torch.where(size.is_line, *pair) for pair in zip(places, mirrored, strict=True)]
    return Along(places[0].long(), places[1].long(), share, pixels < new)


def _places(pixels: Tensor, old: Tensor, new: Tensor, size: TracedSize, config: RetinaNetConfig) -> Tensor:
    """Where the centres of pixels lie among the old ones, in the precision of the library that resizes."""
    number = torch.float64 if config.resize_library == "cv2" or config.resize_edges == "mirror" else torch.float32
    step = old.to(number) / new.to(number)
    if config.resize_library == "cv2" and config.resize_ratio == "uncut":
        step = 1 / size.ratio
    at = torch.where(size.kept, pixels.to(number), (pixels.to(number) + 0.5) * step - 0.5)
    return at.clamp(min=0) if config.resize_library == "torch" and config.resize_edges == "repeat" else at


def _mirrored(place: Tensor, old: Tensor) -> Tensor:
    """Places whose like beyond a border is the pixel before the last."""
    back = torch.minimum(place.abs(), 2 * (old - 1) - place.abs())
    return back.clamp(min=0)


def _between(images: Tensor, rows: Along, columns: Along) -> Tensor:
    """Pictures (B,C,h,w), along rows first: of two pixels the one, and a share of their difference."""
    left, right = images.index_select(3, columns.first), images.index_select(3, columns.second)
    if columns.lit is not None:
        left, right = (torch.where(lit, part, 0) for lit, part in zip(columns.lit, (left, right), strict=True))
    along = left + (right - left) * columns.share
    above, below = along.index_select(2, rows.first), along.index_select(2, rows.second)
    if rows.lit is not None:
        above, below = (torch.where(lit[:, None], part, 0) for lit, part in zip(rows.lit, (above, below), strict=True))
    return above + (below - above) * rows.share[:, None]


def _normalised(images: Tensor, config: RetinaNetConfig) -> Tensor:
    mean, std = (torch.tensor(values)[:, None, None] for values in (config.pixel_mean, config.pixel_std))
    scaled = (images - mean) / std
    return scaled[:, [2, 1, 0]] if config.channel_order == "bgr" else scaled


def _feed_around(images: Tensor, config: RetinaNetConfig) -> Fed:
    """Pictures in the middle of black squares, resized to a square of one size for all."""
    side = min(config.min_side, config.max_side)
    height, width = images.shape[-2:]
    number = torch.float32 if config.resize_rounding == "single" else torch.float64
    sides = [torch.scalar_tensor(old, dtype=torch.int64) for old in (height, width)]
    square = torch.maximum(*sides)
    rows, columns = (_around(side, old, square) for old in sides)
    ratio = torch.full((), side, dtype=number) / square.to(number)
    offsets = [((side - old.to(number) * ratio) / 2).floor().float() for old in sides]
    border = torch.full((), float(side))
    fed = _normalised(_between(images, rows, columns), config)
    return Fed(fed, (border, border), (ratio.float(), ratio.float()), (offsets[0], offsets[1]))


def _around(side: int, old: Tensor, square: Tensor) -> Along:
    """The pixels of an axis of `side` that shows `old` pixels with half the rest of a square before and after."""
    before = (square - old) // 2
    padded = old + 2 * before  # an odd rest is a pixel short of the square
    at = (torch.arange(side).float() + 0.5) * (padded.float() / side) - 0.5
    first = at.floor()
    places = [torch.minimum(place.clamp(min=0).long(), padded - 1) - before for place in (first, first + 1)]
    lit = [(place >= 0) & (place < old) for place in places]
    inside = [torch.minimum(place.clamp(min=0), old - 1) for place in places]
    return Along(inside[0], inside[1], at - first, torch.full_like(at, True, dtype=torch.bool), (lit[0], lit[1]))
