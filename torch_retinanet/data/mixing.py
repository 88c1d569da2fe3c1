"""Training pictures made of several: mosaics, blends, and objects of one picture on another.

What is drawn at random depends on the generator of torch at the time of the call.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from torch_retinanet.data.builder import NO_CLASS

LEAST_SHARE = 0.5
"""The share of an object that must be left to be seen; an object of which less is left is ignored."""

MIDDLE = (0.3, 0.7)
"""Between which shares of its sides the pictures of a mosaic meet."""

MOST_PASTED = 8
"""Objects of another picture that are put onto one at most."""


LONGEST = 4
"""How many times longer than the short side of its canvas a picture may become: strips are not blown up."""


class Labelled(NamedTuple):
    """A picture of bytes (C,H,W) with boxes (G,4) xyxy in its pixels and labels (G,), `NO_CLASS` where ignored."""

    image: Tensor
    boxes: Tensor
    labels: Tensor


Read = Callable[[], Labelled]
"""What reads another picture, drawn at random."""


class Mixing(NamedTuple):
    """How often a picture is mixed with others, each from 0 to 1.

    Attributes:
        mosaic: four pictures meet at a point (Bochkovskiy et al. 2020, YOLOv4, arXiv 2004.10934).
        copy_paste: objects of another picture are put onto it, as boxes (Dwibedi et al. 2017, arXiv 1708.01642).
        mixup: it is blended with another, half and half (Zhang et al. 2019, arXiv 1902.04103).
        fill: the colour of what no picture of a mosaic covers.
    """

    mosaic: float = 0.0
    copy_paste: float = 0.0
    mixup: float = 0.0
    fill: Sequence[int] = (0, 0, 0)

    def __call__(self, one: Labelled, read: Read) -> Labelled:
        """The picture mixed with others, in its own size."""
        if not (self.mosaic or self.copy_paste or self.mixup):
            return one
        chances = torch.rand(3)
        if chances[0] < self.mosaic:
            one = mosaic([one, read(), read(), read()], self.fill)
        if chances[1] < self.copy_paste:
            one = paste(one, read())
        if chances[2] < self.mixup:
            one = blend(one, read())
        return one


NO_MIXING = Mixing()
"""Every picture by itself."""


def mosaic(four: Sequence[Labelled], fill: Sequence[int]) -> Labelled:
    """Four pictures that meet at a point, in the size of the first; all have the short side of the first."""
    height, width = four[0].image.shape[-2:]
    low, high = MIDDLE
    shares = (low + (high - low) * torch.rand(2)).tolist()
    y, x = round(height * shares[0]), round(width * shares[1])
    canvas = torch.tensor(fill, dtype=torch.uint8)[:, None, None].repeat(1, height, width)
    parts = []
    for i, one in enumerate(four):
        part = _with_short_side(one, min(height, width))
        h, w = part.image.shape[-2:]
        top, left = (y if i // 2 else y - h), (x if i % 2 else x - w)
        window = _within((left, top, left + w, top + h), height, width)
        canvas[:, window[1] : window[3], window[0] : window[2]] = part.image[
            :, window[1] - top : window[3] - top, window[0] - left : window[2] - left
        ]
        parts.append(_cut(part.boxes + part.boxes.new_tensor([left, top, left, top]), part.labels, window))
    return Labelled(canvas, *(torch.cat(those) for those in zip(*parts, strict=True)))


def paste(one: Labelled, other: Labelled) -> Labelled:
    """A picture with objects of another on it, each at a random place; what they cover by half or more is ignored."""
    height, width = one.image.shape[-2:]
    other = _with_short_side(other, min(height, width))
    image, boxes, labels = one.image.clone(), one.boxes, one.labels
    known = (other.labels != NO_CLASS).nonzero().squeeze(1)
    for index in known[torch.randperm(len(known))[:MOST_PASTED]].tolist():
        left, top, right, bottom = _within(other.boxes[index].round().int().tolist(), *other.image.shape[-2:])
        piece = other.image[:, top:bottom, left:right]
        h, w = piece.shape[-2:]
        if not 0 < h <= height or not 0 < w <= width:
            continue
        y, x = (int(share * room) for share, room in zip(torch.rand(2).tolist(), (height - h, width - w), strict=True))
        image[:, y : y + h, x : x + w] = piece
        labels = labels.masked_fill(_covered(boxes, (x, y, x + w, y + h)) >= LEAST_SHARE, NO_CLASS)
        boxes = torch.cat([boxes, boxes.new_tensor([[x, y, x + w, y + h]])])
        labels = torch.cat([labels, other.labels[index : index + 1]])
    return Labelled(image, boxes, labels)


def blend(one: Labelled, other: Labelled) -> Labelled:
    """Two pictures half and half, in the size of the first, with the objects of both."""
    height, width = one.image.shape[-2:]
    ratio = min(height / other.image.shape[-2], width / other.image.shape[-1])
    other = _resized(other, ratio)
    h, w = min(height, other.image.shape[-2]), min(width, other.image.shape[-1])
    mixed = one.image.clone()
    halves = one.image[:, :h, :w].int() + other.image[:, :h, :w].int()
    mixed[:, :h, :w] = ((halves + 1) // 2).to(torch.uint8)
    return Labelled(mixed, torch.cat([one.boxes, other.boxes]), torch.cat([one.labels, other.labels]))


def _with_short_side(one: Labelled, side: int) -> Labelled:
    """A picture whose short side has so many pixels; a long one has at most `LONGEST` times as many."""
    return _resized(one, min(side / min(one.image.shape[-2:]), LONGEST * side / max(one.image.shape[-2:])))


def _resized(one: Labelled, ratio: float) -> Labelled:
    height, width = one.image.shape[-2:]
    size = [max(1, round(height * ratio)), max(1, round(width * ratio))]
    scale = one.boxes.new_tensor([size[1] / width, size[0] / height] * 2)
    return Labelled(F.resize(one.image, size, antialias=True), one.boxes * scale, one.labels)


def _within(window: Sequence[int], height: int, width: int) -> tuple[int, int, int, int]:
    """The part of a window xyxy that lies in a picture."""
    left, top, right, bottom = window
    return max(0, left), max(0, top), min(width, right), min(height, bottom)


def _cut(boxes: Tensor, labels: Tensor, window: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The boxes that lie in a window, cut off at its border; of what less than half is left is ignored."""
    share = _covered(boxes, window)
    limits = boxes.new_tensor(window)
    cut = torch.cat([torch.maximum(boxes[:, :2], limits[:2]), torch.minimum(boxes[:, 2:], limits[2:])], dim=1)
    left = share > 0
    return cut[left], labels.masked_fill(share < LEAST_SHARE, NO_CLASS)[left]


def _covered(boxes: Tensor, window: Sequence[int]) -> Tensor:
    """The share (G,) of each box that lies in a window."""
    limits = boxes.new_tensor(window)
    low, high = torch.maximum(boxes[:, :2], limits[:2]), torch.minimum(boxes[:, 2:], limits[2:])
    return (high - low).clamp(min=0).prod(dim=1) / (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
