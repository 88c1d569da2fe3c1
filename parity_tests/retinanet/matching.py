"""Two sets of detections held against each other: pairs of one class and place, and what is left. Needs numpy alone."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from parity_tests.retinanet.inputs import Labels
from parity_tests.rule.budgets import rounding_budget
from parity_tests.rule.compare import compare_values
from parity_tests.rule.record import Array, Record, Verdict, Where

TIE = 1e-6
"""How near to a threshold a score or an overlap must stand to excuse a detection that only one side has."""

SAME_SCORE = 1e-12
"""How near two scores must be to be that of one anchor, whose box is then wrong on one side, and no rival of it."""

SAME_PLACE = 0.9
"""The IoU from which two detections of one class are taken for the same."""


NOTHING = "neither side found anything"


class Detections(NamedTuple):
    """What was found in one picture, best first: boxes (M,4) xyxy in pixels, scores (M,), labels (M,)."""

    boxes: Array
    scores: Array
    labels: Labels


class Limits(NamedTuple):
    """Where detections are cut off: score, IoU of one class, and number in a picture."""

    score: float
    iou: float
    most: int


def compare_detections(
    rung: str,
    where: Where,
    references: Sequence[Detections],
    ports: Sequence[Detections],
    *,
    limits: Limits | None,
    units: int,
) -> list[Record]:
    """Records of the set itself, `det.set`, and of the boxes and scores of all pairs, `det.boxes` and `det.scores`.

    What stands at one of the `limits` is excused where one side alone has it; without limits nothing is.
    """
    if len(references) != len(ports):
        reason = f"of {len(ports)} pictures, and the reference found {len(references)}"
        return [Record(rung=rung, where=where, name="det.set", verdict="different", reason=reason)]
    pairs = [_pairs(reference, port) for reference, port in zip(references, ports, strict=True)]
    records = [_compare_sets(rung, where, references, ports, pairs, limits)]
    for name in ("boxes", "scores"):
        sides = [
            np.concatenate([getattr(d, name)[pair[:, side]] for d, pair in zip(found, pairs, strict=True)])
            for side, found in enumerate((references, ports))
        ]
        if sides[0].size:
            budget = rounding_budget(sides[0], units)
            records.append(compare_values(rung, where, f"det.{name}", sides[0], sides[1], budget))
    return records


def compare_order(
    rung: str, where: Where, references: Sequence[Detections], ports: Sequence[Detections], *, units: int
) -> list[Record]:
    """A record of the scores one after the other as they are given, `det.order`, where there are as many."""
    sides = [np.concatenate([found.scores for found in side]) for side in (references, ports)]
    if not sides[0].size or sides[0].shape != sides[1].shape:
        return []
    return [compare_values(rung, where, "det.order", sides[0], sides[1], rounding_budget(sides[0], units))]


def share_changed(references: Sequence[Detections], ports: Sequence[Detections]) -> float:
    """The share of detections that one side has and the other has not, of one class and in one place."""
    sides = zip(references, ports, strict=True)
    shared = sum(len(_pairs(reference, port)) for reference, port in sides)
    most = max(sum(len(d.scores) for d in found) for found in (references, ports))
    return 1 - shared / most if most else 0.0


def iou(left: Array, right: Array) -> Array:
    """Intersection over union (M,N) of boxes (M,4) and (N,4)."""
    width, height = (
        np.minimum.outer(left[:, high], right[:, high]) - np.maximum.outer(left[:, low], right[:, low])
        for low, high in ((0, 2), (1, 3))
    )
    intersection = np.clip(width, 0, None) * np.clip(height, 0, None)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (left, right)]
    with np.errstate(invalid="ignore"):
        overlap: Array = np.nan_to_num(intersection / (areas[0][:, None] + areas[1][None] - intersection))
    return overlap


def _pairs(reference: Detections, port: Detections) -> NDArray[np.int64]:
    """Index pairs (P,2) of detections of one class in one place, each used once, the best overlap first."""
    overlap = iou(reference.boxes, port.boxes) * (reference.labels[:, None] == port.labels[None])
    candidates = np.argwhere(overlap >= SAME_PLACE)
    order = np.argsort(-overlap[candidates[:, 0], candidates[:, 1]], kind="stable")
    pairs: dict[int, int] = {}
    for i, j in candidates[order].tolist():
        if i not in pairs and j not in pairs.values():
            pairs[i] = j
    return np.array(sorted(pairs.items()), dtype=np.int64).reshape(-1, 2)


def _compare_sets(
    rung: str,
    where: Where,
    references: Sequence[Detections],
    ports: Sequence[Detections],
    pairs: Sequence[NDArray[np.int64]],
    limits: Limits | None,
) -> Record:
    """Whether both sides have the same detections; one that has no pair is excused by a threshold, or is an error."""
    unexcused: list[str] = []
    ties: list[str] = []
    for picture, (reference, port, pair) in enumerate(zip(references, ports, pairs, strict=True)):
        for side, (own, other) in enumerate(((reference, port), (port, reference))):
            for i in sorted(set(range(len(own.scores))) - set(pair[:, side].tolist())):
                what = f"picture {picture}: class {own.labels[i]} with score {own.scores[i]:.6f}"
                lacking = f"{what} is missing in the {'port' if side == 0 else 'reference'}"
                (ties if limits and _is_tie(own, other, i, limits) else unexcused).append(lacking)
    shapes = [(sum(len(d.scores) for d in found),) for found in (references, ports)]
    verdict: Verdict = "different" if unexcused else "tie" if ties else "equal"
    if not any(len(found.scores) for found in (*references, *ports)):
        verdict = "incomplete"
    reasons = unexcused or ties
    return Record(
        rung=rung,
        where=where,
        name="det.set",
        verdict=verdict,
        reference_shape=shapes[0],
        port_shape=shapes[1],
        reason=f"{reasons[0]}, {len(reasons)} in all" if reasons else NOTHING if verdict == "incomplete" else "",
    )


def _is_tie(own: Detections, other: Detections, i: int, limits: Limits) -> bool:
    """Whether a detection that the other side lacks stood within `TIE` of a threshold.

    That of the score; of the overlap with a better one of its class; of the score of the last one kept; or of the
    score of an overlapping one that the other side kept in its place.
    """
    score, box = own.scores[i], own.boxes[i : i + 1]
    if abs(score - limits.score) <= TIE:
        return True
    for found in (own, other):
        overlap = iou(box, found.boxes)[0]
        near = (np.abs(overlap - limits.iou) <= TIE) & (found.labels == own.labels[i])
        if near.any():
            return True
    if len(other.scores) == limits.most and abs(score - other.scores.min()) <= TIE:
        return True
    overlap = iou(box, other.boxes)[0]
    apart = np.abs(other.scores - score)
    rivals = (overlap > limits.iou) & (other.labels == own.labels[i]) & (apart > SAME_SCORE) & (apart <= TIE)
    return bool(rivals.any())
