"""A large picture as tiles that overlap: where they lie, and how detections of tiles become those of the picture.

Akyon et al., Slicing Aided Hyper Inference (2022, arXiv 2202.06934), cuts pictures so; here a detection belongs to the
tile that its centre is nearest to, so that an object smaller than the overlap is taken from a tile that shows it whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.errors import InputError
from torch_retinanet.postprocess import suppression

LEAST_TILE = 32
"""Pixels that a tile has at least."""

MOST_OVERLAP = 0.9
"""The largest share of a tile that the next one shows too."""

DOUBT = 1 / 8
"""The share of the overlap by which a centre may lie outside a tile's own part: two tiles see it a little apart."""


OUTSIDE = 0.5
"""What the score of a detection outside its tile's own part counts: the tile may show a part of the object alone."""


class Window(NamedTuple):
    """The part of a picture that a tile shows, in pixels from its left and upper edge."""

    left: int
    top: int
    right: int
    bottom: int

    def cut(self, picture: Tensor) -> Tensor:
        """That part of a picture (C,H,W), as a view."""
        return picture[..., self.top : self.bottom, self.left : self.right]


@dataclass(frozen=True)
class Tiling:
    """How pictures are cut: squares of `size` pixels, each of which shows a share `overlap` of the one beside it.

    Raises:
        InputError: for a tile below 32 pixels, and an overlap that is not from 0 to 0.9.
    """

    size: int
    overlap: float = 0.25

    def __post_init__(self) -> None:
        if self.size < LEAST_TILE:
            raise InputError(f"tile: {self.size!r} must be pixels, at least {LEAST_TILE}")
        if not 0 <= self.overlap <= MOST_OVERLAP:
            raise InputError(f"overlap: {self.overlap!r} must be a share of a tile, from 0 to {MOST_OVERLAP}")

    def windows(self, height: int, width: int) -> list[Window]:
        """The tiles of a picture, row by row. They have one size, and a picture smaller than it is one tile."""
        rows, columns = self._starts(height), self._starts(width)
        down, along = min(self.size, height), min(self.size, width)
        return [Window(left, top, left + along, top + down) for top in rows for left in columns]

    def _starts(self, length: int) -> list[int]:
        """Where tiles begin along a side, evenly: neighbours overlap by the share at least."""
        step = max(1, int(self.size * (1 - self.overlap)))
        count = 1 + max(0, -(-(length - self.size) // step))
        return [round(i * (length - self.size) / (count - 1)) for i in range(count)] if count > 1 else [0]


def merged(
    detections: Sequence[dict[str, Tensor]], windows: Sequence[Window], config: RetinaNetConfig
) -> dict[str, Tensor]:
    """The detections of a picture from those of its tiles, best first.

    A detection counts for the tile in whose own part its centre lies: own parts meet in the middle of overlaps. One a
    little outside counts where none of half its score stands for it. The limit `detections_per_picture` holds for each
    tile.

    Args:
        detections: of each tile `boxes` (M,4) xyxy in its own pixels, `labels` (M,) and `scores` (M,).
        windows: of the tiles.
        config: says by which IoU two detections are of one object, and whether classes count by themselves.
    """
    if len(windows) == 1:
        return detections[0]
    moved, outside, doubt = [], [], []
    for found, window, (own, allowed) in zip(detections, windows, _own_parts(windows), strict=True):
        boxes = found["boxes"] + found["boxes"].new_tensor([window.left, window.top] * 2)
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        part = boxes.new_tensor(own)
        moved.append(boxes)
        outside.append(torch.maximum(part[:2] - centres, centres - part[2:]).clamp(min=0).amax(dim=1))
        doubt.append(boxes.new_full((len(boxes),), allowed))
    far, boxes = torch.cat(outside), torch.cat(moved)
    labels, scores = (torch.cat([found[name] for found in detections]) for name in ("labels", "scores"))
    kept = (far <= torch.cat(doubt)).nonzero().squeeze(1)
    rank = scores[kept] * torch.where(far[kept] == 0, 1.0, OUTSIDE)
    kept = kept[suppression(config)(boxes[kept], rank, labels[kept], config.nms_iou)]
    kept = kept[scores[kept].sort(descending=True, stable=True).indices]
    return {"boxes": boxes[kept], "scores": scores[kept], "labels": labels[kept]}


def _own_parts(windows: Sequence[Window]) -> list[tuple[list[float], float]]:
    """Of each tile the part, xyxy, that is its own, and the pixels by which a centre may lie outside it."""
    columns = sorted({(window.left, window.right) for window in windows})
    rows = sorted({(window.top, window.bottom) for window in windows})
    across, down = _halves(columns), _halves(rows)
    parts = []
    for window in windows:
        left, right, doubt = across[window.left]
        top, bottom, other = down[window.top]
        parts.append(([left, top, right, bottom], min(doubt, other)))
    return parts


def _halves(spans: Sequence[tuple[int, int]]) -> dict[int, tuple[float, float, float]]:
    """Along a side, by where a tile begins: from where to where it is nearest, and what may be doubted."""
    middles = [(later[0] + earlier[1]) / 2 for earlier, later in pairwise(spans)]
    overlaps = [earlier[1] - later[0] for earlier, later in pairwise(spans)]
    edges = [float("-inf"), *middles, float("inf")]
    doubt = DOUBT * min(overlaps, default=float("inf"))
    return {span[0]: (edges[i], edges[i + 1], doubt) for i, span in enumerate(spans)}
