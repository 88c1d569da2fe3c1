"""Where the pixels of maps lie in rows (R,C): map by map, or in tiles of m x m pixels, as Winograd's transforms write.

An address is the number of a row; `addresses` (B,h,w) are those of all pixels of a level.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def as_rows(x: Tensor) -> Tensor:
    """A map (B,C,H,W) in channels last as rows (B*H*W,C), without a copy."""
    return x.permute(0, 2, 3, 1).flatten(0, 2)


def as_map(rows: Tensor, addresses: Tensor) -> Tensor:
    """The pixels at addresses (B,h,w) as a map (B,C,h,w) in channels last."""
    return rows[addresses].permute(0, 3, 1, 2)


def map_addresses(batch: int, height: int, width: int) -> Tensor:
    """Addresses of a map whose rows lie as `as_rows` gives them."""
    return torch.arange(batch * height * width).view(batch, height, width)


def tile_addresses(batch: int, height: int, width: int, m: int) -> Tensor:
    """Addresses of a map whose rows lie tile by tile; those at its lower and right border may reach beyond it."""
    down, across = tiles_along(height, m), tiles_along(width, m)
    tiles = torch.arange(batch * down * across * m * m).view(batch, down, across, m, m)
    return tiles.transpose(2, 3).reshape(batch, down * m, across * m)[:, :height, :width]


def tiles_along(side: int, m: int) -> int:
    """How many tiles a side of so many pixels has."""
    return -(-side // m)


def windows(addresses: Tensor, m: int) -> Tensor:
    """The window of each tile ((m+2)^2,T): its pixels and one more on each side; -1 outside of the map."""
    height, width = addresses.shape[1:]
    below, right = tiles_along(height, m) * m - height, tiles_along(width, m) * m - width
    padded = F.pad(addresses, (1, right + 1, 1, below + 1), value=-1)
    return padded.unfold(1, m + 2, m).unfold(2, m + 2, m).reshape(-1, (m + 2) ** 2).T


def joined(levels: Sequence[Tensor], rows: Sequence[int]) -> list[Tensor]:
    """Addresses of each level, once the rows of all levels lie one after the other; `rows` are how many each has."""
    starts = [sum(rows[:i]) for i in range(len(rows))]
    return [level + start for level, start in zip(levels, starts, strict=True)]
