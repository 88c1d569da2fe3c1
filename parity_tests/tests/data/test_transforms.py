"""Pictures change and boxes follow: whatever is drawn, a box lies on the pixels that it lay on."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import tv_tensors

from torch_retinanet import RetinaNetConfig
from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.dataset import PictureDataset, SampleKey, Unreadable, collate
from torch_retinanet.data.transforms import training_transforms
from torch_retinanet.preprocess import prepare

CONFIG = replace(RetinaNetConfig.torchvision(num_classes=1), min_side=96, max_side=160)
EVERYTHING: dict[str, Any] = {"flip": 0.5, "vertical_flip": 0.5, "scale": (0.6, 1.6), "crop": 0.5, "colour": 0.2}


def sample(height: int = 120, width: int = 150) -> tuple[Tensor, dict[str, Any]]:
    """A gray picture with a red object, nearer to two of its edges."""
    picture = torch.full((3, height, width), 90, dtype=torch.uint8)
    picture[0, 30:80, 20:90], picture[1:, 30:80, 20:90] = 255, 0
    boxes = tv_tensors.BoundingBoxes([[20.0, 30, 90, 80]], format="XYXY", canvas_size=(height, width))
    return tv_tensors.Image(picture), {"boxes": boxes, "labels": torch.tensor([0])}


def extent_of_red(picture: Tensor) -> list[int]:
    rows, columns = ((picture[0].int() - picture[1].int()) > 100).nonzero(as_tuple=True)
    return [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]


@pytest.mark.parametrize("kind", [*EVERYTHING, "everything", "nothing"])
@pytest.mark.parametrize("seed", range(8))
def test_a_box_follows_its_pixels(kind: str, seed: int) -> None:
    drawn = {"everything": EVERYTHING, "nothing": {"flip": 0.0}}.get(kind, {kind: EVERYTHING.get(kind)})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        picture, target = training_transforms(CONFIG, **drawn)(*sample())
    assert picture.dtype == torch.uint8
    assert len(target["boxes"]) == len(target["labels"]) == 1
    assert torch.allclose(
        target["boxes"][0].as_subclass(Tensor), torch.tensor(extent_of_red(picture)).float(), atol=2.5
    )


@pytest.mark.parametrize("kind", ["flip", "vertical_flip"])
def test_without_a_change_of_size_a_box_follows_to_the_pixel(kind: str) -> None:
    same_size = replace(CONFIG, min_side=120)
    drawn: dict[str, Any] = {"flip": 0.0, kind: 1.0}
    picture, target = training_transforms(same_size, **drawn)(*sample())
    assert target["boxes"][0].tolist() == extent_of_red(picture) != sample()[1]["boxes"][0].tolist()


@pytest.mark.parametrize(
    ("size", "expected"), [((120, 150), (96, 120)), ((150, 120), (120, 96)), ((50, 200), (40, 160)), ((1, 1), (96, 96))]
)
@pytest.mark.parametrize("scale", [(1.0, 1.0), (0.5, 2.0)])
def test_every_picture_ends_in_the_size_that_the_network_sees(
    size: tuple[int, int], expected: tuple[int, int], scale: tuple[float, float]
) -> None:
    picture, target = training_transforms(CONFIG, scale=scale)(*empty(*size))
    assert tuple(picture.shape[1:]) == expected
    assert target["boxes"].shape == (0, 4)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (300, 2)])
def test_the_smallest_pictures_can_be_cut_too(size: tuple[int, int]) -> None:
    for _ in range(10):
        picture, _ = training_transforms(CONFIG, crop=1.0)(*empty(*size))
        assert min(picture.shape[1:]) == 96 or max(picture.shape[1:]) == 160


def empty(height: int, width: int) -> tuple[Tensor, dict[str, Any]]:
    """A black picture without an object."""
    boxes = tv_tensors.BoundingBoxes(torch.zeros(0, 4), format="XYXY", canvas_size=(height, width))
    picture = tv_tensors.Image(torch.zeros(3, height, width, dtype=torch.uint8))
    return picture, {"boxes": boxes, "labels": torch.zeros(0, dtype=torch.int64)}


def test_an_object_that_is_cut_off_is_no_object() -> None:
    boxes = tv_tensors.BoundingBoxes([[0.0, 0, 3, 3], [60, 60, 90, 90]], format="XYXY", canvas_size=(96, 96))
    target = {"boxes": boxes, "labels": torch.tensor([0, 1])}
    change = training_transforms(CONFIG, flip=0.0, scale=(4.0, 4.0))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for _ in range(20):
            picture, found = change(tv_tensors.Image(torch.zeros(3, 96, 96, dtype=torch.uint8)), target)
            sides = found["boxes"][:, 2:] - found["boxes"][:, :2]
            assert (sides >= 1).all()
            assert (found["boxes"] >= 0).all()
            assert (found["boxes"] <= 96).all()
            assert len(found["labels"]) == len(found["boxes"])
            assert picture.shape == (3, 96, 96)


@pytest.fixture
def annotations(tmp_path: Path) -> Annotations:
    """Two pictures with an object each, the second one cut off, and an ignored box in the first."""
    pictures = [tmp_path / "whole.png", tmp_path / "cut.png"]
    for path in pictures:
        Image.fromarray(sample()[0].permute(1, 2, 0).numpy()).save(path)
    pictures[1].write_bytes(pictures[1].read_bytes()[:200])
    return annotations_of(pictures, [[[40, 30, 110, 80], [0, 0, 20, 20]], [[40, 30, 110, 80]]], ignored=[1])


def annotations_of(pictures: Sequence[Path], boxes: Sequence[Any], *, ignored: Sequence[int] = ()) -> Annotations:
    counts = [len(of_picture) for of_picture in boxes]
    total = sum(counts)
    return Annotations(
        pictures=pictures,
        classes=["red"],
        boxes=np.array([box for of_picture in boxes for box in of_picture], dtype=np.float64).reshape(-1, 4),
        labels=np.zeros(total, np.int64),
        ignored=np.isin(np.arange(total), ignored),
        areas=np.full(total, np.nan),
        offsets=np.cumsum([0, *counts]),
        sizes=np.zeros((len(pictures), 2), np.int64),
        places=np.arange(total),
        files=pictures,
        place_format="{}",
        as_stored=np.zeros(len(pictures), bool),
    )


def test_a_picture_depends_on_its_draw_and_seed_alone(annotations: Annotations) -> None:
    change = training_transforms(CONFIG, **EVERYTHING)
    datasets = [PictureDataset(annotations, transform=change, seed=seed) for seed in (0, 0, 1)]
    torch.manual_seed(7)
    state = torch.get_rng_state()
    drawn: list[Any] = [dataset[SampleKey(5, 0)] for dataset in datasets]
    first, again, other = drawn
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1]["boxes"], again[1]["boxes"])
    later: Any = datasets[0][SampleKey(6, 0)]
    assert first[0].shape != later[0].shape or not torch.equal(first[0], later[0])
    assert first[0].shape != other[0].shape or not torch.equal(first[0], other[0])


def test_ignored_boxes_stand_by_themselves_and_an_unreadable_picture_is_a_sentence(annotations: Annotations) -> None:
    dataset = PictureDataset(annotations, transform=training_transforms(CONFIG, flip=0.0), seed=0)
    batch = collate([dataset[SampleKey(0, 0)], dataset[SampleKey(1, 1)]])
    assert len(batch.images) == len(batch.targets) == len(batch.unreadable) == 1
    assert batch.targets[0]["boxes"].tolist() == [[32, 24, 88, 64]]
    assert batch.targets[0]["labels"].tolist() == [0]
    assert batch.targets[0]["ignored"].tolist() == [[0, 0, 16, 16]]
    assert batch.unreadable[0].path == annotations.pictures[1]
    assert batch.unreadable[0].reason.startswith(f"{annotations.pictures[1]}: not a picture that Pillow can read")


def test_a_plain_loader_draws_by_plain_indices(annotations: Annotations) -> None:
    dataset = PictureDataset(annotations, transform=training_transforms(CONFIG), seed=0)
    [batch] = DataLoader(dataset, batch_size=2, collate_fn=collate)
    drawn = dataset[SampleKey(0, 0)]
    assert not isinstance(drawn, Unreadable)
    assert torch.equal(batch.images[0], drawn[0])
    assert [unreadable.path.name for unreadable in batch.unreadable] == ["cut.png"]
    for same in (np.int64(0), torch.tensor(0), -2):
        again = dataset[same]
        assert not isinstance(again, Unreadable)
        assert torch.equal(again[0], drawn[0])
    with pytest.raises(IndexError, match="index: 2 must be from -2 to 1"):
        dataset[2]


def test_labels_of_any_whole_type_are_put_together() -> None:
    target = {"boxes": torch.tensor([[1.0, 1.0, 9.0, 9.0]]), "labels": torch.tensor([1], dtype=torch.int32)}
    assert len(collate([(torch.zeros(3, 16, 16, dtype=torch.uint8), target)]).images) == 1


@pytest.mark.parametrize("preset", ["detectron2", "mmdet", "fizyr", "yhenon"])
def test_a_training_picture_is_resized_as_its_preset_does(preset: str) -> None:
    """Prepared then, it is what the picture itself becomes; yhenon's real numbers are rounded to bytes."""
    config = RetinaNetConfig.preset(preset, min_side=80, max_side=200)
    picture = torch.randint(256, (3, 47, 61), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    target = {"boxes": tv_tensors.BoundingBoxes([[5, 5, 30, 30]], format="XYXY", canvas_size=(47, 61))}
    changed, _ = training_transforms(config, flip=0.0)(
        tv_tensors.Image(picture), target | {"labels": torch.zeros(1, dtype=torch.int64)}
    )
    trained, detected = (prepare([image / 255], config).images for image in (changed.as_subclass(Tensor), picture))
    levels = 0.5001 / min(config.pixel_std) if preset == "yhenon" else 1e-4
    torch.testing.assert_close(trained, detected, rtol=0, atol=levels)
