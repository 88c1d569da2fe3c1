"""Large pictures as tiles: every object smaller than the overlap is found once, and what fits a tile is as whole."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from torch_retinanet import InputError, RetinaNetConfig, RetinaNetDetector
from torch_retinanet.boxes import box_iou
from torch_retinanet.tiles import Tiling, Window, merged

CONFIG = RetinaNetConfig.torchvision(num_classes=2, backbone="resnet18", width=32, head_depth=1, min_side=64)


@pytest.fixture(scope="module")
def small() -> RetinaNetDetector:
    torch.manual_seed(0)
    return RetinaNetDetector(CONFIG.changed(score_threshold=0.0, detections_per_picture=20)).eval()


@pytest.mark.parametrize("length", [1, 399, 400, 401, 700, 999, 20_000])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.6, 0.9])
def test_tiles_reach_from_edge_to_edge_and_overlap_by_the_share_at_least(length: int, overlap: float) -> None:
    windows = Tiling(400, overlap).windows(length, 50)
    assert windows[0].top == 0
    assert windows[-1].bottom == length
    assert {window.bottom - window.top for window in windows} == {min(400, length)}
    assert {(window.left, window.right) for window in windows} == {(0, 50)}
    for one, following in pairwise(windows):
        assert one.top < following.top <= one.bottom - int(400 * overlap)


def scattered(rng: np.random.Generator, *, side: int, largest: float) -> Tensor:
    """Boxes (G,4) that do not overlap, anywhere on a square picture, of any size up to the largest."""
    boxes: list[list[float]] = []
    for _ in range(400):
        width, height = rng.uniform(6, largest, 2)
        left, top = rng.uniform(0, side - width), rng.uniform(0, side - height)
        box = [left, top, left + width, top + height]
        if not boxes or box_iou(torch.tensor([box]), torch.tensor(boxes)).max() == 0:
            boxes.append(box)
    return torch.tensor(boxes, dtype=torch.float32)


def seen_by(window: Window, boxes: Tensor, rng: np.random.Generator) -> dict[str, Tensor]:
    """What a detector without fault says of a tile: each object that it shows a part of, some pixels off."""
    corner = torch.tensor([window.left, window.top] * 2)
    size = torch.tensor([window.right - window.left, window.bottom - window.top] * 2)
    cut = torch.minimum((boxes - corner).clamp(min=0), size)
    shown = ((cut[:, 2:] - cut[:, :2]) >= 2).all(dim=1)
    shifts = torch.from_numpy(rng.uniform(-0.02, 0.02, (len(boxes), 2))).float() * (boxes[:, 2:] - boxes[:, :2])
    moved = (cut + shifts.repeat(1, 2))[shown]
    scores = torch.from_numpy(rng.uniform(0.3, 1, len(moved))).float()
    return {"boxes": moved, "labels": torch.zeros(len(moved), dtype=torch.int64), "scores": scores}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("size", "overlap"), [(200, 0.25), (128, 0.5), (300, 0.1)])
def test_every_object_smaller_than_the_overlap_is_found_once(size: int, overlap: float, seed: int) -> None:
    rng, tiling = np.random.default_rng(seed), Tiling(size, overlap)
    objects = scattered(rng, side=640, largest=size * overlap)
    windows = tiling.windows(640, 640)
    found = merged([seen_by(window, objects, rng) for window in windows], windows, CONFIG)
    overlaps = box_iou(found["boxes"], objects)
    assert len(found["boxes"]) == len(objects)
    assert (overlaps.amax(dim=0) > 0.7).all()  # each is whole
    assert sorted(overlaps.argmax(dim=1).tolist()) == list(range(len(objects)))  # none is there twice
    assert (found["scores"].diff() <= 0).all()


def test_two_tiles_that_disagree_about_where_a_centre_lies_neither_lose_nor_double_it() -> None:
    windows = Tiling(100, 0.5).windows(100, 150)
    assert windows == [(0, 0, 100, 100), (50, 0, 150, 100)]  # own parts meet at 75
    for first, second in ((72.0, 78.0), (78.0, 72.0)):
        places = (first, second - 50)
        found = [
            {
                "boxes": torch.tensor([[place - 15, 40, place + 15, 60]]),
                "labels": torch.tensor([1]),
                "scores": torch.tensor([0.9]),
            }
            for place in places
        ]
        assert len(merged(found, windows, CONFIG)["boxes"]) == 1


def test_a_picture_that_fits_a_tile_is_detected_as_the_whole(small: RetinaNetDetector) -> None:
    picture = torch.randint(0, 256, (3, 60, 90), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    [whole], [tiled] = small.predict(picture), small.predict(picture, tiling=Tiling(90))
    assert all(torch.equal(whole[name], tiled[name]) for name in whole)


def test_tiles_are_detected_as_the_pictures_that_they_are(small: RetinaNetDetector) -> None:
    picture = torch.randint(0, 256, (3, 60, 90), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    tiling = Tiling(60, 0.5)
    windows = tiling.windows(60, 90)
    by_hand = merged([small.predict(window.cut(picture))[0] for window in windows], windows, small.config)
    [found] = small.predict(picture, tiling=tiling, batch_size=1)
    assert len(found["boxes"]) > small.config.detections_per_picture  # which is a tile's limit
    assert all(torch.equal(by_hand[name], found[name]) for name in found)


@pytest.mark.parametrize(
    ("size", "overlap", "words"),
    [(31, 0.2, "tile: 31 must be pixels"), (64, 1.0, "overlap: 1.0 must be"), (64, -0.1, "overlap: -0.1 must be")],
)
def test_tiles_that_cannot_be_are_refused(size: int, overlap: float, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Tiling(size, overlap)
