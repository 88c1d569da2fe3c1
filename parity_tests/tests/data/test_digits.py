"""Real digits on real photos: drawn alike every time, with boxes that are exact, from splits that share nothing."""

import pickle
import random
import re
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import tv_tensors
from torchvision.ops import box_iou

from torch_retinanet.data import Digits
from torch_retinanet.data.digits import PHOTOS, _colour, _digits, _paint, _patch, _photo, collate
from torch_retinanet.errors import InputError

Target = dict[str, Any]
MANY = 300
SIZES = [(128, 128), (96, 160), (256, 192), (32, 32)]
"""Height and width."""


@pytest.fixture(scope="module", params=["train", "test"])
def digits(request: pytest.FixtureRequest) -> Digits:
    return Digits(request.param, length=MANY)


@pytest.fixture(scope="module")
def targets(digits: Digits) -> list[Target]:
    return [target for _, target in every(digits)]


def every(digits: Digits) -> list[tuple[Tensor, Target]]:
    """What iteration gives, which ends with the first IndexError."""
    return list(cast(Any, digits))


def same(a: tuple[Tensor, Target], b: tuple[Tensor, Target]) -> bool:
    keys = ("boxes", "labels")
    return torch.equal(a[0], b[0]) and all(torch.equal(a[1][k], b[1][k]) for k in keys) and a[1].keys() == b[1].keys()


def test_a_picture_and_its_target_have_these_types(digits: Digits) -> None:
    image, target = digits[0]
    assert isinstance(image, tv_tensors.Image)
    assert (image.shape, image.dtype) == ((3, 128, 128), torch.uint8)
    assert target.keys() == {"boxes", "labels", "image_id"}
    assert isinstance(target["boxes"], tv_tensors.BoundingBoxes)
    assert target["boxes"].format is tv_tensors.BoundingBoxFormat.XYXY
    assert target["boxes"].canvas_size == (128, 128)
    assert target["boxes"].shape == (len(target["labels"]), 4)
    assert (target["boxes"].dtype, target["labels"].dtype) == (torch.float32, torch.int64)


def test_a_picture_depends_on_seed_split_and_index_alone() -> None:
    forwards, backwards = Digits("train", length=8, seed=3), Digits("train", length=20, seed=3)
    last = {i: backwards[i] for i in reversed(range(20))}
    assert all(same(forwards[i], last[i]) for i in range(8))


def test_drawing_leaves_the_global_generators_alone() -> None:
    states = torch.get_rng_state(), str(np.random.get_state()), random.getstate()
    every(Digits("train", length=4))
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (str(np.random.get_state()), random.getstate()) == states[1:]


def test_another_seed_split_or_index_gives_another_picture() -> None:
    first = Digits("train", length=2)
    others = [first[1], Digits("train", length=1, seed=1)[0], Digits("test", length=1)[0]]
    assert not any(torch.equal(first[0][0], image) for image, _ in others)


def test_indices_are_those_of_a_list() -> None:
    digits = Digits("train", length=3)
    assert len(digits) == 3
    assert [target["image_id"] for _, target in every(digits)] == [0, 1, 2]
    assert same(digits[-1], digits[2])
    assert digits[-1][1]["image_id"] == 2
    for index in (3, -4):
        with pytest.raises(IndexError, match=f"^index: {index} must be one of 3 pictures$"):
            digits[index]
    with pytest.raises(IndexError):
        Digits("train", length=0)[0]


def test_splits_share_no_digit() -> None:
    (train, train_labels), (test, test_labels) = _digits("train"), _digits("test")
    assert (len(train), len(test)) == (1437, 360)
    assert not {scan.tobytes() for scan in train} & {scan.tobytes() for scan in test}
    shares = np.bincount(test_labels) / np.bincount(np.concatenate([train_labels, test_labels]))
    assert np.abs(shares - 0.2).max() < 0.01


def test_splits_share_no_pixel_of_a_photo() -> None:
    for name in PHOTOS:
        with Image.open(Path(skimage.data.__file__).parent / name) as photo:
            whole = photo.convert("RGB")
        halves = [np.asarray(_photo(name, split)) for split in ("train", "test")]
        assert np.array_equal(np.concatenate(halves, axis=1), np.asarray(whole)), name


@pytest.mark.parametrize("size", SIZES)
def test_boxes_are_the_extent_of_what_a_digit_alone_changes(size: tuple[int, int]) -> None:
    digits = Digits("train", length=100, size=size)
    for index in range(len(digits)):
        _, scene = digits._scene(index)
        boxes = digits[index][1]["boxes"]
        assert boxes.tolist() == [list(digit.box) for digit in scene]
        for digit in scene:
            assert ((digit.alpha == 0) | (digit.alpha >= 0.25)).all(), "nothing is painted too faint to be seen"
            bare = np.full((*size, 3), 255 if digit.colour.mean() < 128 else 0, dtype=np.float32)
            painted = bare.copy()
            _paint(painted, digit)
            rows, columns = (np.rint(painted) != bare).any(-1).nonzero()
            assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == digit.box


