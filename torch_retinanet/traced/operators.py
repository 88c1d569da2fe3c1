"""What runtimes have operators of their own for: non-maximum suppression of a batch, and sorting.

ONNX has an operator of its own, NonMaxSuppression, which takes boxes (B,D,4) and the scores (B,K,D) of K classes.
Torchvision's takes the boxes of one picture and class: those of others are moved apart first, in double precision,
which leaves 30 bits and more for parts of a pixel.
"""

from collections.abc import Callable
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import nms

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.traced.candidates import NONE, Candidates

Suppress = Callable[[Tensor, Tensor, Tensor, int, float], Tensor]
"""From boxes (B,D,4), scores (B,D), groups (B,D) from 0 to a number, and an IoU, to whether each is kept (B,D)."""


TWO = 2
"""What a trace takes for the fewest boxes that torchvision's operator keeps."""

ALL = 2**31 - 1
"""How many boxes of a class ONNX keeps at most."""


def kept_of(found: Candidates, config: RetinaNetConfig, suppress: Suppress) -> Candidates:
    """Candidates without those that a better one drops, by the convention `nms_classes`."""
    of_class = config.nms_classes == "each"
    groups = found.labels if of_class else torch.zeros_like(found.labels)
    number, limit = config.num_classes if of_class else 1, config.nms_iou
    if config.nms_classes == "best":  # of equal scores the last comes first
        found = Candidates(*(values.flip(1) for values in found))
    if config.nms_classes in ("best", "best_first"):  # the limit itself drops
        limit = float(np.nextafter(np.float32(limit), np.float32(0)))
    keep = suppress(found.boxes, found.scores, groups, number, limit)
    if config.nms_classes in ("best", "best_first"):
        keep = keep & (found.boxes > 0).any(-1)
    return found._replace(scores=torch.where(keep, found.scores, NONE))


def suppress_in_torch(boxes_xyxy: Tensor, scores: Tensor, groups: Tensor, number: int, limit: float) -> Tensor:
    """By torchvision's operator."""
    batch, depth = scores.shape
    index = (scores.flatten() > NONE).nonzero().squeeze(1)
    boxes = boxes_xyxy.reshape(-1, 4)[index].double()
    group = (torch.arange(batch)[:, None] * number + groups).flatten()[index]
    reach = _reach(boxes)
    apart = torch.cat([boxes + (group.double() * reach)[:, None], _always_kept(reach)])
    values = torch.cat([scores.flatten()[index].double(), torch.full((TWO,), NONE, dtype=torch.float64)])
    kept = torch.cat([index, batch * depth + torch.arange(TWO)])[nms(apart, values, limit)]
    keep = torch.zeros(batch * depth + TWO, dtype=torch.int64).index_fill(0, kept, 1)
    return keep[: batch * depth].reshape(batch, depth) > 0


def _always_kept(reach: Tensor) -> Tensor:
    """Boxes (2,4) that overlap no other, so that `nms` keeps two at least: a traced program checks that it does."""
    corner = -(2 + 2 * torch.arange(TWO))[:, None] * reach
    return torch.cat([corner, corner, corner + 1, corner + 1], dim=1)


def _reach(boxes: Tensor) -> Tensor:
    """A power of two that is more than twice as large as any coordinate."""
    most = torch.cat([boxes.abs().flatten(), boxes.new_ones(1)]).amax()
    return torch.exp2((2 * most).log2().floor() + 1)


def suppress_in_onnx(boxes_xyxy: Tensor, scores: Tensor, groups: Tensor, number: int, limit: float) -> Tensor:
    """By ONNX' operator, which only a trace for ONNX can hold."""
    batch, depth = scores.shape
    mine = groups[:, None, :] == torch.arange(number)[:, None]
    of_groups = torch.where(mine, scores[:, None, :], NONE)
    numbers = (torch.tensor([ALL]), torch.tensor([limit]), torch.zeros(1))
    count = cast("int", (scores > NONE).sum().item())  # a symbol of its own stands for the number of rows
    rows = torch.onnx.ops.symbolic(
        "NonMaxSuppression", (boxes_xyxy, of_groups, *numbers), {}, dtype=torch.int64, shape=(count, 3), version=18
    )
    places = rows[:, 0] * depth + rows[:, 2]
    keep = torch.zeros(batch * depth, dtype=torch.int64)
    return keep.index_put((places,), torch.ones_like(places)).reshape(batch, depth) > 0


def order_in_torch(scores: Tensor) -> Tensor:
    """Places of scores (B,D), the best first, of equal ones the first."""
    return scores.sort(dim=1, descending=True, stable=True).indices


def order_in_onnx(scores: Tensor) -> Tensor:
    """The same; ONNX' TopK takes the first of equal ones."""
    return scores.topk(scores.shape[1], dim=1).indices


class Operators(NamedTuple):
    """The operations for which runtimes have operators of their own.

    Attributes:
        suppress: what drops boxes for better ones.
        order: what sorts.
        doubles: whether double precision is computed where it is asked for.
    """

    suppress: Suppress
    order: Callable[[Tensor], Tensor]
    doubles: bool = True


TORCH = Operators(suppress_in_torch, order_in_torch)
ONNX = Operators(suppress_in_onnx, order_in_onnx)
OPENVINO = ONNX._replace(doubles=False)
