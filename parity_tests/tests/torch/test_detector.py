"""The detector as torchvision's users meet it: a drop-in, true to its pictures, plain about wrong input."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch import Tensor, nn
from torchvision import tv_tensors
from torchvision.ops import box_convert

from parity_tests.tests.support.detectors import BOXES, LABELS, SMALL, detector, noise
from torch_retinanet import InputError, RetinaNetConfig, RetinaNetDetector
from torch_retinanet.boxes import box_iou
from torch_retinanet.weights.published.torchvision import torchvision_name


@pytest.fixture(scope="module")
def small() -> RetinaNetDetector:
    return detector()


def assert_same(left: dict[str, Tensor], right: dict[str, Tensor], *, rtol: float = 1e-9) -> None:
    assert left.keys() == right.keys() == {"boxes", "labels", "scores"}
    for name in left:
        torch.testing.assert_close(left[name], right[name], rtol=rtol, atol=rtol)


@pytest.fixture(scope="module")
def theirs_and_ours() -> tuple[nn.Module, RetinaNetDetector]:
    """torchvision's model and ours, with the same weights, for small pictures."""
    build = torchvision.models.detection.retinanet_resnet50_fpn
    sizes = {"min_size": 96, "max_size": 160}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = build(weights=None, weights_backbone=None, num_classes=5, score_thresh=0.2, **sizes).double()
    ours = RetinaNetDetector(
        replace(RetinaNetConfig.torchvision(num_classes=5), min_side=96, max_side=160, score_threshold=0.2)
    ).double()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for parameter in theirs.head.classification_head.cls_logits.parameters():
            nn.init.normal_(parameter, std=0.1)  # not so loud that scores are 1, among which the order is chance
    ours.model.load_state_dict({n: theirs.state_dict()[torchvision_name(n)] for n in ours.model.state_dict()})
    return theirs, ours


PICTURES = [noise(3, 70, 90), noise(3, 120, 64, seed=1), noise(3, 50, 200, seed=2)]


@torch.no_grad()
def test_the_torchvision_preset_detects_what_torchvision_does(theirs_and_ours: tuple[Any, Any]) -> None:
    """To single precision, in which torchvision keeps the scales of a resized picture."""
    theirs, ours = (model.eval() for model in theirs_and_ours)
    for picture in PICTURES:
        expected = theirs([picture.double()])[0]
        assert len(expected["boxes"]) > 10
        assert_same(ours([picture.double()])[0], expected, rtol=1e-6)


def test_the_torchvision_preset_has_the_losses_of_torchvision(theirs_and_ours: tuple[Any, Any]) -> None:
    theirs, ours = (model.train() for model in theirs_and_ours)
    targets = [
        {"boxes": BOXES, "labels": LABELS},
        {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)},
        {"boxes": BOXES / 2, "labels": LABELS - 1},
    ]
    images = [picture.double() for picture in PICTURES]
    expected, found = theirs(images, targets), ours(images, targets)
    assert found.keys() == expected.keys()
    for name, loss in expected.items():
        torch.testing.assert_close(found[name], loss, rtol=1e-6, atol=0)


class PicturesAndTargets(torch.utils.data.Dataset[tuple[Tensor, dict[str, Any]]]):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Any]]:
        return noise(3, 64, 64 + index, seed=index), {"boxes": BOXES, "labels": LABELS, "image_id": index}


def collate(batch: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(zip(*batch, strict=True))


def train_one_epoch(model: nn.Module, optimizer: Any, loader: Any, device: torch.device) -> list[float]:
    """The steps of train_one_epoch in torchvision's references/detection/engine.py, in its order."""
    model.train()
    warmup = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1 / 1000, total_iters=len(loader) - 1)
    values = []
    for images, targets in loader:
        images = [image.to(device) for image in images]
        targets = [{k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in t.items()} for t in targets]
        with torch.autocast("cpu", enabled=False):
            loss_dict = model(images, targets)
            losses = sum(loss for loss in loss_dict.values())
        values.append(losses.item())
        optimizer.zero_grad()
        losses.backward()
        optimizer.step()
        warmup.step()
    return values


def test_the_training_loop_of_torchvision_runs_on_it() -> None:
    torch.manual_seed(0)
    model = RetinaNetDetector(SMALL)
    loader = torch.utils.data.DataLoader(PicturesAndTargets(), batch_size=2, collate_fn=collate)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    values = [value for _ in range(3) for value in train_one_epoch(model, optimizer, loader, torch.device("cpu"))]
    assert values[-1] < values[0]


@torch.no_grad()
@pytest.mark.parametrize("preset", ["torchvision", "keras_io"])
def test_a_batch_is_its_pictures_one_by_one_whatever_their_sizes(preset: str) -> None:
    small = detector(
        replace(
            RetinaNetConfig.preset(preset, num_classes=5),
            backbone="resnet18",
            width=32,
            head_depth=1,
            min_side=96,
            max_side=160,
        )
    )
    images = [picture.double() for picture in (*PICTURES, PICTURES[0].flip(-1))]
    together = small(images)
    for picture, detections in zip(images, together, strict=True):
        assert len(detections["boxes"])
        assert_same(small([picture])[0], detections)


