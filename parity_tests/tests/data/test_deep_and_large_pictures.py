"""Pictures beyond 8 bits and beyond Pillow's limit, and those that need a library that is not there."""

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from parity_tests.tests.support.data_sets import write_pictures
from torch_retinanet import RetinaNetDetector
from torch_retinanet.cli.picture_sources import find_sources
from torch_retinanet.data.dataset import PictureDataset
from torch_retinanet.data.formats import read_annotations
from torch_retinanet.data.screening import screen
from torch_retinanet.errors import InputError
from torch_retinanet.pictures import allow_pixels, read_picture
from torch_retinanet.tiles import Tiling
from torch_retinanet.train import TrainConfig, Trainer
from torch_retinanet.train.data import read_data
from torch_retinanet.weights.trained_on import TrainedOn


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


def test_white_is_in_training_in_evaluation_and_in_prediction_what_the_model_learnt_from(tmp_path: Path) -> None:
    """Pictures to evaluate on that happen to be dark are as bright as those of the training."""
    for name, value in {"train/a.png": 3500, "val/b.png": 900}.items():
        (tmp_path / name).parent.mkdir()
        Image.fromarray(np.full((64, 64), value, dtype=np.uint16)).save(tmp_path / name)
        (tmp_path / name).with_name("objects.csv").write_text(f"{Path(name).name},2,3,30,33,cat\n")
    tiny = ["backbone=resnet18", "width=16", "head_depth=1", "min_side=64", "max_side=64", "batch=1", "workers=0"]
    (tmp_path / "tiny.toml").write_text("\n".join(tiny).replace("resnet18", '"resnet18"') + "\nsteps=1\n")
    config = TrainConfig.from_toml(tmp_path / "tiny.toml", data=tmp_path / "train")
    config = replace(config, val=tmp_path / "val", out=tmp_path / "run")
    _, val = read_data(config)
    assert val is not None
    assert val.white == 4095
    Trainer(config).fit()
    detector = RetinaNetDetector.from_pretrained(tmp_path / "run" / "model.safetensors")
    assert detector.trained_on == TrainedOn(4095)
    for given in (tmp_path / "val" / "b.png", Image.open(tmp_path / "val" / "b.png")):
        [found] = detector.predict(given, score_threshold=0.0)
        [expected] = detector.predict(read_picture(given, white=4095), score_threshold=0.0)
        assert torch.equal(found["scores"], expected["scores"])
    detector.save_pretrained(tmp_path / "saved")
    assert RetinaNetDetector.from_pretrained(tmp_path / "saved").trained_on == TrainedOn(4095)


def test_what_is_brighter_than_white_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 5000, dtype=np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"pixels of mode I;16 must be from 0 to 4095, which is white$"):
        read_picture(tmp_path / "a.png", white=4095)


@pytest.mark.parametrize(
    "text",
    [
        *("", "[1]", '{"white": 0}', '{"white": true}', '{"white": 65536}', '{"tile": 8}', "[" * 100_000),
        *('{"tile": 8, "overlap": 0.1}', '{"tile": 40, "overlap": NaN}'),
    ],
)
def test_metadata_of_another_kind_are_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(InputError, match=r"^a\.safetensors: .*metadata"):
        TrainedOn.from_json(Path("a.safetensors"), text)


def test_what_was_trained_on_is_read_as_it_was_written() -> None:
    for one in (TrainedOn(), TrainedOn(4095), TrainedOn(None, Tiling(400, 0.5)), TrainedOn(255, Tiling(64))):
        assert TrainedOn.from_json(Path("a.safetensors"), one.to_json()) == one


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


def test_heic_is_read_where_pillow_heif_is_there(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif")
    for name in ("a.heic", "b.HEIC"):
        Image.new("RGB", (96, 64), "red").save(tmp_path / name, format="HEIF")
    (tmp_path / "objects.csv").write_text("a.heic,2,3,30,33,cat\nb.HEIC,2,3,30,33,cat\n")
    read = screen(read_annotations(tmp_path), decode=True)
    assert read.sizes.tolist() == [[64, 96]] * 2
    assert [source.name.name for source in find_sources([tmp_path], output=tmp_path / "out")] == ["a.heic", "b.HEIC"]
    assert read_picture(tmp_path / "b.HEIC")[0].min() > 200
