"""Which box each anchor fits best, without a table of all anchors and all boxes.

The answers are those of the table of `boxes.box_iou`, bit for bit: the same arithmetic, on the pairs that can overlap.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from torch_retinanet.boxes import box_area

PAIRS = {"cpu": 2**14}
"""Pairs of a box and an anchor looked at together, by the kind of device: on a CPU what its cache holds."""

MOST_PAIRS = 2**24
"""The same on other devices, which are slow to start and quick to compute; it keeps their memory in bounds."""

CHUNK = 64
"""Anchors that lie one after another, which a box can pass over together. The last chunk repeats the last anchor."""


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
        self.count, kind = len(anchors_xyxy), anchors_xyxy.device.type
        self.at_once = max(1, PAIRS.get(kind, MOST_PAIRS) // max(1, self.count))
        self.can_look = kind in PAIRS  # elsewhere a look at values waits for the device
        chunk = CHUNK if self.can_look else max(1, self.count)
        chunks = -(-self.count // chunk)
        filled = torch.cat([anchors_xyxy, anchors_xyxy[-1:].expand(chunks * chunk - self.count, 4)])
        edges = filled.view(chunks, chunk, 4).transpose(1, 2).contiguous()
        left, top, right, bottom = edges.unbind(1)
        self.numbers = torch.cat([edges, ((right - left) * (bottom - top)).unsqueeze(1)], dim=1)  # (chunks,5,chunk)
        if self.can_look:
            self.least, self.most = edges[:, :2].amin(dim=2), edges[:, 2:].amax(dim=2)  # (chunks,2)

    def best(self, boxes_xyxy: Tensor, *, force: bool, own: bool) -> Best:
        """What fits each anchor best of boxes (G,4), G from 0.

        Without `force` no box looks for its best anchors, and without `own` they are not told whose they are.
        """
        iou = torch.zeros_like(self.numbers[:, 0])
        box = torch.zeros_like(iou, dtype=torch.int64)
        best = Best(iou, box, torch.zeros_like(box, dtype=torch.bool), torch.zeros_like(box) if own else box)
        blocks = torch.split(boxes_xyxy, self.at_once) if len(boxes_xyxy) else ()
        for i, (boxes, near) in enumerate(zip(blocks, self._near(boxes_xyxy, len(blocks)), strict=True)):
            if len(near):
                table = self._table(boxes, near)
                _take_better(best, table, near, i * self.at_once)
                if force:
                    _take_forced(best, table, near, i * self.at_once, own=own)
        return Best(*(found.view(-1)[: self.count] for found in best))

    def _near(self, boxes_xyxy: Tensor, blocks: int) -> Sequence[Tensor]:
        """For each block of boxes the chunks (n,) with an anchor that can overlap one of them."""
        if not self.can_look or not blocks:
            return [torch.zeros(1, dtype=torch.int64, device=boxes_xyxy.device)] * blocks
        low, high = torch.split(boxes_xyxy.unsqueeze(1), 2, dim=2)
        meets = ((self.most > low) & (self.least < high)).all(dim=2)  # (G,chunks)
        of_blocks = torch.stack([block.any(dim=0) for block in torch.split(meets, self.at_once)])
        return torch.split(of_blocks.nonzero()[:, 1], of_blocks.sum(dim=1).tolist())

    def _table(self, boxes_xyxy: Tensor, near: Tensor) -> Tensor:
        """The IoU (G,n,chunk) of boxes (G,4) with the anchors of n chunks, as `boxes.box_iou` has it."""
        left, top, right, bottom, areas = self.numbers.index_select(0, near).unbind(1)
        of_left, of_top, of_right, of_bottom = boxes_xyxy[..., None, None].unbind(1)
        width = torch.minimum(right, of_right).sub_(torch.maximum(left, of_left)).clamp_(min=0)
        height = torch.minimum(bottom, of_bottom).sub_(torch.maximum(top, of_top)).clamp_(min=0)
        intersection = width.mul_(height)
        union = (box_area(boxes_xyxy)[:, None, None] + areas).sub_(intersection)
        return torch.where(union > 0, intersection.div_(union), 0)


def _take_better(best: Best, table: Tensor, near: Tensor, start: int) -> None:
    """Gives the anchors of some chunks the boxes of a table that fit them better, the first of which has a number."""
    (iou, box), before = table.max(dim=0), best.iou.index_select(0, near)
    best.box[near] = torch.where(iou > before, box + start, best.box.index_select(0, near))
    best.iou[near] = torch.maximum(before, iou)


def _take_forced(best: Best, table: Tensor, near: Tensor, start: int, *, own: bool) -> None:
    """Marks the best anchors of the boxes of a table, the first of which has a number."""
    of_box = table.amax(dim=(1, 2), keepdim=True)
    match = (table == of_box) & (of_box > 0)
    best.forced[near] |= match.any(dim=0)
    if own:
        numbers = torch.arange(start, start + len(of_box), device=of_box.device)[:, None, None]
        best.own[near] = torch.maximum(best.own[near], (match * numbers).amax(dim=0))