@torch.no_grad()
def test_permuted_pictures_have_permuted_results(small: RetinaNetDetector) -> None:
    images = [picture.double() for picture in PICTURES]
    found = small(images)
    for detections, i in zip(small([images[i] for i in (2, 0, 1)]), (2, 0, 1), strict=True):
        assert_same(detections, found[i])


@torch.no_grad()
def test_boxes_are_in_the_pixels_of_the_picture_as_it_came(small: RetinaNetDetector) -> None:
    """A picture enlarged without a trace of interpolation, each pixel twice, has its boxes twice as far."""
    config = replace(SMALL, min_side=64, max_side=128, resize_antialias=False)
    model = detector(config)
    picture = noise(3, 64, 96).double()
    small_boxes = model([picture])[0]["boxes"]
    doubled = nn.functional.interpolate(picture[None], scale_factor=2, mode="nearest")[0]
    large_boxes = model([doubled])[0]["boxes"]
    torch.testing.assert_close(large_boxes, small_boxes * 2, rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_detections_come_best_first_within_bounds_and_without_overlap(small: RetinaNetDetector) -> None:
    found = small([PICTURES[0].double()])[0]
    assert (found["scores"].diff() <= 0).all()
    assert (found["scores"] > SMALL.score_threshold).all()
    assert found["labels"].min() >= 0
    assert found["labels"].max() < 5
    assert (found["boxes"] >= 0).all()
    assert (found["boxes"] <= torch.tensor([90, 70, 90, 70]) + 1e-9).all()
    same = found["labels"][:, None] == found["labels"]
    overlap = box_iou(found["boxes"], found["boxes"]).where(same, 0).fill_diagonal_(0)
    assert overlap.max() <= SMALL.nms_iou + 1e-12


def test_predict_reads_whatever_holds_a_picture_and_leaves_the_mode(small: RetinaNetDetector, tmp_path: Path) -> None:
    pixels = (np.random.default_rng(0).random((70, 90, 3)) * 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    small.train()
    try:
        found = small.predict([tmp_path / "picture.png", Image.fromarray(pixels), pixels, tensor], batch_size=3)
        single = small.predict(str(tmp_path / "picture.png"))
        assert small.training
    finally:
        small.eval()
    assert len(found) == 4
    assert len(single) == 1
    for detections in (*found, *single):
        assert_same(detections, found[0])
        assert not detections["scores"].requires_grad


@torch.no_grad()
def test_a_video_is_its_frames(small: RetinaNetDetector) -> None:
    video = tv_tensors.Video((torch.stack([noise(3, 64, 80, seed=i) for i in range(3)]) * 255).byte())
    expected = small.predict([frame.as_subclass(Tensor) for frame in video])
    frames = video.permute(0, 2, 3, 1).numpy()
    for found in (small(video), small(list(video)), small.predict(video), small.predict(list(video))):
        assert len(found) == 3
        for one, other in zip(found, expected, strict=True):
            assert type(one["boxes"]) is Tensor
            assert_same(one, other)
    assert_same(small.predict(frames)[2], expected[2])
    with pytest.raises(InputError, match=r"images\[0\]: a video of shape \(3, 3, 64, 80\) must be given as its frames"):
        small([video])
    assert small.predict(video[:0]) == []


@pytest.mark.parametrize("pictures", [[], [noise(3, 8, 8)] * 2])
def test_predict_takes_any_number_of_pictures(small: RetinaNetDetector, pictures: list[Tensor]) -> None:
    assert len(small.predict(pictures)) == len(pictures)


GOOD = {"boxes": BOXES, "labels": LABELS}
NAN, BAD_BOX = torch.tensor([[0.0, 0, float("nan"), 5]]), torch.tensor([[0.0, 0, 5, 5], [9, 1, 9, 4]])


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        (GOOD | {"boxes": BAD_BOX}, r"targets\[1\]: box 1 is \[9.0, 1.0, 9.0, 4.0\], and x1 < x2"),
        (GOOD | {"boxes": NAN}, r"targets\[1\]: box 0 is \[0.0, 0.0, nan, 5.0\], and all numbers must be finite"),
        (GOOD | {"boxes": torch.zeros(2, 5)}, r"targets\[1\]: boxes have shape \(2, 5\) and must be \(G,4\)"),
        (GOOD | {"boxes": torch.zeros(0)}, r"targets\[1\]: boxes have shape \(0,\) and must be \(G,4\)"),
        (GOOD | {"labels": torch.tensor([1, 5])}, r"targets\[1\]: label 1 is 5 and must be from 0 to 4"),
        (GOOD | {"labels": torch.tensor([-1, 0])}, r"targets\[1\]: label 0 is -1 and must be from 0 to 4"),
        (GOOD | {"labels": torch.tensor([1])}, r"targets\[1\]: labels have shape \(1,\) and must be \(2,\)"),
        (GOOD | {"labels": torch.tensor([1.0, 2])}, r"targets\[1\]: labels have dtype torch.float32"),
        ({"boxes": BOXES}, r"targets\[1\]: labels is None and must be a tensor"),
    ],
)
def test_wrong_targets_are_refused_with_their_index_and_value(target: dict[str, Tensor], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        RetinaNetDetector(SMALL)([noise(3, 64, 64)] * 2, [GOOD, target])


@pytest.mark.parametrize(
    ("picture", "sentence"),
    [
        (noise(1, 64, 64), r"images\[1\]: shape \(1, 64, 64\) must be \(3,H,W\)"),
        (noise(3, 0, 64), r"images\[1\]: shape \(3, 0, 64\) must be \(3,H,W\), with sides of a pixel or more"),
        (noise(64, 64), r"images\[1\]: shape \(64, 64\) must be \(3,H,W\)"),
        (noise(3, 8, 8).log().log(), r"images\[1\]: 192 values are NaN or infinite"),
        (torch.zeros(3, 8, 8, dtype=torch.int64), r"images\[1\]: dtype torch.int64 must be"),
        (noise(3, 8, 8) * 255, r"images\[1\]: floating values from .* to 25\d.* must be from 0 to 1"),
        (np.zeros((3, 8, 8)), r"images\[1\]: ndarray must be a tensor"),
    ],
)
def test_wrong_pictures_are_refused_with_their_index_and_value(picture: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        detector()([noise(3, 64, 64), picture])


def test_values_of_pictures_are_looked_at_in_the_first_batch_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass over all pixels, and a synchronisation, are no part of a step."""
    model, looked = RetinaNetDetector(SMALL), []
    monkeypatch.setattr("torch_retinanet.checks._check_unit", lambda name, image: looked.append(name))
    for _ in range(3):
        model([noise(3, 64, 64)], [GOOD])
    assert looked == ["images[0]"]
    model.eval()([noise(3, 64, 64)])
    assert looked == ["images[0]"] * 2


def test_boxes_of_torchvision_in_another_format_are_converted() -> None:
    as_xyxy = RetinaNetDetector(SMALL).double()
    centres = tv_tensors.BoundingBoxes(box_convert(BOXES, "xyxy", "cxcywh"), format="CXCYWH", canvas_size=(64, 64))
    picture = tv_tensors.Image(noise(3, 64, 64).double())
    assert as_xyxy([picture], [GOOD | {"boxes": centres}]) == as_xyxy([picture.as_subclass(Tensor)], [GOOD])


def test_rotated_boxes_of_torchvision_are_refused() -> None:
    rotated = tv_tensors.BoundingBoxes(torch.ones(1, 5), format="XYWHR", canvas_size=(64, 64))
    with pytest.raises(InputError, match="boxes: format XYWHR must be one of XYXY, XYWH, CXCYWH"):
        RetinaNetDetector(SMALL)([noise(3, 64, 64)], [GOOD | {"boxes": rotated}])


def losses_in(way: str, side: int) -> dict[str, Tensor]:
    """Those of a batch, with a network in bfloat16, or with autocast to it."""
    model: Any = RetinaNetDetector(SMALL.changed(min_side=side, max_side=side)).train()
    model = model.bfloat16() if way == "cast" else model
    pictures, targets = [noise(3, 64, 64)] * 2, [GOOD] * 2
    with torch.autocast("cpu", torch.bfloat16, enabled=way == "autocast"):
        losses: dict[str, Tensor] = model(pictures, targets)
        return losses


@pytest.mark.parametrize("way", ["autocast", "cast"])
def test_pictures_whose_gradients_torch_gets_wrong_in_bfloat16_are_refused(way: str) -> None:
    """Memory as it was, NaN among it, in the gradient of a convolution on a map one pixel wide."""
    sentence = "images: padded to 64 pixels of width, and must be wider than 64 to train in bfloat16 on a CPU"
    with pytest.raises(InputError, match=sentence):
        losses_in(way, 64)
    assert losses_in(way, 96).keys() == losses_in("float32", 64).keys()
    with torch.no_grad():
        assert all(torch.isfinite(loss) for loss in losses_in(way, 64).values())


def test_training_needs_as_many_targets_as_pictures() -> None:
    model = RetinaNetDetector(SMALL)
    with pytest.raises(InputError, match="targets: None must be a list with one dict a picture"):
        model([noise(3, 64, 64)])
    with pytest.raises(InputError, match="targets: 1 of them must be as many as the 2 pictures"):
        model([noise(3, 64, 64)] * 2, [GOOD])
    with pytest.raises(InputError, match="images: the list is empty; pass at least one"):
        model([], [])


def test_prediction_spends_no_check_of_values() -> None:
    model = detector()
    model.predict(noise(3, 64, 64))
    with pytest.raises(InputError, match="must be from 0 to 1"):
        model([noise(3, 64, 64) * 255])
