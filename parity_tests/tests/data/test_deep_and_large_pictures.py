"""Pictures beyond 8 bits and beyond Pillow's limit, and those that need a library that is not there."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor, nn

from parity_tests.tests.support.data_sets import write_pictures
from torch_retinanet.cli.picture_sources import find_sources
from torch_retinanet.data.dataset import PictureDataset
from torch_retinanet.data.formats import read_annotations
from torch_retinanet.data.screening import screen
from torch_retinanet.errors import InputError
from torch_retinanet.pictures import allow_pixels, read_picture


class Unchanged(nn.Module):
    """A transform that changes nothing."""

    def forward(self, picture: Any, target: Any) -> Any:
        """Picture and target as they are."""
        return picture, target


HEIC = struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"heic", 0, b"mif1", b"heic") + bytes(200)


@pytest.mark.parametrize(("largest", "white"), [(3500, 4095), (40000, 65535)])
def test_the_bits_that_a_data_set_uses_decide_what_is_white(largest: int, white: int, tmp_path: Path) -> None:
    for name, value in {"a.png": largest, "b.png": 1000}.items():
        Image.fromarray(np.full((40, 60), value, dtype=np.uint16)).save(tmp_path / name)
    (tmp_path / "objects.csv").write_text("a.png,2,3,30,33,cat\nb.png,2,3,30,33,cat\n")
    screened = screen(read_annotations(tmp_path), decode=False)
    assert screened.white == white
    said = [one.action for one in screened.problems if one.finding.startswith("gray of 16 bits that uses fewer")]
    assert said == ([f"{white} is white, not 65535"] if white < 65535 else [])
    sample = PictureDataset(screened, transform=Unchanged(), seed=0)[1]
    image = sample[0]
    assert isinstance(image, Tensor)
    assert image[0, 0, 0].item() == round(1000 / white * 255)


def test_larger_pictures_can_be_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    write_pictures(tmp_path, ["a.png"])
    with pytest.raises(InputError, match=r"--max-pixels allows more$"):
        read_picture(tmp_path / "a.png")
    allow_pixels(60 * 40)
    assert read_picture(tmp_path / "a.png").shape == (3, 40, 60)
    allow_pixels(60 * 40 - 2)
    with pytest.raises(InputError, match="--max-pixels"):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["phone.heic", "phone.jpg"])
def test_a_heic_picture_is_named_with_what_reads_it(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(HEIC)
    (tmp_path / "._phone.jpg").write_bytes(b"Mac OS X")
    assert [source.path.name for source in find_sources([tmp_path], output=tmp_path / "out")] == [name]
    with pytest.raises(InputError, match=r"(pip install pillow-heif|can read)"):
        read_picture(tmp_path / name)
