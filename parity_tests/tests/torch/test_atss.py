"""ATSS: which anchors a box takes, against the paper's algorithm written out box by box, and by hand."""

import math

import pytest
import torch
from torch import Tensor
from torchvision.ops import box_iou

from parity_tests.tests.support.detectors import noise
from torch_retinanet import RetinaNetConfig, RetinaNetDetector
from torch_retinanet.anchors import AnchorGenerator
from torch_retinanet.atss import CELLS, match_atss
from torch_retinanet.targets import BACKGROUND, LabelEncoder

ONE_A_CELL = RetinaNetConfig.monai(4, anchor_scales=(1.0,), anchor_ratios=(1.0,))
"""With one anchor a cell no two are equally near."""

BOXES = torch.tensor([[10.3, 7.1, 61.9, 40.2], [30.7, 20.9, 95.2, 118.6], [3.2, 90.1, 24.4, 101.7]])


def taken_by(box: Tensor, anchors: Tensor, per_level: list[int]) -> set[int]:
    """Zhang et al. 2020, algorithm 1, lines 3 to 12, but for the centre, which need not lie in the box."""
    middle = (box[:2] + box[2:]) / 2
    candidates: list[int] = []
    start = 0
    for count in per_level:
        near = [math.dist(middle, (anchors[i, :2] + anchors[i, 2:]) / 2) for i in range(start, start + count)]
        candidates += [start + i for i in sorted(range(count), key=near.__getitem__)[:CELLS]]
        start += count
    overlaps = box_iou(box[None], anchors[candidates])[0]
    return {i for i, iou in zip(candidates, overlaps, strict=True) if iou >= overlaps.mean() + overlaps.std()}


def test_a_box_takes_the_anchors_of_the_paper() -> None:
    generator = AnchorGenerator(ONE_A_CELL)
    anchors, per_level = generator.get_anchors(128, 128), generator.anchors_per_level(128, 128)
    taken = [taken_by(box, anchors, per_level) for box in BOXES]
    positive, box = match_atss(anchors, BOXES, per_level, per_cell=1)
    assert set(positive.nonzero().flatten().tolist()) == set.union(*taken)
    overlaps = box_iou(BOXES, anchors)
    for anchor in set.union(*taken):
        takers = [number for number, anchors_of in enumerate(taken) if anchor in anchors_of]
        assert box[anchor] == max(takers, key=lambda number: float(overlaps[number, anchor]))


def test_an_anchor_that_two_boxes_take_learns_the_one_that_it_fits_best() -> None:
    anchors = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10]])
    boxes = torch.tensor([[0.0, 0, 10, 5], [0, 0, 10, 9]])
    positive, box = match_atss(anchors, boxes, [4], per_cell=1)
    assert positive.tolist() == [True, False, False, False]
    assert box[0] == 1


def test_of_each_picture_all_other_anchors_are_background() -> None:
    anchors, per_level = torch.rand(64, 4).cumsum(1), [48, 16]
    empty = torch.zeros(0, 4)
    labels = [torch.tensor([1, 2, 3]), torch.zeros(0, dtype=torch.int64)]
    found = LabelEncoder(ONE_A_CELL).encode_batch(anchors * 50, [BOXES, empty], labels, per_level)
    assert set(found.classes[0].tolist()) <= {BACKGROUND, 1, 2, 3}
    assert set(found.classes[1].tolist()) == {BACKGROUND}
    assert found.deltas.isfinite().all()


@pytest.mark.planted
def test_a_detector_says_which_anchors_are_of_which_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses differ where the anchors of all levels are looked at as one."""
    config = RetinaNetConfig.monai(4, backbone="resnet18", width=16, head_depth=1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        detector = RetinaNetDetector(config).train()
    detector.freeze(norm=True)
    target = {"boxes": BOXES, "labels": torch.tensor([1, 2, 3])}
    right = detector([noise(3, 128, 128).sigmoid()], [target])
    monkeypatch.setattr(AnchorGenerator, "anchors_per_level", lambda self, h, w: [])
    wrong = detector([noise(3, 128, 128).sigmoid()], [target])
    assert right["bbox_regression"] != wrong["bbox_regression"]