def test_nothing_but_the_boxes_differs_from_the_photo(digits: Digits) -> None:
    for index in range(50):
        image, target = digits[index]
        background, _ = digits._scene(index)
        changed = (image.permute(1, 2, 0).numpy() != np.rint(background)).any(-1)
        for x1, y1, x2, y2 in target["boxes"].int().tolist():
            assert changed[y1:y2, x1:x2].mean() > 0.1
            changed[y1:y2, x1:x2] = False
        assert not changed.any()


@pytest.mark.parametrize("size", SIZES)
def test_boxes_lie_inside_the_picture_in_the_promised_sizes(size: tuple[int, int]) -> None:
    short = min(size)
    for image, target in every(Digits("test", length=100, size=size)):
        boxes = target["boxes"].as_subclass(Tensor)
        assert image.shape == (3, *size)
        assert target["boxes"].canvas_size == size
        assert (boxes >= 0).all()
        assert (boxes <= torch.tensor([size[1], size[0]]).repeat(2)).all()
        longer = (boxes[:, 2:] - boxes[:, :2]).amax(1)
        assert (longer >= 0.75 * max(short / 8, 8)).all()
        assert (longer <= 1.25 * short / 2).all()


def test_boxes_hardly_overlap(targets: list[Target]) -> None:
    for target in targets:
        overlaps = box_iou(target["boxes"], target["boxes"]).fill_diagonal_(0)
        assert (overlaps <= 0.1).all()


def test_there_are_small_and_large_digits_of_every_label_and_empty_pictures(targets: list[Target]) -> None:
    counts = [len(target["labels"]) for target in targets]
    assert set(counts) == {0, 1, 2, 3, 4, 5, 6}
    assert 0.01 < counts.count(0) / MANY < 0.1
    assert {label for target in targets for label in target["labels"].tolist()} == set(range(10))
    boxes = torch.cat([target["boxes"].as_subclass(Tensor) for target in targets])
    longer = (boxes[:, 2:] - boxes[:, :2]).amax(1)
    assert longer.min() < 18
    assert longer.max() > 58


def test_an_empty_picture_has_boxes_of_shape_0x4(digits: Digits, targets: list[Target]) -> None:
    index = next(target["image_id"] for target in targets if not len(target["labels"]))
    image, target = digits[index]
    assert (target["boxes"].shape, target["labels"].shape) == ((0, 4), (0,))
    assert np.array_equal(image.permute(1, 2, 0).numpy(), np.rint(digits._scene(index)[0]))


def test_a_digit_stands_out_from_its_background(digits: Digits) -> None:
    luminance = np.array([0.299, 0.587, 0.114])
    for index in range(50):
        background, scene = digits._scene(index)
        for digit in scene:
            assert (digit.colour >= 0).all()
            assert (digit.colour <= 255.01).all()
            mean = _patch(background, digit.box).mean((0, 1))
            assert abs((digit.colour - mean) @ luminance) > 89.9


@pytest.mark.parametrize("level", [0, 127, 128, 255])
def test_a_colour_is_found_for_every_background(level: int) -> None:
    patch = np.full((2, 2, 3), level, dtype=np.float32)
    colours = np.array([_colour(patch, np.random.default_rng(seed)) for seed in range(100)])
    assert colours.min() >= 0
    assert colours.max() <= 255.01


def load(digits: Digits, context: Literal["fork", "spawn"] | None) -> list[tuple[list[Tensor], list[Target]]]:
    workers = 0 if context is None else 1
    return list(
        DataLoader(digits, batch_size=4, collate_fn=collate, num_workers=workers, multiprocessing_context=context)
    )


@pytest.mark.parametrize("context", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_another_process_draws_the_same_pictures(context: Literal["fork", "spawn"]) -> None:
    """One that is forked, from digits that were pickled, or one that shares nothing."""
    digits = Digits("train", length=10)
    alone, together = load(digits, None), load(pickle.loads(pickle.dumps(digits)), context)
    assert [len(images) for images, _ in alone] == [4, 4, 2]
    for (images, targets), (their_images, their_targets) in zip(alone, together, strict=True):
        assert isinstance(images, list)
        for mine, theirs in zip(
            zip(images, targets, strict=True), zip(their_images, their_targets, strict=True), strict=True
        ):
            assert same(mine, theirs)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"split": "val"}, "split: 'val' must be 'train' or 'test'"),
        ({"length": -1}, "length: -1 must not be negative"),
        ({"size": (128, 31)}, "size: (128, 31) must be height and width, 32 pixels at least"),
        ({"size": (128,)}, "size: (128,) must be height and width, 32 pixels at least"),
        ({"seed": -1}, "seed: -1 must not be negative"),
    ],
)
def test_wrong_arguments_are_refused_in_a_sentence(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(sentence)}$"):
        Digits(**{"split": "train", "length": 1, **arguments})
