"""Non-maximum suppression of candidates of a batch, as operations that a runtime has.

ONNX has an operator of its own, NonMaxSuppression, which takes boxes (B,D,4) and the scores (B,K,D) of K classes. It
is an operator of torch here, so that it can be traced. Torchvision's operator takes the boxes of one picture and class:
those of others are moved apart first, in double precision, which leaves 30 bits and more for parts of a pixel.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import nms

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.engines.candidates import NONE, Candidates

Suppress = Callable[[Tensor, Tensor, Tensor, int, float], Tensor]
"""From boxes (B,D,4), scores (B,D), groups (B,D) from 0 to a number, and an IoU, to whether each is kept (B,D)."""


def kept_of(found: Candidates, config: RetinaNetConfig, suppress: Suppress) -> Candidates:
    """Candidates without those that a better one drops, by the convention `nms_classes`."""
    of_class = config.nms_classes == "each"
    groups = found.labels if of_class else torch.zeros_like(found.labels)
    number, limit = config.num_classes if of_class else 1, config.nms_iou
    if config.nms_classes == "best":  # of equal scores the last comes first, and the limit itself drops
        found = Candidates(*(values.flip(1) for values in found))
        limit = float(np.nextafter(np.float32(limit), np.float32(0)))
    keep = suppress(found.boxes, found.scores, groups, number, limit)
    if config.nms_classes == "best":
        keep = keep & (found.boxes > 0).any(-1)
    return found._replace(scores=torch.where(keep, found.scores, NONE))


def suppress_in_torch(boxes_xyxy: Tensor, scores: Tensor, groups: Tensor, number: int, limit: float) -> Tensor:
    """By torchvision's operator."""
    batch, depth = scores.shape
    index = (scores.flatten() > NONE).nonzero().squeeze(1)
    boxes = boxes_xyxy.reshape(-1, 4)[index].double()
    group = (torch.arange(batch)[:, None] * number + groups).flatten()[index]
    apart = boxes + (group.double() * _reach(boxes))[:, None]
    kept = index[nms(apart, scores.flatten()[index].double(), limit)]
    keep = torch.zeros_like(scores.flatten(), dtype=torch.bool)
    return keep.index_fill(0, kept, True).reshape(batch, depth)


def _reach(boxes: Tensor) -> Tensor:
    """A power of two that is more than twice as large as any coordinate."""
    most = torch.cat([boxes.abs().flatten(), boxes.new_ones(1)]).amax()
    return torch.exp2((2 * most).log2().floor() + 1)


def suppress_in_onnx(boxes_xyxy: Tensor, scores: Tensor, groups: Tensor, number: int, limit: float) -> Tensor:
    """By ONNX' operator."""
    batch, depth = scores.shape
    mine = groups[:, None, :] == torch.arange(number)[:, None]
    rows = non_max_suppression(boxes_xyxy, torch.where(mine, scores[:, None, :], NONE), limit)
    places = rows[:, 0] * depth + rows[:, 2]
    keep = torch.zeros(batch * depth, dtype=torch.int64)
    return keep.index_put((places,), torch.ones_like(places)).reshape(batch, depth) > 0


@torch.library.custom_op("torch_retinanet::non_max_suppression", mutates_args=())
def non_max_suppression(boxes: Tensor, scores: Tensor, limit: float) -> Tensor:
    """ONNX' NonMaxSuppression of boxes (B,D,4) with scores (B,K,D) above 0: rows (S,3) of picture, class and place."""
    rows = []
    for picture, of_classes in enumerate(scores):
        for label, of_class in enumerate(of_classes):
            index = (of_class > 0).nonzero().squeeze(1)
            kept = index[nms(boxes[picture][index], of_class[index], limit)]
            rows += [torch.stack([torch.full_like(kept, picture), torch.full_like(kept, label), kept], dim=1)]
    return torch.cat(rows)


@non_max_suppression.register_fake
def _(boxes: Tensor, scores: Tensor, limit: float) -> Tensor:
    return boxes.new_empty((torch.library.get_ctx().new_dynamic_size(), 3), dtype=torch.int64)
