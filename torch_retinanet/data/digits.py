"""Real handwritten digits on real photos, with exact boxes: a detection data set that needs no download.

The digits are the 1797 of scikit-learn's `load_digits` (UCI Optical Recognition of Handwritten Digits), the photos are
among those that scikit-image brings along. Train and test share no digit, and have different halves of each photo.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors

from torch_retinanet.errors import InputError

Split = Literal["train", "test"]
Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Box = tuple[int, int, int, int]
"""x1, y1, x2, y2 in pixels: the first column and row, and those after the last."""

PHOTOS = (
    *("astronaut.png", "brick.png", "camera.png", "cell.png", "chelsea.png", "coffee.png", "coins.png", "grass.png"),
    *("gravel.png", "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png", "retina.jpg", "rocket.jpg"),
)
"""Photos of scikit-image without writing; pictures of the training split are cut from their left halves, of the test
split from their right halves."""
MIN_SIZE = 32
MAX_DIGITS = 6
EMPTY = 0.04
"""The share of pictures without a digit."""
MIN_SIDE = 8
"""A digit is never drawn smaller than it was scanned, in pixels."""
DEGREES = 15
CONTRAST = 90, 127
"""By how much the luminance of a digit differs from the mean of its background, of 255; 127 always has room."""
LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Of red, green and blue (ITU-R BT.601)."""
VISIBLE = 0.25
"""The least alpha of a digit's pixels, below which they are left out."""
OVERLAP = 0.1
"""The largest share of a box that another may cover, hence of their union too."""
TRIES = 10


class Digits(Dataset[tuple[Tensor, dict[str, Any]]]):
    """Pictures with up to six digits each, about one in 25 with none; drawn when asked for, and nothing is stored.

    `dataset[i]` is a picture and its target, which depend on `seed`, `split`, `size` and `i` alone:
        - `tv_tensors.Image` of bytes (3,H,W), red first;
        - `boxes`: `tv_tensors.BoundingBoxes` (G,4) float32, x1, y1, x2, y2 in pixels, the tight extent of the digit's
          own pixels, from their first to their last edge (a tenth of a box may lie under another digit's);
          `labels`: int64 (G,) from 0 to 9; `image_id`: i.

    A digit's side is an eighth to a half of the picture's short side, and 8 pixels at least.

    Raises:
        InputError: for an unknown split, a negative length or seed, a side below 32.
        IndexError: for an index outside.
        ModuleNotFoundError: without scikit-learn or scikit-image, when the first picture is asked for.
    """

    def __init__(self, split: Split, *, length: int, size: tuple[int, int] = (128, 128), seed: int = 0) -> None:
        if split not in get_args(Split):
            raise InputError(f"split: {split!r} must be 'train' or 'test'")
        if length < 0:
            raise InputError(f"length: {length!r} must not be negative")
        if len(size) != 2 or min(size) < MIN_SIZE:
            raise InputError(f"size: {size!r} must be height and width, {MIN_SIZE} pixels at least")
        if seed < 0:
            raise InputError(f"seed: {seed!r} must not be negative")
        self.split: Split = split
        self.length, self.size, self.seed = length, size, seed

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Any]]:
        if not -self.length <= index < self.length:
            raise IndexError(f"index: {index} must be one of {self.length} pictures")
        index %= self.length
        picture, digits = self._scene(index)
        for digit in digits:
            _paint(picture, digit)
        boxes = torch.tensor([digit.box for digit in digits], dtype=torch.float32).reshape(-1, 4)
        pixels = torch.from_numpy(np.rint(picture).astype(np.uint8)).permute(2, 0, 1).contiguous()
        return tv_tensors.Image(pixels), {
            "boxes": tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=self.size),
            "labels": torch.tensor([digit.label for digit in digits], dtype=torch.int64),
            "image_id": index,
        }

    def _scene(self, index: int) -> "tuple[Floats, list[_Digit]]":
        """The bare background (H,W,3) from 0 to 255, and the digits to paint on it."""
        rng = np.random.default_rng([self.seed, get_args(Split).index(self.split), index])
        background = _background(self.split, self.size, rng)
        digits: list[_Digit] = []
        for _ in range(0 if rng.random() < EMPTY else rng.integers(1, MAX_DIGITS, endpoint=True)):
            label, alpha = _draw(self.split, min(self.size), rng)
            box = _place(alpha.shape, self.size, [digit.box for digit in digits], rng)
            if box:
                digits.append(_Digit(label, box, alpha, _colour(_patch(background, box), rng)))
        return background, digits


def collate(batch: Sequence[tuple[Tensor, dict[str, Any]]]) -> tuple[list[Tensor], list[dict[str, Any]]]:
    """Pictures and targets of a batch as two lists, for a `DataLoader`; as torchvision's detection reference has it."""
    return [image for image, _ in batch], [target for _, target in batch]


@dataclass(frozen=True)
class _Digit:
    label: int
    box: Box
    alpha: Floats  # (h,w), 0 or from VISIBLE to 1; every edge row and column has a pixel that is not 0
    colour: Floats  # (3,) from 0 to 255


