"""Annotations of the tiles of pictures: what is trained on where objects are small in large pictures."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from torch_retinanet.data.annotations import Annotations, Bools, Floats, Ints
from torch_retinanet.data.builder import NO_CLASS
from torch_retinanet.tiles import Tiling, Window

LEAST_SHARE = 0.5
"""The share of an object that a tile must show to be one of its objects; what shows less of it is ignored there."""


class _SeenTile(NamedTuple):
    """A tile of a picture, and the boxes of which it shows something: their indices, xyxy in it, which are ignored."""

    picture: int
    window: Window
    indices: Ints
    boxes: Floats
    ignored: Bools


def tiled(annotations: Annotations, tiling: Tiling, *, empty: float, seed: int) -> Annotations:
    """Annotations whose pictures are tiles of pictures, row by row, each with its window.

    An object that a tile shows to half at least is cut off at the tile's border; of what it shows less, the part that
    it shows is ignored.

    Args:
        annotations: screened, so that they know the sizes of their pictures.
        tiling: how pictures are cut.
        empty: the share of tiles without an object that is kept.
        seed: of the draw of those.
    """
    sizes = enumerate(annotations.sizes.tolist())
    tiles = [_tile(annotations, i, window) for i, size in sizes for window in tiling.windows(*size)]
    draws = np.random.default_rng(seed).random(len(tiles))
    kept = [tile for tile, draw in zip(tiles, draws, strict=True) if not tile.ignored.all() or draw < empty]
    return _of_tiles(annotations, kept)


def _tile(annotations: Annotations, picture: int, window: Window) -> _SeenTile:
    start, end = annotations.offsets[picture : picture + 2]
    boxes, limits = annotations.boxes[start:end], np.array(window, dtype=np.float64)
    cut = np.clip(boxes, np.tile(limits[:2], 2), np.tile(limits[2:], 2))
    shown, whole = (cut[:, 2:] - cut[:, :2]).prod(axis=1), (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    indices = np.flatnonzero(shown > 0)
    ignored = annotations.ignored[start:end] | (shown < LEAST_SHARE * whole)
    return _SeenTile(picture, window, start + indices, (cut - np.tile(limits[:2], 2))[indices], ignored[indices])


def _of_tiles(annotations: Annotations, tiles: Sequence[_SeenTile]) -> Annotations:
    owners = [tile.picture for tile in tiles]
    indices = np.concatenate([np.zeros(0, dtype=np.int64), *(tile.indices for tile in tiles)])
    ignored = np.concatenate([np.zeros(0, dtype=bool), *(tile.ignored for tile in tiles)])
    sides = np.array([tile.window for tile in tiles], dtype=np.int64).reshape(-1, 4)
    return replace(
        annotations,
        pictures=[annotations.pictures[owner] for owner in owners],
        files=[annotations.files[owner] for owner in owners],
        picture_ids=(),
        windows=[tile.window for tile in tiles],
        sizes=np.stack([sides[:, 3] - sides[:, 1], sides[:, 2] - sides[:, 0]], axis=1),
        as_stored=annotations.as_stored[np.array(owners, dtype=np.int64)],
        boxes=np.concatenate([np.zeros((0, 4)), *(tile.boxes for tile in tiles)]),
        labels=np.where(ignored, NO_CLASS, annotations.labels[indices]),
        ignored=ignored,
        areas=np.full(len(indices), np.nan),
        places=annotations.places[indices],
        offsets=np.concatenate([[0], np.cumsum([len(tile.indices) for tile in tiles], dtype=np.int64)]),
    )
