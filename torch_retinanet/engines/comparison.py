"""Two sets of detections of one picture held against each other. Needs numpy alone.

It is the rule of this project's instrument, which pairs detections of one class in one place, whatever the order of
equals; the best come first. The bound is the one that it gives to values that went through a whole network: 1024
roundings of the largest value, of boxes and of scores, in float32.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

ROUNDINGS = 1024
"""Units of rounding that boxes and scores may differ by, as shares of the largest."""

SAME_PLACE = 0.9
"""The IoU from which two detections of one class are taken for the same."""

Floats = NDArray[np.float32]


class FoundObjects(NamedTuple):
    """What was found in one picture: boxes (M,4) xyxy in pixels, scores (M,), labels (M,)."""

    boxes: Floats
    scores: Floats
    labels: NDArray[np.int64]


class Distance(NamedTuple):
    """How far two sets are from each other.

    Attributes:
        share: the largest difference, as a share of what is allowed.
        reason: the first thing that differs, and by how much; empty where all is within the bound.
    """

    share: float
    reason: str = ""


def distance(expected: FoundObjects, found: FoundObjects) -> Distance:
    """How far detections are from those that are expected."""
    if len(found.scores) != len(expected.scores):
        return Distance(np.inf, f"{len(found.scores)} detections, and {len(expected.scores)} are expected")
    if (found.scores[1:] > found.scores[:-1]).any():
        i = int((found.scores[1:] > found.scores[:-1]).argmax())
        return Distance(np.inf, f"score {found.scores[i + 1]:.6f} comes after {found.scores[i]:.6f}, not best first")
    pairs = _pairs(expected, found)
    if len(pairs) < len(expected.scores):
        i = min(set(range(len(expected.scores))) - {*pairs[:, 0].tolist()})
        what = f"label {expected.labels[i]} with score {expected.scores[i]:.6f} at {_box(expected.boxes[i])}"
        return Distance(np.inf, f"{what} is expected and missing")
    shares = [_share(name, expected, found, pairs) for name in ("boxes", "scores")]
    return max(shares, key=lambda one: one.share)


def same_places(expected: FoundObjects, found: FoundObjects) -> bool:
    """Whether both are of the same classes in the same places, whatever their scores."""
    return len(expected.scores) == len(found.scores) == len(_pairs(expected, found))


def allowed(values: NDArray[np.floating[Any]]) -> float:
    """How far two of these values may be apart: so many roundings of the largest."""
    return ROUNDINGS * float(np.finfo(np.float32).eps) * float(np.abs(values).max())


def _share(name: str, expected: FoundObjects, found: FoundObjects, pairs: NDArray[np.int64]) -> Distance:
    """How far boxes or scores of pairs are apart."""
    left, right = getattr(expected, name)[pairs[:, 0]], getattr(found, name)[pairs[:, 1]]
    if not left.size:
        return Distance(0.0)
    bound = allowed(left)
    apart = np.abs(left.astype(np.float64) - right)
    share = float(apart.max() / bound) if np.isfinite(apart).all() else np.inf
    if share <= 1:
        return Distance(share)
    i = int(apart.reshape(len(left), -1).max(1).argmax())
    words = f"{name} of label {expected.labels[pairs[i, 0]]} with score {expected.scores[pairs[i, 0]]:.6f} differ"
    return Distance(share, f"{words} by {apart.max():.3g}, and {bound:.3g} is allowed")


def _pairs(expected: FoundObjects, found: FoundObjects) -> NDArray[np.int64]:
    """Index pairs (P,2) of detections of one class in one place, each used once, the best overlap first."""
    overlap = _iou(expected.boxes, found.boxes) * (expected.labels[:, None] == found.labels[None])
    candidates = np.argwhere(overlap >= SAME_PLACE)
    order = np.argsort(-overlap[candidates[:, 0], candidates[:, 1]], kind="stable")
    pairs: dict[int, int] = {}
    used: set[int] = set()
    for i, j in candidates[order].tolist():
        if i not in pairs and j not in used:
            pairs[i] = j
            used.add(j)
    return np.array(sorted(pairs.items()), dtype=np.int64).reshape(-1, 2)


def _iou(left: Floats, right: Floats) -> NDArray[np.float64]:
    """Intersection over union (M,N); 1 of two equal boxes without an extent."""
    a, b = left.astype(np.float64), right.astype(np.float64)
    sides = [
        np.minimum.outer(a[:, high], b[:, high]) - np.maximum.outer(a[:, low], b[:, low])
        for low, high in ((0, 2), (1, 3))
    ]
    shared = np.clip(sides[0], 0, None) * np.clip(sides[1], 0, None)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (a, b)]
    union = areas[0][:, None] + areas[1][None] - shared
    near = np.abs(a[:, None] - b[None]).max(-1) <= ROUNDINGS * np.finfo(np.float32).eps * max(
        1.0, np.abs(a).max(initial=0)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        overlap: NDArray[np.float64] = np.where(near, 1.0, np.nan_to_num(shared / union))
    return overlap


def _box(box: Floats) -> str:
    return ",".join(f"{edge:.1f}" for edge in box)


def sample_distance(name: str, expected: Mapping[str, Any], found: Mapping[str, Any]) -> Distance:
    """How far values of a network's output are apart; the bound follows the largest value of the whole output."""
    if expected["shape"] != found["shape"]:
        return Distance(np.inf, f"{name} has the shape {found['shape']}, and {expected['shape']} is expected")
    apart = np.abs(np.array(expected["values"], np.float64) - np.array(found["values"], np.float64))
    allowed = ROUNDINGS * float(np.finfo(np.float32).eps) * max(float(expected["largest"]), 1e-30)
    share = float(apart.max() / allowed) if np.isfinite(apart).all() else np.inf
    if share <= 1:
        return Distance(share)
    return Distance(share, f"{name} differ by {apart.max():.3g}, and {allowed:.3g} is allowed")
