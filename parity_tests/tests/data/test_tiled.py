"""What is learnt from where pictures are cut into tiles; that a run, its evaluation and its detections cut alike."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.transforms import v2

from torch_retinanet.cli import main
from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.dataset import PictureDataset, Unreadable
from torch_retinanet.data.decoded_pictures import DecodedPictures
from torch_retinanet.data.formats import read_annotations
from torch_retinanet.data.screening import screen
from torch_retinanet.data.tiled import tiled
from torch_retinanet.pictures import read_picture
from torch_retinanet.tiles import Tiling
from torch_retinanet.train.sampler import EpochSampler

TILES = Tiling(40, 0.5)
"""Of a picture of 60x40 they are two, which begin at 0 and at 20."""

LINES = ("a.png,2,3,12,13,cat", "a.png,14,5,44,25,dog", "a.png,38,30,58,40,dog", "b.png,1,1,19,19,cat", "c.png,,,,,")


@pytest.fixture
def read(tmp_path: Path) -> Annotations:
    """Three pictures of 60x40 with four objects."""
    for i, name in enumerate(("a.png", "b.png", "c.png")):
        noise = np.random.default_rng(i).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / name)
    (tmp_path / "objects.csv").write_text("\n".join(LINES))
    return screen(read_annotations(tmp_path / "objects.csv"), decode=False)


class Blackening(nn.Module):
    """A transform that blackens the picture that it is given, and keeps what it was."""

    def forward(self, picture: Any, target: Any) -> Any:
        """The picture, black, and the target with what it was."""
        before = torch.Tensor(picture.float())
        picture.zero_()
        return picture, target | {"before": before}


def shown(annotations: Annotations, index: int) -> list[tuple[list[float], int, bool]]:
    """Boxes, labels and whether they are ignored, of a tile."""
    objects = annotations.objects(index)
    return list(zip(objects.boxes.tolist(), objects.labels.tolist(), objects.ignored.tolist(), strict=True))


def test_an_object_counts_on_tiles_that_show_half_of_it_and_is_ignored_on_others(read: Annotations) -> None:
    tiles = tiled(read, TILES, empty=1.0, seed=0)
    assert [path.name for path in tiles.pictures] == ["a.png", "a.png", "b.png", "b.png", "c.png", "c.png"]
    assert tiles.windows[:2] == [(0, 0, 40, 40), (20, 0, 60, 40)]
    assert tiles.sizes.tolist() == [[40, 40]] * 6
    cat, dog = 0, 1
    left = [([2, 3, 12, 13], cat, False), ([14, 5, 40, 25], dog, False), ([38, 30, 40, 40], -1, True)]
    assert shown(tiles, 0) == left  # a tenth of the last
    assert shown(tiles, 1) == [([0, 5, 24, 25], dog, False), ([18, 30, 38, 40], dog, False)]
    assert [len(shown(tiles, i)) for i in (2, 3, 4, 5)] == [1, 0, 0, 0]


def test_what_was_ignored_stays_so(read: Annotations) -> None:
    ignored = read.ignored.copy()
    ignored[1] = True
    tiles = tiled(Annotations(**vars(read) | {"ignored": ignored}), TILES, empty=1.0, seed=0)
    assert shown(tiles, 1)[0] == ([0, 5, 24, 25], -1, True)


def test_tiles_without_objects_are_kept_at_a_rate(read: Annotations) -> None:
    with_objects = [0, 1, 2]
    assert [len(tiled(read, TILES, empty=share, seed=0).pictures) for share in (0.0, 1.0)] == [len(with_objects), 6]
    counts = [len(tiled(read, TILES, empty=0.5, seed=seed).pictures) - len(with_objects) for seed in range(40)]
    assert 1.0 < np.mean(counts) < 2.0  # of three
    assert tiled(read, TILES, empty=0.5, seed=3).windows == tiled(read, TILES, empty=0.5, seed=3).windows


def test_a_tile_is_learnt_from_as_that_part_of_its_picture(read: Annotations) -> None:
    tiles = tiled(read, TILES, empty=1.0, seed=0)
    sample = PictureDataset(tiles, transform=v2.Identity(), seed=0)[1]
    assert not isinstance(sample, Unreadable)
    image, target = sample
    with Image.open(read.pictures[0]) as picture:
        whole = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
    assert torch.equal(image.as_subclass(torch.Tensor), whole[:, :, 20:])
    assert target["boxes"].tolist() == [[0, 5, 24, 25], [18, 30, 38, 40]]


def test_tiles_of_a_picture_are_drawn_near_one_another_and_each_once() -> None:
    """Of 25 pictures with 48 tiles each: 64 draws that follow one another are of four pictures."""
    files = [number // 48 for number in range(1200)]
    sampler = EpochSampler(pictures=1200, batch=8, seed=1, files=files)
    draws = [draw for batch in sampler.batches(0, 150) for draw in batch]
    assert [draw.number for draw in draws] == list(range(1200))
    assert sorted(draw.picture for draw in draws) == list(range(1200))
    near = [[files[draw.picture] for draw in draws[i : i + 64]] for i in range(0, 1152, 64)]
    assert max(len(set(some)) for some in near) <= 4
    assert all(sum(one == other for one, other in pairwise(some)) < 45 for some in near), "mixed, not one by one"
    assert len({files[draw.picture] for draw in draws[:400]}) > 15, "pictures come in turn"
    second = [draw.picture for batch in sampler.batches(150, 300) for draw in batch]
    assert second != [draw.picture for draw in draws]
    assert [draw.picture for batch in sampler.batches(77, 80) for draw in batch] == [
        draw.picture for draw in draws[77 * 8 : 80 * 8]
    ], "a run goes on from any step"
    spread = EpochSampler(pictures=1200, batch=8, seed=1, files=files, drawn=[3, 3, *range(48, 86)])
    assert sorted(draw.picture for batch in spread.batches(0, 5) for draw in batch)[:2] == [3, 3]


def test_a_picture_is_decoded_once_for_the_tiles_of_a_run(read: Annotations, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what a transform does to a tile in place is not seen by the next."""
    decoded = []

    def counted(path: Path, **given: Any) -> torch.Tensor:
        decoded.append(path.name)
        return read_picture(path, **given)

    monkeypatch.setattr("torch_retinanet.data.dataset.read_picture", counted)
    dataset = PictureDataset(tiled(read, TILES, empty=1.0, seed=0), transform=Blackening(), seed=0)
    tiles: list[Any] = [dataset[number] for number in (0, 1, 0, 2, 3)]
    assert decoded == ["a.png", "b.png"]
    assert torch.equal(tiles[0][1]["before"], tiles[2][1]["before"])
    whole: list[Any] = [PictureDataset(read, transform=Blackening(), seed=0)[i] for i in (0, 0)]
    assert len(whole) == 2
    assert decoded == ["a.png", "b.png", "a.png", "a.png"]


