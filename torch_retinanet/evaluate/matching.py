"""Which detection is of which object, and what is wrong with the others.

The kinds of mistakes are those of Bolya et al., TIDE (arXiv 2008.08115), but that a detection whose place and class are
both wrong is called badly placed.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from torch_retinanet.boxes import box_area, box_iou
from torch_retinanet.data.annotations import Bools, Floats
from torch_retinanet.evaluate.truth import NO_CLASS, ignored_of

FOUND = 0.5
"""The IoU from which on a detection is at the place of an object."""

NEAR = 0.1
"""The IoU from which on a detection means an object, though it is badly placed."""

SURE = 0.3
"""The score from which on a detection counts, where none is given."""

Kind = Literal["missed", "wrong class", "badly placed", "twice found", "background"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Mistake(NamedTuple):
    """A detection that is wrong, or an object that was missed.

    Attributes:
        kind: `missed`, no detection is at the place of the object or badly placed there; `wrong class`, at the place of
            an object of another class, the best for each object; `badly placed`, at an IoU of 0.1 to 0.5 with an
            object; `twice found`, at the place of an object that a better one has found; `background`, at no object.
        detection: its index, or -1 for an object that was missed.
        object: the index of the object that is meant, or -1 for background.
    """

    kind: Kind
    detection: int
    object: int


class Matching(NamedTuple):
    """Detections and objects of a picture, side by side.

    Attributes:
        pairs: detection and object at one place, of one class or of two.
        extra: detections of no object, or of one that another has found.
        missing: objects at whose place no detection is.
        mistakes: what is wrong.
    """

    pairs: list[tuple[int, int]]
    extra: list[int]
    missing: list[int]
    mistakes: list[Mistake]


def match(found: Mapping[str, Tensor], target: Mapping[str, Tensor], *, threshold: float = SURE) -> Matching:
    """The detections of a picture from a score on, and which objects they are of.

    The best detection first, each takes of the objects of its class that are left the one that it overlaps most, at an
    IoU of 0.5 or more; those that find none take objects of other classes. A detection of which half or more lies in
    an ignored box of its class, or of none, does not count, unless it has an object.

    Args:
        found: `boxes` (M,4) xyxy, `scores` (M,), `labels` (M,).
        target: `boxes` (G,4) xyxy, `labels` (G,), and `ignored` (G,) where some are.
        threshold: the score.
    """
    boxes, scores, labels = (found[name].as_subclass(Tensor).cpu() for name in ("boxes", "scores", "labels"))
    true_boxes, true_labels = (target[name].as_subclass(Tensor).cpu() for name in ("boxes", "labels"))
    ignored = ignored_of(target).cpu().numpy()
    same: Bools = ((labels[:, None] == true_labels) | (true_labels == NO_CLASS)).numpy()
    overlap: Floats = box_iou(boxes.double(), true_boxes.double()).numpy() * ~ignored
    sure = (scores >= threshold).numpy()
    order = [i for i in np.argsort(-scores.numpy(), kind="stable").tolist() if sure[i]]
    pairs = _pairs(overlap * same, order)
    idle = (_share_inside(boxes, true_boxes) * (same & ignored) >= FOUND).any(axis=1)
    found_right = {i for i, _ in pairs}
    free = [i for i in order if not idle[i] and i not in found_right]
    others = overlap.copy()
    others[:, [j for _, j in pairs]] = 0
    pairs += _pairs(others, free)
    matched, taken = {i for i, _ in pairs}, {j for _, j in pairs}
    extra = [i for i in free if i not in matched]
    missing = [j for j in range(len(true_labels)) if j not in taken and not ignored[j]]
    return Matching(pairs, extra, missing, _mistakes(pairs, extra, missing, overlap, same))


def _pairs(overlap: Floats, order: Iterable[int]) -> list[tuple[int, int]]:
    """Detection and object, the detections in order; `overlap` (M,G) is 0 for what must not be a pair."""
    left, pairs = overlap.copy(), []
    anywhere: Bools = np.any(overlap >= FOUND, axis=1)
    for i in order:
        if anywhere[i]:
            j = int(left[i].argmax())
            if left[i, j] >= FOUND:
                pairs.append((i, j))
                left[:, j] = 0
    return pairs


def _share_inside(boxes: Tensor, others: Tensor) -> Floats:
    """The share (M,G) of each box (M,4) that lies in each of the others (G,4)."""
    top_left = torch.maximum(boxes[:, None, :2], others[:, :2])
    inside = (torch.minimum(boxes[:, None, 2:], others[:, 2:]) - top_left).clamp(min=0).prod(-1)
    area = box_area(boxes)[:, None]
    share: Floats = torch.where(area > 0, inside / area, 0).numpy()
    return share


def _mistakes(
    pairs: Iterable[tuple[int, int]], extra: Sequence[int], missing: Iterable[int], overlap: Floats, same: Bools
) -> list[Mistake]:
    wrong = [Mistake("wrong class", i, j) for i, j in pairs if not same[i, j]]
    confused = {mistake.object for mistake in wrong}
    for i in extra:
        in_class, anywhere = overlap[i] * same[i], overlap[i]
        if not len(anywhere) or anywhere.max() < NEAR:
            wrong.append(Mistake("background", i, -1))
        elif in_class.max() >= FOUND:
            wrong.append(Mistake("twice found", i, int(in_class.argmax())))
        elif anywhere.max() >= FOUND:
            meant = int(anywhere.argmax())
            wrong += [Mistake("wrong class", i, meant)] if meant not in confused else []
            confused.add(meant)
        else:
            nearest = in_class if in_class.max() >= NEAR else anywhere
            wrong.append(Mistake("badly placed", i, int(nearest.argmax())))
    approached = {mistake.object for mistake in wrong if mistake.kind == "badly placed"}
    return wrong + [Mistake("missed", -1, j) for j in missing if j not in approached]
