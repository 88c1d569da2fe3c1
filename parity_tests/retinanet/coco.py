"""COCO's numbers of the detections of either side."""

from collections.abc import Sequence

import numpy as np
import torch

from parity_tests.retinanet.inputs import Labels
from parity_tests.retinanet.matching import Detections
from parity_tests.rule.record import Array
from torch_retinanet.evaluate import coco_metrics


def coco_numbers(
    detections: Sequence[Detections], boxes: Sequence[Array], labels: Sequence[Labels]
) -> dict[str, float]:
    """`map`, `map_50` and so on of detections against true boxes and labels, picture by picture."""
    found = [{name: torch.from_numpy(np.ascontiguousarray(v)) for name, v in d._asdict().items()} for d in detections]
    for picture in found:
        picture["labels"] = picture["labels"].long()
    true = [
        {"boxes": torch.from_numpy(b).reshape(-1, 4), "labels": torch.from_numpy(np.asarray(ids, np.int64))}
        for b, ids in zip(boxes, labels, strict=True)
    ]
    return coco_metrics(found, true)