def test_decoded_pictures_are_kept_within_a_number_of_bytes() -> None:
    kept, read = DecodedPictures(most=250), []

    def ask(key: int, size: int = 100) -> None:
        def decode() -> torch.Tensor:
            read.append(key)
            return torch.zeros(size, dtype=torch.uint8)

        kept(key, decode)

    for key in (1, 2, 1, 3, 1, 2):  # 2 was asked for the longest ago when 3 came
        ask(key)
    assert read == [1, 2, 3, 2]
    for _ in range(2):
        ask(4, size=300)
    assert read == [1, 2, 3, 2, 4, 4]


def test_a_run_on_tiles_evaluates_and_detects_on_tiles(
    read: Annotations, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, run = str(tmp_path / "objects.csv"), str(tmp_path / "run")
    tiny = ["--backbone", "resnet18", "--width", "16", "--head-depth", "1", "--min-side", "48", "--max-side", "64"]
    settings = ["--steps", "1", "--batch", "2", "--workers", "0", "--device", "cpu", "--val", data]
    assert main(["train", data, "--out", run, "--tile", "40", "--overlap", "0.5", *tiny, *settings]) == 0
    capsys.readouterr()
    assert main(["evaluate", run, data, "--json", str(tmp_path / "tiled.json")]) == 0
    words = (
        "pictures are cut into tiles of 40 pixels that overlap by 0.5, as those of its training; --tile 0 takes them"
    )
    assert words in capsys.readouterr().err
    own = json.loads((tmp_path / "run" / "evaluation" / "metrics.json").read_text())
    assert json.loads((tmp_path / "tiled.json").read_text())["coco"] == own["coco"]
    alone = str(Path(run, "model.safetensors").rename(tmp_path / "alone.safetensors"))
    found = []
    for tile in ((), ("--tile", "40", "--overlap", "0.5"), ("--tile", "0")):
        out = tmp_path / "found"
        command = ["detect", alone, str(tmp_path / "a.png"), "--out", str(out), "--threshold", "0", "--format", "json"]
        assert main([*command, *tile]) == 0
        found.append((out / "detections.json").read_text())
    assert found[0] == found[1] != found[2]


def test_an_overlap_without_tiles_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.png").touch()
    assert main(["detect", str(tmp_path), str(tmp_path), "--overlap", "0.5"]) == 2
    assert "retinanet" in capsys.readouterr().err
