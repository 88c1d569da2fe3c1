"""The reference's metric is COCO's own: what the port's evaluation has wrong shows, and is named."""

import numpy as np
import pytest

from parity_tests.retinanet.coco import coco_numbers, numbers_of_coco
from parity_tests.retinanet.inputs import Labels, Marks
from parity_tests.retinanet.matching import Detections
from parity_tests.rule.record import Array
from torch_retinanet.evaluate import coco

CLASSES, WRONG_BOXES = 4, 3


def found_near_the_truth(pictures: int = 12) -> tuple[list[Detections], list[Array], list[Labels], list[Marks]]:
    """Detections, boxes, labels and marks: each box is found a little beside it, and others are found too."""
    rng, found, boxes, labels = np.random.default_rng(0), list[Detections](), list[Array](), list[Labels]()
    for count in rng.integers(0, 9, pictures):
        corners, sides = rng.uniform(0, 100, (count, 2)), rng.uniform(5, 120, (count, 2))
        boxes.append(np.concatenate([corners, corners + sides], axis=1))
        labels.append(rng.integers(CLASSES, size=count))
        others = rng.uniform([0, 0, 60, 60], [50, 50, 110, 110], (WRONG_BOXES, 4))
        near = np.concatenate([boxes[-1] + rng.normal(0, 4, (count, 4)), others])
        classes = np.concatenate([labels[-1], rng.integers(CLASSES, size=WRONG_BOXES)])
        found.append(Detections(boxes=near, scores=rng.uniform(0, 1, len(near)), labels=classes))
    areas = [np.prod(corners[:, 2:] - corners[:, :2], axis=1) / 2 for corners in boxes]
    return found, boxes, labels, [Marks(np.arange(len(of)) < place % 3, of) for place, of in enumerate(areas)]


def names_that_differ() -> list[str]:
    expected, found = numbers_of_coco(*found_near_the_truth()), coco_numbers(*found_near_the_truth())
    assert list(expected) == list(found)
    return [name for name, value in expected.items() if abs(value - found[name]) > 5e-7]


def test_the_port_has_the_numbers_of_coco() -> None:
    assert names_that_differ() == []


@pytest.mark.planted
def test_overlaps_that_end_too_early_change_what_is_a_mean_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coco, "IOUS", np.arange(0.5, 0.95, 0.05).tolist())
    found = names_that_differ()
    assert found[0] == "map"
    assert "map_50" not in found
