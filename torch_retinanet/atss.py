"""ATSS: a box takes of the anchors nearest to it those whose IoU stands out.

Zhang et al., Bridging the Gap Between Anchor-based and Anchor-free Detection (2020, arXiv 1912.02424), algorithm 1, as
MONAI 1.6.1 has it in apps/detection/utils/ATSS_matcher.py: a cell has several anchors, and the centre of an anchor need
not lie in the box.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from torch_retinanet.boxes import box_iou

CELLS = 4
"""Of how many cells a box looks at the anchors on each level (the default num_candidates of MONAI's ATSSMatcher)."""


def match_atss(
    anchors_xyxy: Tensor, boxes_xyxy: Tensor, per_level: Sequence[int], per_cell: int
) -> tuple[Tensor, Tensor]:
    """Which anchors (N,) are positive, and for each anchor (N,) the box that it learns, if it is.

    An anchor that several of the boxes (G,4) take learns the one that it fits best.

    Args:
        anchors_xyxy: (N,4).
        boxes_xyxy: (G,4).
        per_level: how the N anchors divide among the levels.
        per_cell: anchors of a cell.
    """
    if not len(boxes_xyxy):
        nothing = torch.zeros(len(anchors_xyxy), dtype=torch.int64, device=anchors_xyxy.device)
        return nothing.bool(), nothing
    overlaps = box_iou(boxes_xyxy, anchors_xyxy)  # (G,N)
    candidates = _nearest(anchors_xyxy, boxes_xyxy, per_level, per_cell)
    found = overlaps.gather(1, candidates)
    stands_out = found >= found.mean(1, keepdim=True) + found.std(1, keepdim=True)
    taken = torch.zeros_like(overlaps, dtype=torch.bool).scatter(1, candidates, stands_out)
    best, box = overlaps.masked_fill(~taken, -1).max(0)
    return best >= 0, box


def _nearest(anchors_xyxy: Tensor, boxes_xyxy: Tensor, per_level: Sequence[int], per_cell: int) -> Tensor:
    """Of each level the anchors (G,M) with the centres nearest to each box, at most as many as the level has cells.

    In single precision, as MONAI has it: the anchors of a cell are equally near, and `topk` decides among them.
    """
    of_anchors, of_boxes = (_centres(boxes.float()) for boxes in (anchors_xyxy, boxes_xyxy))
    distances = (of_boxes[:, None] - of_anchors).square().sum(-1).sqrt()
    start, nearest = 0, []
    for count, level in zip(per_level, torch.split(distances, list(per_level), dim=1), strict=True):
        nearest.append(start + level.topk(min(CELLS * per_cell, count // per_cell), largest=False).indices)
        start += count
    return torch.cat(nearest, dim=1)


def _centres(boxes_xyxy: Tensor) -> Tensor:
    return (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
