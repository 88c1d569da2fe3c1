"""A bit that flips in the weights or the checkpoint of a run is noticed, wherever it is."""

import random
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from torch_retinanet import InputError, RetinaNetConfig
from torch_retinanet.train.checkpoint import Progress, read_checkpoint, write_checkpoint
from torch_retinanet.weights import read_weights, write_weights
from torch_retinanet.weights.weights_file import WeightsFile

T = TypeVar("T")

FLIPS = 200
"""Bits that are flipped in each file, half of them in its header and half in its tensors."""

TENSORS = {
    "kernel": torch.linspace(-1, 1, 216).reshape(8, 3, 3, 3),
    "half": torch.ones(40, dtype=torch.bfloat16),
    "batches": torch.tensor(7.0),
    "none": torch.zeros(0, 4),
}


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A weights file whose model has a few small tensors."""
    shapes = {name: tuple(tensor.shape) for name, tensor in TENSORS.items()}
    for room in ("safetensors_file", "weights_file"):
        monkeypatch.setattr(f"torch_retinanet.weights.{room}.expected_shapes", lambda config, part: shapes)
    contents = WeightsFile(RetinaNetConfig.torchvision(2), TENSORS, class_names=("cat", "dog"))
    write_weights(tmp_path / "model.safetensors", contents)
    return tmp_path / "model.safetensors"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    write_checkpoint(tmp_path / "checkpoint.safetensors", Progress(step=3), TENSORS, {"batch": 2})
    return tmp_path / "checkpoint.safetensors"


def flipped(path: Path, target: Path) -> Iterator[Path]:
    """The file with one bit another each time: in its header by turns with its tensors."""
    content, rng = path.read_bytes(), random.Random(0)
    header = 8 + struct.unpack("<Q", content[:8])[0]
    for number in range(FLIPS):
        byte = rng.randrange(header) if number % 2 else rng.randrange(header, len(content))
        target.write_bytes(content[:byte] + bytes([content[byte] ^ 1 << rng.randrange(8)]) + content[byte + 1 :])
        yield target


def assert_equal(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> None:
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)


def read_or_refused(read: Callable[[Path], T], path: Path) -> T | InputError:
    try:
        return read(path)
    except InputError as error:
        return error


def outcomes(read: Callable[[Path], T], path: Path, target: Path) -> list[T]:
    """What was read of each file with a flipped bit; the others were refused, in one sentence each."""
    found = [read_or_refused(read, damaged) for damaged in flipped(path, target)]
    sentences = [str(one) for one in found if isinstance(one, InputError)]
    assert all(sentence.startswith(f"{target}: ") and "\n" not in sentence for sentence in sentences)
    assert len(sentences) > 0.9 * FLIPS
    return [one for one in found if not isinstance(one, InputError)]


def test_a_flipped_bit_in_weights_is_refused_or_changes_nothing(model: Path, tmp_path: Path) -> None:
    whole = read_weights(model)
    for read in outcomes(read_weights, model, tmp_path / "flipped.safetensors"):
        assert (read.config, read.class_names) == (whole.config, whole.class_names)
        assert_equal(read.tensors, whole.tensors)


def test_a_flipped_bit_in_a_checkpoint_is_refused_or_changes_nothing(checkpoint: Path, tmp_path: Path) -> None:
    whole = read_checkpoint(checkpoint)
    for read in outcomes(read_checkpoint, checkpoint, tmp_path / "flipped.safetensors"):
        assert (read.progress, read.settings) == (whole.progress, whole.settings)
        assert_equal(read.tensors, whole.tensors)


def test_the_sentence_says_that_the_file_is_damaged(model: Path) -> None:
    content = bytearray(model.read_bytes())
    content[-200] ^= 1
    model.write_bytes(content)
    with pytest.raises(InputError, match=r"model.safetensors: is damaged, its digest must be that of its content; res"):
        read_weights(model)


def test_files_of_earlier_versions_have_no_digest_and_are_read(model: Path, checkpoint: Path) -> None:
    for path in (model, checkpoint):
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
        assert metadata.pop("digest")
        save_file(load_file(path), path, {name: text for name, text in metadata.items() if name != "settings"})
    assert_equal(read_weights(model).tensors, TENSORS)
    assert_equal(read_checkpoint(checkpoint).tensors, TENSORS)
    assert read_checkpoint(checkpoint).settings == {}
