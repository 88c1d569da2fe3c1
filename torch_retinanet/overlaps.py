"""Which box each anchor fits best, without a table of all anchors and all boxes.

The answers are those of the table of `boxes.box_iou`, bit for bit: the same arithmetic, on the pairs that can overlap.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from torch_retinanet.boxes import box_area

PAIRS = {"cpu": 2**18}
"""Pairs of a box and an anchor looked at together, by the kind of device: on a CPU what its cache holds."""

MOST_PAIRS = 2**24
"""The same on other devices, which are slow to start and quick to compute; it keeps their memory in bounds."""

CHUNK = 1024
"""Anchors that lie one after another, which a box can pass over together."""


class Best(NamedTuple):
    """What was found for each anchor (N,).

    Attributes:
        iou: the IoU with the box that it fits best.
        box: that box, of several the first; the first of all where none overlaps the anchor.
        forced: whether it is the best anchor of any box, or one of several.
        own: of the boxes whose best anchor it is the last, where that is asked for.
    """

    iou: Tensor
    box: Tensor
    forced: Tensor
    own: Tensor


class Overlaps:
    """Finds the best boxes of anchors xyxy (N,4), picture by picture."""

    def __init__(self, anchors_xyxy: Tensor) -> None:
        self.edges = anchors_xyxy.t().contiguous()  # (4,N)
        left, top, right, bottom = self.edges
        self.areas = (right - left) * (bottom - top)
        kind = anchors_xyxy.device.type
        self.at_once = max(1, PAIRS.get(kind, MOST_PAIRS) // max(1, len(anchors_xyxy)))
        self.can_look = kind in PAIRS  # elsewhere a look at values waits for the device
        if self.can_look:
            parts = list(zip(*(torch.split(self.edges[i], CHUNK) for i in (1, 3)), strict=True))
            self.tops = torch.stack([top.amin() for top, _ in parts])
            self.bottoms = torch.stack([bottom.amax() for _, bottom in parts])

    def best(self, boxes_xyxy: Tensor, *, force: bool, own: bool) -> Best:
        """What fits each anchor best of boxes (G,4), G from 0.

        Without `force` no box looks for its best anchors, and without `own` they are not told whose they are.
        """
        count, place = self.edges.shape[1], boxes_xyxy.device
        iou, box = self.areas.new_zeros(count), torch.zeros(count, dtype=torch.int64, device=place)
        best = Best(iou, box, torch.zeros_like(box, dtype=torch.bool), torch.zeros_like(box) if own else box)
        blocks = torch.split(boxes_xyxy, self.at_once) if len(boxes_xyxy) else ()
        for i, (boxes, runs) in enumerate(zip(blocks, self._runs(boxes_xyxy, len(blocks)), strict=True)):
            tables, start = [self._table(boxes, run) for run in runs], i * self.at_once
            for table, run in zip(tables, runs, strict=True):
                _take_better(best, table, run, start)
            if force and tables:
                _take_forced(best, tables, runs, start, own=own)
        return best

    def _runs(self, boxes_xyxy: Tensor, blocks: int) -> list[list[slice]]:
        """For each block of boxes the anchors that can overlap one of them, as runs: by their heights in the picture.

        The anchors of a level lie row by row, so that a box meets a run or two of each level.
        """
        everything = slice(0, self.edges.shape[1])
        if not self.can_look:
            return [[everything]] * blocks
        meets = (self.bottoms > boxes_xyxy[:, 1:2]) & (self.tops < boxes_xyxy[:, 3:4])  # (G,chunks)
        found: list[list[slice]] = []
        for block in torch.split(meets, self.at_once) if blocks else ():
            change = F.pad(block.any(dim=0).byte(), (1, 1)).diff().nonzero().squeeze(1) * CHUNK
            edges = change.clamp(max=everything.stop).tolist()
            found.append([slice(*run) for run in zip(edges[::2], edges[1::2], strict=True)])
        return found

    def _table(self, boxes_xyxy: Tensor, run: slice) -> Tensor:
        """The IoU (G,n) of boxes (G,4) with a run of n anchors, as `boxes.box_iou` has it."""
        left, top, right, bottom = self.edges[:, run]
        of_left, of_top, of_right, of_bottom = boxes_xyxy.unsqueeze(-1).unbind(1)
        width = torch.minimum(right, of_right).sub_(torch.maximum(left, of_left)).clamp_(min=0)
        height = torch.minimum(bottom, of_bottom).sub_(torch.maximum(top, of_top)).clamp_(min=0)
        intersection = width.mul_(height)
        union = (box_area(boxes_xyxy).unsqueeze(-1) + self.areas[run]).sub_(intersection)
        return torch.where(union > 0, intersection.div_(union), 0)


def _take_better(best: Best, table: Tensor, run: slice, start: int) -> None:
    """Gives a run of anchors the boxes of a table (G,n) that fit them better, the first of which has a number."""
    iou, box = table.max(dim=0)
    better = iou > best.iou[run]
    best.box[run] = torch.where(better, box + start, best.box[run])
    best.iou[run] = torch.maximum(best.iou[run], iou)


def _take_forced(best: Best, tables: Sequence[Tensor], runs: Sequence[slice], start: int, *, own: bool) -> None:
    """Marks the best anchors of the boxes of some tables, the first of which has a number."""
    of_box = torch.stack([table.amax(dim=1) for table in tables]).amax(dim=0).unsqueeze(-1)
    numbers = torch.arange(start, start + len(of_box), device=of_box.device).unsqueeze(-1)
    for table, run in zip(tables, runs, strict=True):
        match = (table == of_box) & (of_box > 0)
        best.forced[run] |= match.any(dim=0)
        if own:
            best.own[run] = torch.maximum(best.own[run], (match * numbers).amax(dim=0))
