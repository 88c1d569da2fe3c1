"""What each anchor shall predict; mirrors `keras_reference/targets.py`.

Lin et al., Focal Loss for Dense Object Detection (2017), section 4: an anchor belongs to the box it fits best, if their
IoU is high enough; or as `torch_retinanet/atss.py` has it.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from torch_retinanet.atss import match_atss
from torch_retinanet.boxes import box_iou, encode
from torch_retinanet.config import RetinaNetConfig

BACKGROUND, IGNORED = -1, -2
"""Classes of the anchors that no box is assigned to."""

WITHIN = 0.5
"""The share of an anchor within a region that is ignored from which on the anchor is no background."""

LARGEST_TABLE = 2**24
"""Pairs of a box and an anchor looked at together, which keeps the memory of a large batch in bounds."""


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


class Tables:
    """The IoU (B,G,n) of boxes with each chunk of anchors; one that is whole is kept, several are made anew."""

    def __init__(self, boxes_xyxy: Tensor, chunks: Sequence[Tensor]) -> None:
        self.boxes_xyxy, self.chunks = boxes_xyxy, chunks
        self.kept = [box_iou(boxes_xyxy, chunks[0])] if len(chunks) == 1 else None

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.kept or (box_iou(self.boxes_xyxy, chunk) for chunk in self.chunks))


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
            match = self._match_iou(anchors_xyxy, filled)
        matched = classes.gather(1, match.box).masked_fill(~match.positive, IGNORED)
        matched = matched.masked_fill(match.background, BACKGROUND)
        best = filled.gather(1, match.box.unsqueeze(-1).expand(-1, -1, 4))
        best = torch.where(match.positive.unsqueeze(-1), best, anchors_xyxy)
        variance, coding, axes = self.config.box_variance, self.config.box_coding, self.config.delta_axes
        return Targets(matched, encode(best, anchors_xyxy, variance, coding=coding, axes=axes))

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

    def _match_iou(self, anchors_xyxy: Tensor, boxes_xyxy: Tensor) -> Match:
        """Matches of boxes (B,G,4) all in one go: empty ones, with which a picture is filled up, fit no anchor."""
        best_iou, best_box, forced = self._best(anchors_xyxy, boxes_xyxy)
        positive = (best_iou >= self.config.match_iou) | forced
        return Match(positive, ~positive & self._is_background(best_iou), best_box)

    def _best(self, anchors_xyxy: Tensor, boxes_xyxy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """For each anchor (B,N) the IoU with its best box, that box, and whether it is the best anchor of any box."""
        batch, count, _ = boxes_xyxy.shape
        chunks = torch.split(anchors_xyxy, max(1, LARGEST_TABLE // (batch * count)))
        tables = Tables(boxes_xyxy, chunks)
        best = [table.max(dim=1) for table in tables]
        best_iou, best_box = (torch.cat(parts, dim=1) for parts in zip(*best, strict=True))
        if not self.config.force_match:
            return best_iou, best_box, torch.zeros_like(best_iou, dtype=torch.bool)
        of_box = torch.stack([table.amax(dim=2) for table in tables]).amax(dim=0).unsqueeze(-1)
        places, forced, own = torch.arange(count, device=best_box.device)[:, None], [], []
        for table in tables:  # one at a time: together they would fill the memory that chunks keep in bounds
            match = (table == of_box) & (of_box > 0)
            forced.append(match.any(dim=1))
            if self.config.forced_box == "own":
                own.append((match * places).amax(dim=1))  # of several boxes the last
        is_forced = torch.cat(forced, dim=1)
        return best_iou, torch.where(is_forced, torch.cat(own, dim=1), best_box) if own else best_box, is_forced
