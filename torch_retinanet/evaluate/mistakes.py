"""The commonest mistakes, counted and as pictures."""

import heapq
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from torch_retinanet.boxes import box_area
from torch_retinanet.evaluate.matching import KINDS, SURE, Kind, Mistake, match

EXAMPLES = 6
"""Pictures that are shown of each kind of mistake, and of the worst."""


class MistakeExample(NamedTuple):
    """A mistake, how much it matters, and the index of the picture it is on.

    `weight` is the score of the detection, or the area of the object that was missed.
    """

    weight: float
    picture: int
    mistake: Mistake


class Mistakes(NamedTuple):
    """The mistakes of a data set.

    Attributes:
        counts: (P,5) of each picture, by `KINDS`.
        examples: of each kind, from that which matters most; of no picture more than one.
    """

    counts: Tensor
    examples: dict[Kind, list[MistakeExample]]

    def totals(self) -> dict[Kind, int]:
        """How many there are of each kind, the commonest first."""
        totals = dict(zip(KINDS, self.counts.sum(0).tolist(), strict=True))
        return dict(sorted(totals.items(), key=lambda item: -item[1]))

    def worst(self) -> list[int]:
        """The indices of the pictures with most mistakes."""
        of_picture = self.counts.sum(1)
        order = of_picture.argsort(descending=True, stable=True)[:EXAMPLES]
        return [index for index in order.tolist() if of_picture[index]]


def find_mistakes(
    detections: Sequence[Mapping[str, Tensor]], targets: Sequence[Mapping[str, Tensor]], *, threshold: float = SURE
) -> Mistakes:
    """What is wrong with detections from a score on, as `matching.match` says it, picture by picture."""
    counts = torch.zeros(len(targets), len(KINDS), dtype=torch.int64)
    gravest: dict[Kind, list[MistakeExample]] = {kind: [] for kind in KINDS}
    for index, (found, target) in enumerate(zip(detections, targets, strict=True)):
        of_picture: dict[Kind, MistakeExample] = {}
        for mistake in match(found, target, threshold=threshold).mistakes:
            counts[index, KINDS.index(mistake.kind)] += 1
            example = MistakeExample(_weight(mistake, found, target), index, mistake)
            of_picture[mistake.kind] = max(example, of_picture.get(mistake.kind, example), key=_by_weight)
        for kind, example in of_picture.items():
            gravest[kind] = heapq.nlargest(EXAMPLES, [*gravest[kind], example], key=_by_weight)
    return Mistakes(counts, gravest)


def _weight(mistake: Mistake, found: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> float:
    if mistake.detection >= 0:
        return found["scores"][mistake.detection].item()
    return box_area(target["boxes"][mistake.object]).item()


def _by_weight(example: MistakeExample) -> float:
    return example.weight
