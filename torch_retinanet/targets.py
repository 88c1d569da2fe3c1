"""What each anchor shall predict; mirrors `keras_reference/targets.py`.

Lin et al., Focal Loss for Dense Object Detection (2017), section 4: an anchor belongs to the box it fits best, if their
IoU is high enough; or as `torch_retinanet/atss.py` has it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from torch_retinanet.atss import match_atss
from torch_retinanet.boxes import encode
from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.overlaps import Overlaps

BACKGROUND, IGNORED = -1, -2
"""Classes of the anchors that no box is assigned to."""

WITHIN = 0.5
"""The share of an anchor within a region that is ignored from which on the anchor is no background."""


class Targets(NamedTuple):
    """What the anchors of a batch shall predict.

    Attributes:
        classes: (B,N) the class, `BACKGROUND` or `IGNORED`.
        deltas: (B,N,4) from the anchor to its best box; without meaning where `classes` is negative.
    """

    classes: Tensor
    deltas: Tensor

    @property
    def positive(self) -> Tensor:
        """The anchors (B,N) that have a box."""
        return self.classes >= 0

    @property
    def normaliser(self) -> Tensor:
        """How many anchors (B,) of each picture have a box."""
        return self.positive.sum(dim=1)


def with_last_pixel(boxes_xyxy: Tensor) -> Tensor:
    """Boxes (...,4) a pixel larger at the right and bottom: their edges were the first and the last pixel within."""
    return boxes_xyxy + boxes_xyxy.new_tensor([0, 0, 1, 1])


class Match(NamedTuple):
    """What was found for the anchors of a batch, each (B,N): whether it is positive, or background, and its box."""

    positive: Tensor
    background: Tensor
    box: Tensor


class LabelEncoder:
    """Assigns true boxes to anchors in the conventions of a config."""

    def __init__(self, config: RetinaNetConfig) -> None:
        self.config = config

    def encode_batch(
        self,
        anchors_xyxy: Tensor,
        boxes_xyxy: Sequence[Tensor],
        labels: Sequence[Tensor],
        per_level: Sequence[int] = (),
    ) -> Targets:
        """Targets of anchors (N,4) for a batch of pictures, each with boxes (G,4), G from 0, and labels (G,).

        `per_level` says how the N anchors divide among the levels, for ATSS; by default they are all of one.
        """
        if not boxes_xyxy:
            return Targets(
                anchors_xyxy.new_zeros((0, len(anchors_xyxy)), dtype=torch.int64),
                anchors_xyxy.new_zeros((0, *anchors_xyxy.shape)),
            )
        if self.config.box_sides == "pixels":
            anchors_xyxy, boxes_xyxy = with_last_pixel(anchors_xyxy), [with_last_pixel(b) for b in boxes_xyxy]
        filled = pad_sequence([*boxes_xyxy, anchors_xyxy.new_zeros(1, 4)], batch_first=True)[:-1].to(anchors_xyxy)
        classes = pad_sequence([*labels, labels[0].new_zeros(1)], batch_first=True)[:-1].long()
        if self.config.matching == "atss":
            match = self._match_atss(anchors_xyxy, boxes_xyxy, per_level or [len(anchors_xyxy)])
        else:
            match = self._match_iou(anchors_xyxy, boxes_xyxy)
        matched = classes.gather(1, match.box).masked_fill(~match.positive, IGNORED)
        matched = matched.masked_fill(match.background, BACKGROUND)
        return Targets(matched, self._deltas(anchors_xyxy, filled, match))

    def _deltas(self, anchors_xyxy: Tensor, boxes_xyxy: Tensor, match: Match) -> Tensor:
        """The deltas (B,N,4) of positive anchors to boxes (B,G,4), and zeros for the others.

        Positive anchors are looked up, for which a GPU waits; so it does in the losses, a moment later.
        """
        variance, coding, axes = self.config.box_variance, self.config.box_coding, self.config.delta_axes
        picture, anchor = match.positive.nonzero(as_tuple=True)
        best = boxes_xyxy[picture, match.box[picture, anchor]]
        deltas = anchors_xyxy.new_zeros((*match.box.shape, 4))
        deltas[picture, anchor] = encode(best, anchors_xyxy[anchor], variance, coding=coding, axes=axes)
        return deltas

    def ignore(self, targets: Targets, anchors_xyxy: Tensor, regions_xyxy: Sequence[Tensor]) -> Targets:
        """Targets in which anchors (N,4) that lie in a region (I,4) of their picture are background no longer."""
        low, high = anchors_xyxy[:, :2], anchors_xyxy[:, 2:]
        ignored = torch.zeros_like(targets.classes, dtype=torch.bool)
        for picture, regions in zip(ignored, regions_xyxy, strict=True):
            for region in regions.to(anchors_xyxy):
                sides = (torch.minimum(high, region[2:]) - torch.maximum(low, region[:2])).clamp(min=0)
                picture |= sides.prod(dim=1) >= WITHIN * (high - low).prod(dim=1)
        background = targets.classes == BACKGROUND
        return targets._replace(classes=targets.classes.masked_fill(background & ignored, IGNORED))

    def ignore_outside(self, targets: Targets, anchors_xyxy: Tensor, sizes: Sequence[tuple[int, int]]) -> Targets:
        """Targets in which anchors (N,4) beyond a picture's own height and width are ignored, where the config says so.

        Source: fizyr/keras-retinanet utils/anchors.py anchor_targets_bbox.
        """
        if not self.config.ignore_outside:
            return targets
        centres = (anchors_xyxy[:, :2] + anchors_xyxy[:, 2:]) / 2
        limits = anchors_xyxy.new_tensor([(width, height) for height, width in sizes]).reshape(-1, 1, 2)
        outside = (centres >= limits).any(dim=-1)
        return targets._replace(classes=targets.classes.masked_fill(outside, IGNORED))

    def _is_background(self, best_iou: Tensor) -> Tensor:
        if self.config.background_iou == "up_to":
            return best_iou <= self.config.ignore_iou
        return best_iou < self.config.ignore_iou

    def _match_atss(self, anchors_xyxy: Tensor, boxes_xyxy: Sequence[Tensor], per_level: Sequence[int]) -> Match:
        """Matches picture by picture, as each has other candidates."""
        per_cell = self.config.anchors_per_cell
        found = [match_atss(anchors_xyxy, boxes.to(anchors_xyxy), per_level, per_cell) for boxes in boxes_xyxy]
        positive, box = (torch.stack(parts) for parts in zip(*found, strict=True))
        return Match(positive, ~positive, box)

    def _match_iou(self, anchors_xyxy: Tensor, boxes_xyxy: Sequence[Tensor]) -> Match:
        """Matches by the best IoU, of the anchor or, where a convention says so, of the box."""
        overlaps, own = Overlaps(anchors_xyxy), self.config.forced_box == "own"
        force = self.config.force_match
        found = [overlaps.best(boxes.to(anchors_xyxy), force=force, own=force and own) for boxes in boxes_xyxy]
        iou, forced = torch.stack([best.iou for best in found]), torch.stack([best.forced for best in found])
        box = torch.stack([torch.where(best.forced, best.own, best.box) if own else best.box for best in found])
        positive = (iou >= self.config.match_iou) | forced
        return Match(positive, ~positive & self._is_background(iou), box)
