"""Batches of true boxes in which target assignment can go wrong, and outputs near their targets. Needs numpy alone."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from parity_tests.retinanet.inputs import Labels, Size
from parity_tests.retinanet.matching import iou
from parity_tests.rule.record import Array

Picture = tuple[Array, Labels]
"""Boxes (G,4) xyxy in pixels, and labels (G,)."""

BACKGROUND, IGNORED = -1, -2
"""The classes of anchors that have no box."""

MOST_BOXES = {"mixed": 10, "crowd": 200, "equal to anchors": 12, "pixels": 20, "border": 20}
"""Boxes in each kind of picture."""

UNDECIDED = 1e-5
"""How near two overlaps, or one and a threshold, must be for single precision to take one for the other."""

THRESHOLDS, LEAST_RELEVANT = np.array([0.4, 0.5]), 0.35
"""The IoU at which an anchor's class changes, and that below which it does not matter which box is the best."""

HUGE_EACH, HUGE_DELTA = 97, 25.0
"""Every how many anchors one has a huge box, and its delta: exp(25 x 0.2) is 148."""

SURE = 40.0, 90.0
"""Between which the logits are of a network that is sure."""

Batch = tuple[list[Array], list[Labels]]
"""Boxes and labels of each picture."""


def assignment_batches(anchors: Array, size: Size, num_classes: int, *, seed: int = 0) -> dict[str, Batch]:
    """Batches of 1, 4 and 8 pictures of `size`, with boxes against its `anchors` (N,4).

    Among them pictures without boxes, with 200, with boxes equal to anchors, boxes whose IoU with an anchor is exactly
    0.5 and 0.4, boxes of one pixel, boxes over the border, and one box twice.
    """
    rng = np.random.default_rng([seed, *size])
    boxes = {
        "mixed": _random(rng, 10, size),
        "empty": np.zeros((0, 4)),
        "crowd": _random(rng, 240, size),
        "equal to anchors": rng.permutation(_within(anchors, size)),
        "pixels": _pixels(rng, 20, size),
        "border": _random(rng, 20, size) + rng.uniform(-0.5, 0.5, (20, 1)) * min(size),
    }
    boxes = {name: _decided(b, anchors)[: MOST_BOXES.get(name)] for name, b in boxes.items()}
    boxes |= {"thresholds": _at_thresholds(), "twice": np.repeat(boxes["mixed"][:3], 2, axis=0)}
    pictures = {name: (b, _labels(rng, len(b), num_classes)) for name, b in boxes.items()}
    batches = {
        "batch of 1": ["mixed"],
        "batch of 1 without boxes": ["empty"],
        "batch of 4": ["empty", "mixed", "crowd", "thresholds"],
        "batch of 8": list(pictures),
    }
    return {
        name: ([pictures[picture][0] for picture in members], [pictures[picture][1] for picture in members])
        for name, members in batches.items()
    }


def regions_to_ignore(anchors: Array, size: Size, *, seed: int = 0) -> list[Array]:
    """Regions (I,4) of four pictures: none; some; one that holds all; and some that hold exactly half of an anchor."""
    whole = anchors[(anchors == np.rint(anchors)).all(axis=1)][::7][:5]
    halves = whole - np.stack([*2 * [np.zeros(len(whole))], (whole[:, 2] - whole[:, 0]) / 2, np.zeros(len(whole))], 1)
    drawn = _random(np.random.default_rng([seed, *size]), 3, size)
    return [np.zeros((0, 4)), drawn, np.array([[0.0, 0.0, *size[::-1]]]), halves]


def without_regions(classes: Array, anchors: Array, regions: Sequence[Array]) -> Array:
    """Classes (B,N) in which anchors are ignored that are background and half of which lies in a region."""
    found: Array = classes.copy()
    areas = np.prod(anchors[:, 2:] - anchors[:, :2], axis=1)
    for of_picture, each in zip(found, regions, strict=True):
        for region in each:
            sides = np.minimum(anchors[:, 2:], region[2:]) - np.maximum(anchors[:, :2], region[:2])
            within = np.prod(np.maximum(sides, 0), axis=1) >= areas / 2
            of_picture[within & (of_picture == BACKGROUND)] = IGNORED
    return found


def as_labels(targets: Mapping[str, Array]) -> Array:
    """What the reference's loss takes: (B,N,5)."""
    return np.concatenate([targets["targets.deltas"], targets["targets.classes"][..., None]], axis=-1)


