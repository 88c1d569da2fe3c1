"""Pictures at another size, held against the libraries whose arithmetic is followed, where they are installed."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from torch_retinanet import RetinaNetConfig
from torch_retinanet.preprocess import resize
from torch_retinanet.resize import resize_as_tensorflow, resize_with

SIZES = [((37, 61), (48, 79)), ((150, 90), (80, 48)), ((13, 7), (64, 61)), ((60, 40), (30, 20)), ((7, 9), (3, 40))]
"""Heights and widths before and after: larger, smaller, halved, and one side each way."""

LAST_BITS = 2.0**-21
"""Of a value below 256, relative to 256: OpenCV rounds a product and a sum together where a processor can."""


def pixels(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def resized(library: Any, picture: np.ndarray, size: tuple[int, int], **how: Any) -> np.ndarray:
    """Ours of a picture (H,W,3)."""
    channels = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))
    found: Tensor = resize_with(library, channels, size, **how)
    return found.permute(1, 2, 0).numpy()


@pytest.mark.parametrize(("before", "after"), SIZES)
def test_bytes_and_real_numbers_come_out_as_opencv_makes_them(before: tuple[int, int], after: tuple[int, int]) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed; recordings of fizyr and MMDetection hold it")
    picture = pixels(before)
    assert np.array_equal(resized("cv2", picture, after), cv2.resize(picture, after[::-1]))
    real = picture.astype(np.float32)
    assert np.abs(resized("cv2", real, after) - cv2.resize(real, after[::-1])).max() <= 256 * LAST_BITS


@pytest.mark.parametrize(("before", "after"), SIZES)
def test_real_numbers_come_out_as_tensorflow_makes_them_bit_for_bit(
    before: tuple[int, int], after: tuple[int, int]
) -> None:
    tensorflow = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    real = pixels(before).astype(np.float32)
    assert np.array_equal(resized("tf", real, after), tensorflow.image.resize(real, after).numpy())
    smoothed = tensorflow.image.resize(real, after, antialias=True).numpy()
    assert np.abs(resized("tf", real, after, antialias=True) - smoothed).max() < 256 * 2.0**-16


@pytest.mark.parametrize(("before", "after"), SIZES)
def test_bytes_and_real_numbers_come_out_as_pillow_makes_them(before: tuple[int, int], after: tuple[int, int]) -> None:
    picture = pixels(before)
    expected = Image.fromarray(picture).resize(after[::-1], Image.Resampling.BILINEAR)
    assert np.array_equal(resized("pil", picture, after), np.asarray(expected))
    red = Image.fromarray(picture[..., 0].astype(np.float32)).resize(after[::-1], Image.Resampling.BILINEAR)
    assert np.array_equal(resized("pil", picture.astype(np.float32), after)[..., 0], np.asarray(red))


@pytest.mark.parametrize("antialias", [False, True])
def test_bytes_come_out_as_torchvision_rounds_them(antialias: bool) -> None:
    picture = torch.from_numpy(pixels((37, 61)).transpose(2, 0, 1).copy())
    expected = F.resize(picture.float(), [48, 30], antialias=antialias).round().clamp(0, 255)
    assert torch.equal(resize_with("torch", picture, (48, 30), antialias=antialias), expected.to(torch.uint8))


def test_in_float64_tensorflow_s_formula_is_torch_s_but_for_rounding() -> None:
    picture = torch.from_numpy(pixels((37, 61)).transpose(2, 0, 1).copy()).double()
    found = resize_as_tensorflow(picture, (48, 30))
    torch.testing.assert_close(found, resize_with("torch", picture, (48, 30)), rtol=0, atol=256 * 2.0**-40)


def test_every_library_is_a_result_of_its_own() -> None:
    picture = torch.from_numpy(pixels((60, 41)).transpose(2, 0, 1).copy()).float()
    found = {
        (library, to): resize(picture, (31, 70), RetinaNetConfig.torchvision(resize_library=library, resized_to=to))
        for library in ("torch", "pil", "cv2", "tf")
        for to in ("real", "bytes")
    }
    assert all(values.dtype == picture.dtype for values in found.values())
    for name, values in found.items():
        assert torch.equal(values.round(), values) or name[1] == "real", name
    for to in ("real", "bytes"):
        far = (found["pil", to] - found["torch", to]).abs().max()
        assert far > 12, "Pillow smooths"
        assert (found["cv2", to] - found["torch", to]).abs().max() < 2
