"""Which box each anchor fits best: as the whole table of IoU has it, bit for bit, wherever boxes and anchors lie."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from torch_retinanet import RetinaNetConfig, overlaps
from torch_retinanet.anchors import AnchorGenerator
from torch_retinanet.boxes import box_iou, encode
from torch_retinanet.targets import BACKGROUND, IGNORED, LabelEncoder, Targets, with_last_pixel

TORCHVISION = RetinaNetConfig.torchvision(num_classes=100)
ANCHORS = AnchorGenerator(TORCHVISION).get_anchors(64, 96)[::7]
NUMBERS = [0.0, 0.0, 1e-30, 1.0, 8.0, 16.0, 31.5, 32.0, 64.0, 90.0, -7.0, -1e6, 1e5, 3e20]
"""Edges of which few are different, so that boxes are equal, empty, inside out, beyond the picture, tiny and huge."""

EDGES = st.sampled_from(NUMBERS) | st.floats(-20, 120, width=32)
PICTURES = st.lists(st.lists(st.tuples(EDGES, EDGES, EDGES, EDGES), max_size=9), min_size=1, max_size=3)
WAYS: dict[str, tuple[dict[str, int], int]] = {
    "by the box": ({"cpu": 1}, 1),
    "in blocks": ({"cpu": 500}, 20),
    "as on a GPU": ({}, 1024),
}
FACTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "forced": {"force_match": True},
    "own": {"force_match": True, "forced_box": "own"},
    "with the last pixel": {"box_sides": "pixels", "force_match": True},
    "no gap": {"ignore_iou": 0.5, "background_iou": "up_to"},
    "nothing ignored": {"ignore_iou": 0.0},
    "nothing too far": {"match_iou": 0.0, "ignore_iou": 0.0, "force_match": True, "forced_box": "own"},
}


def from_the_table(config: RetinaNetConfig, anchors: Tensor, boxes: list[Tensor], labels: list[Tensor]) -> Targets:
    """What the rules say, from the IoU of every anchor with every box."""
    if config.box_sides == "pixels":
        anchors, boxes = with_last_pixel(anchors), [with_last_pixel(of_picture) for of_picture in boxes]
    filled = pad_sequence([*boxes, torch.zeros(1, 4)], batch_first=True)[:-1].to(anchors)
    of_boxes = pad_sequence([*labels, torch.zeros(1, dtype=torch.int64)], batch_first=True)[:-1]
    table = box_iou(filled, anchors)
    iou, box = table.max(dim=1)
    best = table.amax(dim=2, keepdim=True)
    forced = (table == best) & (best > 0) & torch.tensor(config.force_match)
    if config.forced_box == "own":
        last = (forced * torch.arange(filled.shape[1])[:, None]).amax(dim=1)
        box = torch.where(forced.any(dim=1), last, box)
    positive = (iou >= config.match_iou) | forced.any(dim=1)
    low = iou <= config.ignore_iou if config.background_iou == "up_to" else iou < config.ignore_iou
    classes = of_boxes.gather(1, box).masked_fill(~positive, IGNORED).masked_fill(~positive & low, BACKGROUND)
    learnt = torch.where(positive[..., None], filled.gather(1, box[..., None].expand(-1, -1, 4)), anchors)
    return Targets(classes, encode(learnt, anchors, config.box_variance))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("facts", FACTS)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(pictures=PICTURES, dtype=st.sampled_from([torch.float32, torch.float64]))
def test_the_best_boxes_are_those_of_the_whole_table(
    pictures: list[list[tuple[float, ...]]], dtype: torch.dtype, facts: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlaps, "PAIRS", WAYS[way][0])
    monkeypatch.setattr(overlaps, "CHUNK", WAYS[way][1])
    config = replace(TORCHVISION, **({"force_match": False} | FACTS[facts]))
    boxes = [torch.tensor(picture).reshape(-1, 4) for picture in pictures]
    labels = [torch.arange(len(of_picture)) + 1 for of_picture in boxes]
    anchors = ANCHORS.to(dtype)
    found = LabelEncoder(config).encode_batch(anchors, boxes, labels)
    expected = from_the_table(config, anchors, boxes, labels)
    assert torch.equal(found.classes, expected.classes)
    assert torch.equal(found.deltas.nan_to_num(7), expected.deltas.nan_to_num(7))
    for of_picture in (picture.to(anchors) for picture in boxes if len(picture)):
        best = overlaps.Overlaps(anchors).best(of_picture, force=False, own=False)
        assert torch.equal(best.iou, box_iou(of_picture, anchors).amax(dim=0))


def test_anchors_in_any_order_get_the_same_boxes() -> None:
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(ANCHORS), generator=generator)
    corners = torch.rand(40, 2, generator=generator) * 60
    boxes = torch.cat([corners, corners + 5 + torch.rand(40, 2, generator=generator) * 40], dim=1)
    found = [overlaps.Overlaps(anchors).best(boxes, force=True, own=True) for anchors in (ANCHORS, ANCHORS[order])]
    for right, shuffled in zip(*found, strict=True):
        assert torch.equal(right[order], shuffled)


def test_a_box_meets_the_anchors_around_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlaps, "PAIRS", {"cpu": 1})
    anchors = AnchorGenerator(TORCHVISION).get_anchors(1024, 1024)
    boxes = torch.tensor([[500.0, 500, 520, 520], [0, 500, 1024, 520], [0, 5000, 256, 5020], [5000, 0, 5020, 256]])
    looked_at = overlaps.Overlaps(anchors)._near(boxes, len(boxes))
    small, wide, below, beside = (len(chunks) * overlaps.CHUNK / len(anchors) for chunks in looked_at)
    assert 0 < small < 0.1 < wide < 0.4
    assert below == beside == 0


def test_without_anchors_nothing_is_found() -> None:
    best = overlaps.Overlaps(torch.zeros(0, 4)).best(torch.tensor([[0.0, 0, 8, 8]]), force=True, own=True)
    assert [len(found) for found in best] == [0, 0, 0, 0]
