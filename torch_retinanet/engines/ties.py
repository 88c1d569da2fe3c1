"""Tells detections that differ because near-equal scores changed places from those that are wrong.

A network that is hardly trained gives thousands of anchors nearly the same score. Which of them are among the best, and
which drop the others, is then decided by rounding. Detections of a file are right there if eager torch finds the same
set once scores are moved by no more than rounding may cost.

Scores are moved so that the set comes out if any move within the bound gives it. Those of what the file found go up,
and those of what nothing drops go down. Those of what is dropped lie between both, as far as they can: they take places
among the best of a level, and drop nothing themselves.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import box_iou

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.detector import RetinaNetDetector
from torch_retinanet.engines.comparison import FoundObjects, allowed, same_places
from torch_retinanet.postprocess import DecodePredictions

LITTLE = 1 / 64
"""How much of the bound a dropped score stays below the one that drops it: 16 roundings."""

LEAST = 1e-12
"""How near to 0 and 1 a changed score may come; a logit is finite there."""


class BoxesOfAnchors(DecodePredictions):
    """The box and the scores of every anchor, in place of detections; `fed` are boxes as they drop each other."""

    def _detect(
        self,
        logits: Tensor,
        deltas: Tensor,
        size: tuple[int, int],
        anchors_xyxy: Tensor,
        anchors_per_level: object,
    ) -> dict[str, Tensor]:
        boxes, anchors = self.decoded(deltas, anchors_xyxy, size), torch.arange(len(deltas))
        return {"boxes": boxes, "fed": boxes, "scores": logits.sigmoid(), "anchors": anchors}


class _Claims(NamedTuple):
    """Where the detections (M,) of a file are among those of eager torch.

    Attributes:
        places: in what `BoxesOfAnchors` gives.
        anchors: of the network.
        labels: their classes.
        share: their distance, as a share of what is allowed.
    """

    places: Tensor
    anchors: Tensor
    labels: Tensor
    share: float


@torch.no_grad()
def share_by_ties(eager: RetinaNetDetector, picture: Tensor, found: FoundObjects) -> float | None:
    """How far detections are from those of eager torch in the order that they take near-equal scores to have.

    Args:
        eager: in float32 on the CPU, in evaluation mode.
        picture: (C,H,W) from 0 to 1.
        found: on it, by a file.

    Returns:
        The largest difference, as a share of what is allowed; `None` where no order of near-equal scores gives them.
    """
    ordered = len(found.scores) and (found.scores[1:] <= found.scores[:-1]).all()
    if type(eager.decode_predictions) is not DecodePredictions or not ordered:
        return None
    outputs: list[tuple[Tensor, Tensor]] = []
    level_sizes: list[int] = []

    def remembered(images: Tensor, *, above: float | None = None) -> tuple[Tensor, Tensor]:
        level_sizes.extend(eager.anchors.anchors_per_level(*images.shape[-2:]))
        outputs.append(eager.model(images, apart=True))
        return outputs[-1]

    every = eager.with_network(remembered)
    every.decode_predictions = BoxesOfAnchors(eager.config)
    anchors = every([picture])[0]
    claims = _claims(anchors, found)
    if claims is None:
        return None
    deltas, logits = outputs[0]
    dropped = torch.full_like(logits[0], -1, dtype=torch.float64)
    dropped[anchors["anchors"]] = _dropped(anchors, claims, eager.config)
    changed = _in_favour(logits, claims, dropped, level_sizes, allowed(found.scores))
    again = eager.with_network(lambda images, *, above: (deltas, changed))([picture])[0]
    objects = FoundObjects(again["boxes"].numpy(), again["scores"].numpy(), again["labels"].numpy())
    least = 1 if eager.config.empty_boxes == "dropped_below_1" else 0
    return claims.share if same_places(*(_with_extent(one, least) for one in (objects, found))) else None


def _with_extent(found: FoundObjects, least: int) -> FoundObjects:
    """Detections without those whose width or height rounding can bring below the least that is kept."""
    sides = found.boxes[:, 2:] - found.boxes[:, :2]
    wide = sides.min(axis=1) > least + allowed(found.boxes)
    return FoundObjects(*(values[wide] for values in found))


def _claims(every: dict[str, Tensor], found: FoundObjects) -> _Claims | None:
    """For each detection the nearest anchor that no other one has; none where one is beyond what is allowed."""
    boxes, scores = every["boxes"].double(), every["scores"].double()
    free, chosen, shares = torch.ones(len(boxes), scores.shape[1], dtype=torch.bool), [], [0.0]
    for box, score, label in zip(found.boxes, found.scores, found.labels.tolist(), strict=True):
        of_box = (boxes - torch.from_numpy(box).double()).abs().amax(1) / allowed(found.boxes)
        of_score = (scores[:, label] - float(score)).abs() / allowed(found.scores)
        share = torch.where(free[:, label], torch.maximum(of_box, of_score), np.inf)
        nearest = int(share.argmin())
        if not share[nearest] <= 1:
            return None
        free[nearest, label] = False
        chosen.append(nearest)
        shares.append(float(share[nearest]))
    return _Claims(torch.tensor(chosen), every["anchors"][chosen], torch.from_numpy(found.labels), max(shares))


def _dropped(anchors: dict[str, Tensor], claims: _Claims, config: RetinaNetConfig) -> Tensor:
    """For anchors and classes (M,K) the best score of a claimed one that drops them; -1 where none does."""
    boxes, scores = anchors["fed"].double(), anchors["scores"].double()
    by = torch.full_like(scores, -1)
    for place, label in zip(claims.places, claims.labels, strict=True):
        near = box_iou(boxes[place][None], boxes)[0] > config.nms_iou
        classes = by[:, label][:, None] if config.nms_classes == "each" else by
        classes[near] = classes[near].clamp(min=float(scores[place, label]))
    return by


def _in_favour(logits: Tensor, claims: _Claims, dropped: Tensor, level_sizes: Sequence[int], by: float) -> Tensor:
    """Logits (1,N,K) whose scores are moved by so much, in favour of what is claimed."""
    scores = logits[0].double().sigmoid()
    claimed = scores[claims.anchors, claims.labels]
    levels = torch.arange(len(level_sizes)).repeat_interleave(torch.tensor(level_sizes))
    worst = torch.full((len(level_sizes),), np.inf, dtype=torch.float64)
    worst = worst.scatter_reduce(0, levels[claims.anchors], claimed, "amin")[levels][:, None]
    below = torch.minimum(dropped, worst) + by * (1 - LITTLE)
    between = torch.maximum(torch.minimum(scores + by, below), scores - by)
    moved = torch.where(dropped >= 0, between, scores - by)
    moved[claims.anchors, claims.labels] = claimed + by
    return moved.clamp(LEAST, 1 - LEAST).logit().to(logits.dtype)[None]
