"""Training pictures made of several: boxes stay on their objects, and what is drawn depends on seed and draw alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.builder import NO_CLASS
from torch_retinanet.data.dataset import PictureDataset, SampleKey, Unreadable
from torch_retinanet.data.formats import read_annotations
from torch_retinanet.data.mixing import Labelled, Mixing, blend, mosaic, paste
from torch_retinanet.data.screening import screen
from torch_retinanet.data.tiled import tiled
from torch_retinanet.pictures import read_picture
from torch_retinanet.tiles import Tiling
from torch_retinanet.train.sampler import EpochSampler, balanced_draws, file_numbers

COLOURS = torch.tensor([[200, 0, 0], [0, 200, 0], [0, 0, 200], [200, 200, 0]])
"""Of the objects of each class."""

PLACES = [(8, 6, 24, 22), (40, 10, 60, 34), (20, 30, 38, 46)]


def picture(label: int, *, height: int = 50, width: int = 70) -> Labelled:
    """A gray picture with three objects of a class, in its colour."""
    image = torch.full((3, height, width), 100, dtype=torch.uint8)
    for left, top, right, bottom in PLACES:
        image[:, top:bottom, left:right] = COLOURS[label][:, None, None].to(torch.uint8)
    return Labelled(image, torch.tensor(PLACES, dtype=torch.float32), torch.full((3,), label))


def inner_colours(mixed: Labelled) -> torch.Tensor:
    """The mean colour (G,3) of the inner part of each box that is an object's."""
    boxes = mixed.boxes[mixed.labels != NO_CLASS]
    parts = [mixed.image[:, int(y1) + 2 : int(y2) - 1, int(x1) + 2 : int(x2) - 1] for x1, y1, x2, y2 in boxes.tolist()]
    return torch.stack([part.float().mean(dim=(1, 2)) for part in parts])


@pytest.mark.parametrize("seed", range(6))
def test_the_objects_of_a_mosaic_lie_in_their_boxes(seed: int) -> None:
    torch.manual_seed(seed)
    four = [picture(label, height=50 + 7 * label, width=70 + 9 * label) for label in range(4)]
    mixed = mosaic(four, fill=[100, 100, 100])
    known = mixed.labels != NO_CLASS
    assert mixed.image.shape == four[0].image.shape
    assert torch.allclose(inner_colours(mixed), COLOURS[mixed.labels[known]].float(), atol=30)
    assert (mixed.boxes[:, 2:] > mixed.boxes[:, :2]).all()
    assert (mixed.boxes[:, 2:] <= torch.tensor([70, 50])).all()
    assert len({*mixed.labels.tolist()}) > 1


@pytest.mark.parametrize("seed", range(6))
def test_pasted_objects_lie_in_their_boxes_and_what_they_cover_is_ignored(seed: int) -> None:
    torch.manual_seed(seed)
    mixed = paste(picture(0), picture(1))
    pasted = mixed.labels == 1
    still = inner_colours(Labelled(mixed.image, mixed.boxes[pasted][-1:], mixed.labels[pasted][-1:]))
    assert torch.allclose(still, COLOURS[[1]].float(), atol=30)  # the last one lies on top
    for box, label in zip(mixed.boxes[:3].tolist(), mixed.labels[:3].tolist(), strict=True):
        inside = mixed.image[:, int(box[1]) : int(box[3]), int(box[0]) : int(box[2])]
        left = (inside == COLOURS[0][:, None, None]).all(dim=0).float().mean()
        assert (label == NO_CLASS) or left > 0.2


def test_a_blend_has_both_pictures_half_and_half() -> None:
    mixed = blend(picture(0), picture(1))
    assert mixed.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert mixed.boxes.tolist() == [list(map(float, place)) for place in PLACES * 2]
    assert mixed.image[:, 10, 10].tolist() == [100, 100, 0]  # red and green, half and half
    assert torch.equal(blend(picture(0), picture(0)).image, picture(0).image)


@pytest.fixture
def annotations(tmp_path: Path) -> Annotations:
    """Nine pictures of a common class, and one with a rare one."""
    lines = []
    for i in range(10):
        noise = np.random.default_rng(i).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{i}.png")
        lines.append(f"{i}.png,4,5,30,25,{'rare' if i == 7 else 'common'}")
    (tmp_path / "objects.csv").write_text("\n".join(lines))
    return screen(read_annotations(tmp_path / "objects.csv"), decode=False)


def test_a_draw_is_mixed_alike_in_any_process_and_at_any_time(annotations: Annotations) -> None:
    def drawn(seed: int) -> torch.Tensor:
        mixing = Mixing(mosaic=0.5, copy_paste=0.5, mixup=0.5)
        dataset = PictureDataset(annotations, transform=v2.Identity(), seed=seed, mixing=mixing)
        samples = [dataset[SampleKey(number, number % 10)] for number in range(12)]
        assert not any(isinstance(sample, Unreadable) for sample in samples)
        return torch.stack(
            [sample[0].as_subclass(torch.Tensor) for sample in samples if isinstance(sample[0], torch.Tensor)]
        )

    first = drawn(0)
    torch.rand(5)
    assert torch.equal(first, drawn(0))
    assert not torch.equal(first, drawn(1))


def test_another_picture_that_cannot_be_read_spoils_no_draw(annotations: Annotations) -> None:
    dataset = PictureDataset(annotations, transform=v2.Identity(), seed=0, mixing=Mixing(mixup=1.0))
    for path in annotations.pictures[1:]:
        path.write_bytes(b"no picture")
    assert not isinstance(dataset[SampleKey(3, 0)], Unreadable)
    assert isinstance(dataset[SampleKey(3, 1)], Unreadable)


def test_a_tile_is_mixed_with_tiles_of_files_that_are_decoded_anyway(
    annotations: Annotations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three other tiles of any of many large pictures would each be decoded as a whole."""
    tiles = tiled(annotations, Tiling(32), empty=1.0, seed=0)
    dataset = PictureDataset(tiles, transform=v2.Identity(), seed=0, mixing=Mixing(mosaic=1.0, mixup=1.0))
    sampler = EpochSampler(pictures=len(tiles.pictures), batch=4, files=file_numbers(tiles))
    decoded = set[Path]()

    def noted(path: Path, **kwargs: Any) -> torch.Tensor:
        decoded.add(path)
        return read_picture(path, **kwargs)

    monkeypatch.setattr("torch_retinanet.data.dataset.read_picture", noted)
    (batch,) = sampler.batches(0, 1)
    for draw in batch:
        assert not isinstance(dataset[draw], Unreadable)
    assert decoded == {tiles.pictures[draw.picture] for draw in batch}
    assert len(decoded) < len(annotations.pictures)


def test_a_rare_class_is_drawn_more_often(annotations: Annotations) -> None:
    assert balanced_draws(annotations, 0.1, seed=0) == list(range(10))  # one of ten is not rarer than a tenth
    drawn = balanced_draws(annotations, 0.9, seed=0)
    assert drawn == [*range(8), 7, 7, 8, 9]  # sqrt(0.9 / 0.1) times
    batches = EpochSampler(pictures=10, drawn=drawn, batch=4).batches(0, 3)
    assert sorted(draw.picture for batch in batches for draw in batch) == drawn
