"""Heads by Winograd's way: the tiles of all levels in one product, and boxes only where a class is found."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from torch_retinanet.heads import Head
from torch_retinanet.inference.cells import joined, tile_addresses, tiles_along, windows
from torch_retinanet.inference.folding import Folded, folded
from torch_retinanet.inference.plain import is_plain
from torch_retinanet.inference.pyramid import Level, RowLayout
from torch_retinanet.inference.way import InferenceWay
from torch_retinanet.inference.winograd import WinogradConv

MOST = 0.8
"""The share of tiles from which on boxes are predicted on all of them."""

MARGIN = 1e-3
"""How much below the threshold a logit may be and still count as found: scores that round up are not lost."""


@dataclass(frozen=True)
class TileTables:
    """Where pixels lie, for levels of given sizes.

    Attributes:
        first: windows in the rows of the levels ((m+2)^2,T).
        inner: windows in rows that lie tile by tile.
        cells: the row of each cell of each level, (B,h,w) each, where rows lie tile by tile.
        inside: which rows are pixels of a level (R,), and not beyond its border.
        grids: B, and the tiles down and across, of each level.
    """

    first: Tensor
    inner: Tensor
    cells: list[Tensor]
    inside: Tensor
    grids: list[tuple[int, int, int]]


@lru_cache(maxsize=16)
def tile_tables(places: Sequence[RowLayout], m: int) -> TileTables:
    """The tables of levels that lie at these places."""
    grids = [(p.batch, tiles_along(p.height, m), tiles_along(p.width, m)) for p in places]
    read = [p.addresses for p in places]
    first = joined(
        read,
        [
            p.batch * p.height * p.width if not p.tile else math.prod(g) * p.tile**2
            for p, g in zip(places, grids, strict=True)
        ],
    )
    counts = [math.prod(grid) * m * m for grid in grids]
    cells = joined([tile_addresses(p.batch, p.height, p.width, m) for p in places], counts)
    inside = torch.zeros(sum(counts), dtype=torch.bool)
    for level in cells:
        inside[level.flatten()] = True
    windows_of = [torch.cat([windows(level, m) for level in levels], dim=1).contiguous() for levels in (first, cells)]
    return TileTables(windows_of[0], windows_of[1], cells, inside, grids)


class TiledHead:
    """A head without norm; from rows of all levels to its outputs, tile by tile."""

    def __init__(self, convs: Sequence[Folded], way: InferenceWay) -> None:
        last = len(convs) - 1
        self.convs = [WinogradConv(conv, way.tile, way.dtype, relu=i < last) for i, conv in enumerate(convs)]

    def __call__(self, rows: Tensor, first: Tensor, inner: Tensor) -> Tensor:
        """Rows (R,C) of levels to those of tiles (T*m*m,K)."""
        for conv in self.convs:
            rows, first = conv(rows, first), inner
        return rows


class TiledHeads:
    """Both heads of a network on all levels at once."""

    def __init__(self, cls_head: Sequence[Folded], box_head: Sequence[Folded], way: InferenceWay) -> None:
        self.cls_head, self.box_head = TiledHead(cls_head, way), TiledHead(box_head, way)
        self.m = way.tile
        self.rings = math.ceil((len(box_head) - 1) / self.m)

    def __call__(self, levels: Sequence[Level], above: float | None = None) -> tuple[list[Tensor], list[Tensor]]:
        """Outputs of the class head and the box head for each level, (B,h,w,K) and (B,h,w,A*4).

        Args:
            levels: what the heads look at.
            above: the score from which on boxes are needed, by default all; where no class of a cell has it, its
                boxes are zeros, or any values beside cells that have it.
        """
        tables = tile_tables(tuple(level.place for level in levels), self.m)
        rows = torch.cat([level.rows for level in levels])
        scores = self.cls_head(rows, tables.first, tables.inner)
        boxes = self._boxes(rows, tables, None if above is None else self._needed(scores, tables, above))
        return [scores[cells] for cells in tables.cells], [boxes[cells] for cells in tables.cells]

    def _needed(self, scores: Tensor, tables: TileTables, above: float) -> Tensor | None:
        """The tiles that boxes of cells above a score depend on (S,); `None` where they are most of them."""
        least = torch.logit(torch.tensor(above, dtype=torch.float64)).item() - MARGIN
        found = (scores.amax(dim=1) > least) & tables.inside
        tiles, needed = found.view(-1, self.m**2).any(dim=1), []
        sizes = [math.prod(grid) for grid in tables.grids]
        for level, grid in zip(torch.split(tiles, sizes), tables.grids, strict=True):
            around = F.max_pool2d(level.view(grid).float(), 2 * self.rings + 1, stride=1, padding=self.rings)
            needed.append(around.flatten() > 0)
        chosen = torch.cat(needed).nonzero().squeeze(1)
        return chosen if len(chosen) <= MOST * len(tiles) else None

    def _boxes(self, rows: Tensor, tables: TileTables, tiles: Tensor | None) -> Tensor:
        """What the box head gives on all tiles, or on some of them and zeros elsewhere."""
        if tiles is None:
            return self.box_head(rows, tables.first, tables.inner)
        filters = len(self.box_head.convs[-1].bias)
        boxes = rows.new_zeros(tables.first.shape[1], self.m**2, filters)
        if len(tiles):
            found = self.box_head(rows, tables.first[:, tiles], self._among(tables.inner, tiles))
            boxes[tiles] = found.view(len(tiles), self.m**2, filters)
        return boxes.flatten(0, 1)

    def _among(self, inner: Tensor, tiles: Tensor) -> Tensor:
        """The windows of some tiles in rows of these tiles alone; what lies in others is -1."""
        place = inner.new_full((inner.shape[1] + 1,), -1)
        place[tiles] = torch.arange(len(tiles))
        read = inner[:, tiles]
        tile = place[read.div(self.m**2, rounding_mode="floor")]  # -1, which is no pixel, finds the last place: -1
        return torch.where(tile >= 0, tile * self.m**2 + read % self.m**2, -1)


def plain_convs(head: Head) -> list[Folded] | None:
    """The convolutions of a head that has no norm and nothing of the user's own, else `None`."""
    *tower, last = head
    kinds = [[type(layer).__name__ for layer in block.children()] for block in tower]
    if any(kind != ["Conv2d", "ReLU"] for kind in kinds) or not is_plain(head):
        return None
    return [*(folded(next(iter(block.children()))) for block in tower), folded(last)]
