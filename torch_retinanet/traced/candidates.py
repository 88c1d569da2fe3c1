"""Anchors and classes whose scores pass the threshold, as `DecodePredictions` finds them, for a batch at once."""

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor

from torch_retinanet.anchors import half_sides, smallest_side
from torch_retinanet.config import RetinaNetConfig

NONE = -1.0
"""The score of a place in which nothing stands."""

ROUGH = 64
"""Units that a quotient may be off."""


class LevelOutputs(NamedTuple):
    """What the heads say of the n anchors of a level.

    Attributes:
        number: 3 for P3.
        scores: (B,n,K).
        deltas: (B,n,4).
        rows, columns: of the level.
        height, width: of the batch that the network was fed.
    """

    number: int
    scores: Tensor
    deltas: Tensor
    rows: int
    columns: int
    height: int
    width: int


class Candidates(NamedTuple):
    """What goes on to suppression, D places a picture.

    Attributes:
        boxes: (B,D,4), deltas before they are decoded.
        anchors: (B,D,4) xyxy.
        scores: (B,D); that of `NONE` stands for nothing.
        labels: (B,D), int64.
    """

    boxes: Tensor
    anchors: Tensor
    scores: Tensor
    labels: Tensor


def best_of_levels(levels: Sequence[LevelOutputs], config: RetinaNetConfig) -> Candidates:
    """The `topk_per_level` best of each level; places that no score above the threshold fills stand for none."""
    parts = [_best(level, config) for level in levels]
    return Candidates(*(torch.cat(values, dim=1) for values in zip(*parts, strict=True)))


def _best(level: LevelOutputs, config: RetinaNetConfig) -> Candidates:
    most, classes = config.topk_per_level, config.num_classes
    scores = _shown(level.scores, config).flatten(1)
    scores = torch.cat([scores, scores.new_full((scores.shape[0], most), NONE)], dim=1)  # so that there are as many
    best, index = scores.topk(most, dim=1)
    anchor, label = index // classes, index % classes
    anchor = torch.where(best > NONE, anchor, 0)
    deltas = level.deltas.gather(1, anchor[..., None].expand(-1, -1, 4))
    return Candidates(deltas, anchors_at(level, anchor, config), best, label)


def of_all_levels(levels: Sequence[LevelOutputs], config: RetinaNetConfig) -> Candidates:
    """All above the threshold; as many places as the picture with the most of them needs, and one at least."""
    scores = torch.cat([_shown(level.scores, config) for level in levels], dim=1)
    deltas = torch.cat([level.deltas for level in levels], dim=1)
    anchors = torch.cat([anchors_at(level, torch.arange(level.deltas.shape[1]), config) for level in levels])
    picture, anchor, label = (scores > NONE).nonzero().unbind(1)
    of_picture = (scores > NONE).sum((1, 2))
    depth = cast("int", of_picture.amax(0).clamp(min=1).item())
    torch._check(depth >= 1)
    place = picture * depth + torch.arange(picture.shape[0]) - (of_picture.cumsum(0) - of_picture)[picture]
    places = scores.shape[0] * depth

    def laid(values: Tensor, empty: float) -> Tensor:
        out = values.new_full((places, *values.shape[1:]), empty)
        return out.index_put((place,), values).reshape(scores.shape[0], depth, *values.shape[1:])

    found = scores[picture, anchor, label]
    return Candidates(laid(deltas[picture, anchor], 0), laid(anchors[anchor], 0), laid(found, NONE), laid(label, 0))


def best_of_classes(found: Candidates, config: RetinaNetConfig, order: Tensor) -> Candidates:
    """The `topk_per_class` best of each class; `order` (B,D) has the places of all, the best first."""
    boxes, anchors = (values.gather(1, order[..., None].expand(-1, -1, 4)) for values in (found.boxes, found.anchors))
    scores, labels = found.scores.gather(1, order), found.labels.gather(1, order)
    of_class = (labels[..., None] == torch.arange(config.num_classes)).long().cumsum(1)  # (B,D,K)
    place = of_class.gather(2, labels[..., None]).squeeze(2)
    return Candidates(boxes, anchors, torch.where(place <= config.topk_per_class, scores, NONE), labels)


def _shown(scores: Tensor, config: RetinaNetConfig) -> Tensor:
    """Scores (B,n,K) above the threshold that a detection can have; `NONE` elsewhere."""
    shown = scores > config.score_threshold
    classes = torch.arange(config.num_classes)
    if config.first_class == "none":
        shown = shown & (classes > 0)
    if config.nms_classes in ("one", "best", "best_first"):
        shown = shown & (classes == scores.argmax(2, keepdim=True))
    return torch.where(shown, scores, NONE)


def anchors_at(level: LevelOutputs, index: Tensor, config: RetinaNetConfig) -> Tensor:
    """Anchors (...,4) xyxy of a level by their index, as `AnchorGenerator` places them."""
    half = half_sides(config, smallest_side(config, level.number)).float()
    if config.output_order == "anchor_row_column":
        anchor, cell = _divided(index, level.rows * level.columns)
    else:
        cell, anchor = _divided(index, len(half))
    row, column = _divided(cell, level.columns)
    centre = torch.stack(
        [
            _centre(place, _step(side, count, level.number, config), config)
            for place, side, count in ((column, level.width, level.columns), (row, level.height, level.rows))
        ],
        dim=-1,
    )
    sides = half[anchor]
    anchors = torch.cat([centre - sides, centre + sides], dim=-1)
    return _cut(anchors, level) if config.clip_anchors else anchors


def _cut(anchors: Tensor, level: LevelOutputs) -> Tensor:
    """Anchors (...,4) cut off at the border of what the network was fed; its sides can be symbols."""
    sides = [torch.scalar_tensor(side, dtype=torch.float32) for side in (level.width, level.height)]
    return torch.minimum(anchors.clamp(min=0), torch.stack(sides * 2))


def _divided(index: Tensor, by: int) -> tuple[Tensor, Tensor]:
    """Quotient and remainder; `by` can be a symbol, which ONNX divides by as a tensor alone.

    OpenVINO divides whole numbers in single precision: above 2**24 its quotient is some units off, and is mended.
    """
    divisor = torch.scalar_tensor(by, dtype=torch.int64)
    quotient = index // divisor
    rest = index - quotient * divisor
    quotient = quotient + (rest + ROUGH * divisor) // divisor - ROUGH
    return quotient, index - quotient * divisor


def _step(side: int, count: int, number: int, config: RetinaNetConfig) -> Tensor:
    """Pixels from one cell to the next."""
    if config.anchor_stride == "power_of_2":
        return torch.full((), 2**number)
    return torch.scalar_tensor(side, dtype=torch.int64) // torch.scalar_tensor(count, dtype=torch.int64)


def _centre(place: Tensor, step: Tensor, config: RetinaNetConfig) -> Tensor:
    offset = torch.zeros(()) if config.anchor_centre == "corner" else step / 2
    return (place * step).float() + (offset.floor() if config.anchor_centre == "half_cell_down" else offset)
