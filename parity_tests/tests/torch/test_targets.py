"""Target assignment: torchvision's matcher in its preset, thresholds to the digit, and batches of every kind."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torchvision.models.detection._utils import Matcher
from torchvision.ops import box_iou

from torch_retinanet import RetinaNetConfig
from torch_retinanet.anchors import AnchorGenerator
from torch_retinanet.boxes import decode
from torch_retinanet.targets import BACKGROUND, IGNORED, LabelEncoder, Targets

KERAS_IO, TORCHVISION = RetinaNetConfig.keras_io(num_classes=10), RetinaNetConfig.torchvision(num_classes=10)


def random_picture(count: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=generator) * 110 - 10
    boxes = torch.cat([corners, corners + 4 + torch.rand(count, 2, generator=generator) * 70], dim=1)
    return boxes, torch.randint(10, (count,), generator=generator)


def encode(config: RetinaNetConfig, *pictures: tuple[Tensor, Tensor]) -> Targets:
    anchors = AnchorGenerator(config).get_anchors(128, 128)
    boxes, labels = zip(*pictures, strict=True)
    return LabelEncoder(config).encode_batch(anchors, boxes, labels)


EMPTY = (torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
PICTURES = [random_picture(5, 0), EMPTY, random_picture(200, 1), random_picture(1, 2)]


@pytest.mark.parametrize("picture", [0, 2, 3])
def test_the_torchvision_preset_assigns_as_torchvision_does(picture: int) -> None:
    boxes, labels = PICTURES[picture]
    anchors = AnchorGenerator(TORCHVISION).get_anchors(128, 128)
    matched = Matcher(0.5, 0.4, allow_low_quality_matches=True)(box_iou(boxes, anchors))
    expected = torch.where(matched >= 0, labels[matched.clamp(min=0)], matched)
    assert torch.equal(encode(TORCHVISION, PICTURES[picture]).classes[0], expected)


def test_a_batch_is_its_pictures_one_by_one() -> None:
    together = encode(KERAS_IO, *PICTURES)
    for i, picture in enumerate(PICTURES):
        alone = encode(KERAS_IO, picture)
        assert torch.equal(together.classes[i], alone.classes[0])
        assert torch.equal(together.deltas[i], alone.deltas[0])


@pytest.mark.parametrize("config", [KERAS_IO, TORCHVISION], ids=["keras_io", "torchvision"])
def test_a_picture_without_boxes_is_background_alone(config: RetinaNetConfig) -> None:
    for assigned in (encode(config, EMPTY), encode(config, EMPTY, EMPTY)):
        assert (assigned.classes == BACKGROUND).all()
        assert assigned.normaliser.sum() == 0
        assert torch.isfinite(assigned.deltas).all()


def one_anchor(config: RetinaNetConfig, box: list[float]) -> int:
    """The class that an anchor of 10 by 10 at the origin gets from one box of class 7."""
    anchor = torch.tensor([[0.0, 0, 10, 10]])
    classes = LabelEncoder(config).encode_batch(anchor, [torch.tensor([box])], [torch.tensor([7])]).classes
    return int(classes)


def test_thresholds_belong_to_the_upper_side() -> None:
    """Positive from 0.5 on, background below 0.4, ignored between (the keras.io example's LabelEncoder)."""
    assert one_anchor(KERAS_IO, [0, 0, 5, 10]) == 7  # IoU is exactly 0.5
    assert one_anchor(KERAS_IO, [0, 0, 4.999, 10]) == IGNORED
    assert one_anchor(KERAS_IO, [0, 0, 4, 10]) == IGNORED  # exactly 0.4
    assert one_anchor(KERAS_IO, [0, 0, 3.999, 10]) == BACKGROUND


def test_a_forced_match_is_the_best_anchor_of_a_box_however_bad() -> None:
    assert one_anchor(replace(KERAS_IO, force_match=True), [0, 0, 1, 1]) == 7
    assert one_anchor(KERAS_IO, [0, 0, 1, 1]) == BACKGROUND
    assert one_anchor(replace(KERAS_IO, force_match=True), [50, 50, 60, 60]) == BACKGROUND


def test_of_equal_boxes_the_first_wins() -> None:
    anchor = torch.tensor([[0.0, 0, 10, 10]])
    boxes, labels = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10]]), torch.tensor([3, 4])
    assert LabelEncoder(KERAS_IO).encode_batch(anchor, [boxes], [labels]).classes.item() == 3


def test_boxes_equal_to_anchors_have_no_deltas() -> None:
    anchors = AnchorGenerator(KERAS_IO).get_anchors(128, 128)[::301]
    assigned = LabelEncoder(KERAS_IO).encode_batch(anchors, [anchors], [torch.arange(len(anchors)) % 10])
    assert torch.equal(assigned.classes[0], torch.arange(len(anchors)) % 10)
    torch.testing.assert_close(assigned.deltas, torch.zeros_like(assigned.deltas), rtol=0, atol=1e-4)


def test_a_thousand_boxes_and_boxes_of_one_pixel_are_finite() -> None:
    pixel = (torch.tensor([[3.0, 3, 4, 4]]), torch.tensor([1]))
    assigned = encode(replace(KERAS_IO, force_match=True), random_picture(1000, 3), pixel)
    assert torch.isfinite(assigned.deltas).all()
    assert assigned.normaliser[1] >= 1


def test_an_anchor_in_an_ignored_region_is_no_background() -> None:
    anchors = torch.tensor([[0.0, 0, 10, 10], [6, 0, 16, 10], [0, 6, 10, 16], [30, 30, 40, 40]])
    boxes = [torch.tensor([[0.0, 0, 10, 10]]), torch.zeros(0, 4)]
    targets = LabelEncoder(KERAS_IO).encode_batch(anchors, boxes, [torch.tensor([3]), torch.zeros(0, dtype=torch.long)])
    region = torch.tensor([[0.0, 0, 11, 20]])
    ignored = LabelEncoder(KERAS_IO).ignore(targets, anchors, [region, region])
    assert targets.classes.tolist() == [[3, -1, -1, -1], [-1, -1, -1, -1]]
    assert ignored.classes.tolist() == [[3, -2, -2, -1], [-2, -2, -2, -1]], "an object stays one; from half of it on"
    assert LabelEncoder(KERAS_IO).ignore(targets, anchors, [region[:0]] * 2).classes.equal(targets.classes)


@pytest.mark.parametrize(("forced_box", "box"), [("best", 0), ("own", 1)])
def test_an_anchor_that_is_the_best_of_a_box_learns_that_box_or_the_one_it_fits_best(forced_box: str, box: int) -> None:
    """mmdetection's MaxIoUAssigner, asked the same, gives the second box to the first anchor, which fits the first."""
    anchors = torch.tensor([[0.0, 0, 100, 100], [0, 0, 20, 20]])
    boxes = torch.tensor([[0.0, 0, 100, 90], [0, 0, 100, 60]])
    config = TORCHVISION.changed(forced_box=forced_box)
    found = LabelEncoder(config).encode_batch(anchors, [boxes], [torch.tensor([0, 1])])
    assert found.classes[0].tolist() == [box, BACKGROUND]
    learnt = decode(found.deltas[0, :1], anchors[:1], config.box_variance)
    torch.testing.assert_close(learnt, boxes[box][None], rtol=0, atol=1e-4)
