"""Detections and objects whose numbers a person can check."""

from collections.abc import Sequence

import torch
from torch import Tensor

BOXES = torch.tensor([[10.0, 10, 50, 50], [60, 60, 100, 100]])
TRUTH = {"boxes": BOXES, "labels": torch.tensor([0, 1])}
ELSEWHERE = [200.0, 200, 240, 240]


def found(boxes: Tensor | Sequence[Sequence[float]], scores: list[float], labels: list[int]) -> dict[str, Tensor]:
    """The detections of a picture."""
    return {
        "boxes": torch.as_tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "scores": torch.tensor(scores, dtype=torch.float32),
        "labels": torch.tensor(labels, dtype=torch.int64),
    }


def truth(
    boxes: Tensor | Sequence[Sequence[float]], labels: list[int], ignored: list[bool] | None = None
) -> dict[str, Tensor]:
    """The objects of a picture."""
    objects = found(boxes, [0.0] * len(labels), labels)
    del objects["scores"]
    return objects if ignored is None else objects | {"ignored": torch.tensor(ignored)}


NOTHING = found([], [], [])
NO_OBJECTS = truth([], [])

HIT_MISS_HIT = found([BOXES[0].tolist(), ELSEWHERE, BOXES[1].tolist()], [0.9, 0.8, 0.7], [0, 0, 0])
"""Of two objects of one class: the first, nothing, the second."""