@cache
def _photo(name: str, split: Split) -> Image.Image:
    """The half of a photo that belongs to a split."""
    import skimage.data

    with Image.open(Path(skimage.data.__file__).parent / name) as photo:
        middle = photo.width // 2
        sides = (0, middle) if split == "train" else (middle, photo.width)
        half: Image.Image = photo.convert("RGB").crop((sides[0], 0, sides[1], photo.height))
        return half


@cache
def _digits(split: Split) -> tuple[Bytes, npt.NDArray[np.int64]]:
    """Scans (N,8,8) from 0 to 240 and their labels (N,): four fifths of every label to train, the others to test."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    scans, labels = load_digits(return_X_y=True)
    parts = train_test_split(scans, labels, test_size=0.2, stratify=labels, random_state=0)
    scans, labels = parts[0::2] if split == "train" else parts[1::2]
    return (scans.reshape(-1, 8, 8) * 15).astype(np.uint8), labels.astype(np.int64)


def _background(split: Split, size: tuple[int, int], rng: np.random.Generator) -> Floats:
    """A crop of the size's shape, from 0.3 of the largest that fits, mirrored or not."""
    height, width = size
    photo = _photo(PHOTOS[rng.integers(len(PHOTOS))], split)
    scale = rng.uniform(0.3, 1) * min(photo.width / width, photo.height / height)
    left = rng.uniform(0, photo.width - scale * width)
    top = rng.uniform(0, photo.height - scale * height)
    box = (left, top, left + scale * width, top + scale * height)
    crop = np.asarray(photo.resize((width, height), Image.Resampling.BILINEAR, box), dtype=np.float32)
    return np.array(crop[:, ::-1] if rng.random() < 0.5 else crop)


def _draw(split: Split, short_side: int, rng: np.random.Generator) -> tuple[int, Floats]:
    """A digit's label and its alpha (h,w), cut to the visible pixels."""
    scans, labels = _digits(split)
    index = rng.integers(len(labels))
    least = max(MIN_SIDE, short_side / 8)
    side = least * (short_side / 2 / least) ** rng.random()
    alpha = _enlarge(scans[index], side, math.radians(rng.uniform(-DEGREES, DEGREES)))
    left, top, right, bottom = _extent(alpha > 0)
    return int(labels[index]), alpha[top:bottom, left:right]


def _enlarge(scan: Bytes, side: float, angle: float) -> Floats:
    """The alpha of a scan whose 8 pixels become `side`, rotated by `angle` radians."""
    padded = np.pad(scan, 3)
    canvas = math.ceil(side * 1.5)
    cos, sin = 8 / side * math.cos(angle), 8 / side * math.sin(angle)
    x = len(padded) / 2 - (cos + sin) * canvas / 2
    y = len(padded) / 2 - (cos - sin) * canvas / 2
    data = (cos, sin, x, -sin, cos, y)  # where a pixel of the canvas lies in the scan
    enlarged = Image.fromarray(padded).transform(
        (canvas, canvas), Image.Transform.AFFINE, data, Image.Resampling.BICUBIC
    )
    alpha = np.clip(np.asarray(enlarged, dtype=np.float32) / 96 - 0.75, 0, 1)  # strokes get an edge
    return np.where(alpha < VISIBLE, np.float32(0), alpha)


def _extent(visible: npt.NDArray[np.bool_]) -> Box:
    columns, rows = np.flatnonzero(visible.any(0)), np.flatnonzero(visible.any(1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _place(shape: tuple[int, ...], size: tuple[int, int], taken: Sequence[Box], rng: np.random.Generator) -> Box | None:
    height, width = shape
    for _ in range(TRIES):
        left = int(rng.integers(size[1] - width, endpoint=True))
        top = int(rng.integers(size[0] - height, endpoint=True))
        box = left, top, left + width, top + height
        if all(_covered(box, other) <= OVERLAP for other in taken):
            return box
    return None


def _covered(a: Box, b: Box) -> float:
    """The share of the smaller box that the other covers."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return max(width, 0) * max(height, 0) / min(areas)


def _colour(patch: Floats, rng: np.random.Generator) -> Floats:
    """A random colour, brightened or darkened to a luminance well away from the mean of `patch` (h,w,3)."""
    colour = rng.uniform(0, 255, 3).astype(np.float32)
    mean, own, contrast = float(patch.mean((0, 1)) @ LUMINANCE), float(colour @ LUMINANCE), rng.uniform(*CONTRAST)
    fits = [luminance for luminance in (mean - contrast, mean + contrast) if 0 <= luminance <= 255]
    target = fits[rng.integers(len(fits))]
    if own < target:
        brighter: Floats = colour + (255 - colour) * np.float32((target - own) / (255 - own))
        return brighter
    darker: Floats = colour * np.float32(target / own)
    return darker


def _patch(picture: Floats, box: Box) -> Floats:
    left, top, right, bottom = box
    return picture[top:bottom, left:right]


def _paint(picture: Floats, digit: _Digit) -> None:
    patch = _patch(picture, digit.box)
    patch += (digit.colour - patch) * digit.alpha[..., None]