def crafted_outputs(targets: Mapping[str, Array], num_classes: int, *, scale: float = 1.0, seed: int = 0) -> Array:
    """Outputs (B,N,4+K) of a network that knows the targets up to noise, which `scale` makes worse."""
    rng = np.random.default_rng(seed)
    classes, deltas = targets["targets.classes"], targets["targets.deltas"]
    right = classes[..., None] == np.arange(num_classes)
    logits = np.where(right, rng.normal(1, 2, right.shape), rng.normal(-7, 1.5, right.shape))
    noisy = deltas + rng.normal(0, 0.4, deltas.shape)
    return np.concatenate([noisy, logits], axis=-1) * scale


def sure_outputs(targets: Mapping[str, Array], num_classes: int, *, right: bool, seed: int = 0) -> Array:
    """Outputs (B,N,4+K) of a network that is as sure as can be, of the truth or of its contrary.

    Logits are from 40 to 90: from 37 on, one less a score is zero in float64, though its logarithm is not.
    """
    rng = np.random.default_rng(seed)
    classes, deltas = targets["targets.classes"], targets["targets.deltas"]
    yes = (classes[..., None] == np.arange(num_classes)) == right
    sizes = rng.uniform(*SURE, yes.shape)
    return np.concatenate([deltas + rng.normal(0, 0.4, deltas.shape), np.where(yes, sizes, -sizes)], axis=-1)


def with_huge_boxes(outputs: Array, size: Size) -> Array:
    """Outputs (B,N,4+K) in which anchors are sure of the first class, in boxes 148 times their width.

    On all levels some; and every other one of P3, whose boxes are 148 times as high too and overlap, so that few of
    that crowd are kept. Where only so many of a level go on to decoding, they keep out what has a lower score.
    """
    outputs, some, crowd = outputs.copy(), slice(None, None, HUGE_EACH), slice(0, 2 * crowd_in(size), 2)
    outputs[:, some, 2] = HUGE_DELTA
    outputs[:, crowd, 2:4] = HUGE_DELTA
    for these in (some, crowd):
        outputs[:, these, 4] = 1 + np.linspace(0, 2, outputs[0, these].shape[0])
    return outputs


def crowd_in(size: Size) -> int:
    """How many anchors are half of P3's, which has nine in a cell of 8 pixels.

    Of a level's scores above the threshold these are the ones that are sure: noise of many classes brings others.
    """
    return 9 * math.ceil(size[0] / 8) * math.ceil(size[1] / 8) // 2


def _labels(rng: np.random.Generator, count: int, num_classes: int) -> Labels:
    """Any classes, but the first and the last among them: there counting goes wrong."""
    labels = rng.integers(num_classes, size=count)
    labels[:2] = [0, num_classes - 1][:count]
    return labels


def _decided(boxes: Array, anchors: Array) -> Array:
    """The boxes without those that leave an anchor's best box, or its class, to rounding.

    An anchor that meets two boxes alike, or one with an IoU next to a threshold, is assigned by chance.
    """
    kept: list[int] = []
    best = np.zeros(len(anchors))
    for i, overlap in enumerate(iou(boxes, anchors)):
        relevant = overlap > LEAST_RELEVANT
        overlaps = overlap[relevant]
        rival = np.abs(overlaps - best[relevant]) < UNDECIDED
        at_threshold = np.abs(overlaps[:, None] - THRESHOLDS) < UNDECIDED
        if not rival.any() and not at_threshold.any():
            kept.append(i)
            best = np.maximum(best, overlap)
    return boxes[kept]


def _random(rng: np.random.Generator, count: int, size: Size) -> Array:
    """Boxes from 8 pixels to most of the picture, within it."""
    sides = rng.uniform(8, 0.9 * min(size), (count, 2))
    corners = rng.uniform(0, 1, (count, 2)) * (np.array(size[::-1]) - sides)
    return np.concatenate([corners, corners + sides], axis=1)


def _pixels(rng: np.random.Generator, count: int, size: Size) -> Array:
    corners = rng.integers(0, min(size) - 1, (count, 2)).astype(np.float64)
    return np.concatenate([corners, corners + 1], axis=1)


def _at_thresholds() -> Array:
    """Boxes that meet an anchor of 32 by 32 around the middle of a cell with an IoU of exactly 1/2 and 2/5.

    They have its height and overlap 24 of their 40, and 20 of their 38 pixels of width; a box that held the anchor, or
    lay within it, would meet those of other ratios and the same area alike, up to rounding.
    """
    return np.array([[12.0, 12, 52, 44], [80, 28, 118, 60]])


def _within(anchors: Array, size: Size) -> Array:
    height, width = size
    inside = (anchors[:, :2] >= 0).all(axis=1) & (anchors[:, 2] <= width) & (anchors[:, 3] <= height)
    return anchors[inside] if inside.sum() >= 12 else anchors[:12]
