"""Pictures by the thousand: in order, each by itself, a few in memory, and bad ones without an end."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from parity_tests.tests.support.detectors import detector
from torch_retinanet import InputError, RetinaNetDetector
from torch_retinanet import predict as predict_room
from torch_retinanet.data.dataset import Unreadable
from torch_retinanet.pictures import read_picture
from torch_retinanet.predict import Detected, detect_pictures


@pytest.fixture(scope="module")
def small() -> RetinaNetDetector:
    return detector().float()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Ten pictures of three sizes, the third and the last of them no pictures."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    paths = [folder / f"{i}.png" for i in range(10)]
    for i, path in enumerate(paths):
        size = [(70, 90), (120, 64), (70, 90), (50, 200)][i % 4]
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
    paths[2].write_bytes(paths[2].read_bytes()[:200])
    paths[-1].unlink()
    return paths


def test_pictures_come_in_order_and_bad_ones_with_their_reason(small: RetinaNetDetector, pictures: list[Path]) -> None:
    found = list(detect_pictures(small, pictures, ahead=3))
    assert [one.path for one in found] == pictures
    bad = {one.path.name: one.reason for one in found if isinstance(one, Unreadable)}
    assert bad.keys() == {"2.png", "9.png"}
    assert bad["2.png"].startswith(f"{pictures[2]}: not a picture that Pillow can read")
    assert bad["9.png"] == f"{pictures[9]}: there is no such file"
    for one in found:
        if isinstance(one, Detected):
            expected = small.predict(one.path)[0]
            assert len(expected["scores"]) > 10
            assert all(torch.equal(one.detections[name], values) for name, values in expected.items())
            assert torch.equal(one.picture[:, 0, 0], torch.tensor(Image.open(one.path).getpixel((0, 0))))


def test_no_bit_depends_on_how_far_is_read_ahead(small: RetinaNetDetector, pictures: list[Path]) -> None:
    runs = [list(detect_pictures(small, pictures, ahead=ahead)) for ahead in (1, 8)]
    for one, other in zip(*runs, strict=True):
        if isinstance(one, Detected) and isinstance(other, Detected):
            assert all(torch.equal(other.detections[name], values) for name, values in one.detections.items())


def test_a_batch_goes_through_the_network_together(
    small: RetinaNetDetector, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def predict(batch: list[torch.Tensor], *, batch_size: int, tiling: None) -> list[dict[str, torch.Tensor]]:
        sizes.append(min(batch_size, len(batch)))
        return alone(batch, batch_size=batch_size, tiling=tiling)

    alone, one_by_one = small.predict, list(detect_pictures(small, pictures))
    monkeypatch.setattr(small, "predict", predict)
    together = list(detect_pictures(small, pictures, batch_size=4))
    assert sizes == [3, 4, 1], "of ten, the third and the last are no pictures"
    assert [one.path for one in together] == pictures
    for one, other in zip(one_by_one, together, strict=True):
        assert isinstance(one, Unreadable) == isinstance(other, Unreadable)
        if isinstance(one, Detected) and isinstance(other, Detected):
            assert torch.equal(one.picture, other.picture)
            scores = one.detections["scores"], other.detections["scores"]
            torch.testing.assert_close(*scores, rtol=1e-4, atol=1e-5)


def test_files_are_read_no_further_ahead_than_asked_for(
    small: RetinaNetDetector, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def endless() -> Iterator[Path]:
        number = 0
        while True:
            asked.append(number)
            yield pictures[0]
            number += 1

    before = threading.active_count()
    found = detect_pictures(small, endless(), ahead=4, workers=3)
    for count in range(1, 8):
        next(found)
        assert len(asked) == count + 4
    found.close()
    assert threading.active_count() == before


def test_reading_goes_on_while_the_network_works(
    small: RetinaNetDetector, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network waits until a later picture has been read, which in one thread would be never."""
    later, real = threading.Event(), read_picture

    def read(path: Path, **options: Any) -> torch.Tensor:
        if path == pictures[3]:
            later.set()
        return real(path, **options)

    monkeypatch.setattr(predict_room, "read_picture", read)
    found = detect_pictures(small, pictures, ahead=4)
    monkeypatch.setattr(small, "predict", lambda *_, **__: [{}] if later.wait(60) else pytest.fail("nothing was read"))
    assert next(found).path == pictures[0]
    found.close()


def test_boxes_on_pixels_as_they_are_stored_need_pictures_as_they_are_stored(
    small: RetinaNetDetector, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (40, 20)).save(tmp_path / "changed.png", exif=exif)
    shapes = [
        one.picture.shape
        for one in detect_pictures(small, [tmp_path / "changed.png"] * 2, upright=[True, False])
        if isinstance(one, Detected)
    ]
    assert shapes == [(3, 40, 20), (3, 20, 40)]


def test_the_mode_of_the_detector_stays(small: RetinaNetDetector, pictures: list[Path]) -> None:
    small.train()
    try:
        assert isinstance(next(iter(detect_pictures(small, pictures))), Detected)
        assert small.training
    finally:
        small.eval()


@pytest.mark.parametrize(("name", "value"), [("batch_size", 0), ("ahead", 0), ("workers", -1)])
def test_wrong_numbers_are_refused_at_once(name: str, value: int, small: RetinaNetDetector) -> None:
    wrong: dict[str, Any] = {name: value}
    with pytest.raises(InputError, match=f"^{name}: {value} must be at least 1$"):
        detect_pictures(small, [], **wrong)


def test_no_pictures_give_nothing(small: RetinaNetDetector) -> None:
    assert list(detect_pictures(small, [])) == []
