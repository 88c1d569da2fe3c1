"""Pictures and their boxes as the network is fed; mirrors `keras_reference/preprocess.py`."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.resize import resize_with

WHOLE: dict[str, Callable[[float], int]] = {
    "down": int,
    "half_up": lambda side: math.floor(side + 0.5),
    "half_even": round,
}
"""Whole pixels of a side, by the convention `whole_pixels`."""

JITTER = (640, 1024)
"""Pixels between which the keras.io example draws the short side of a training picture."""


class Prepared(NamedTuple):
    """A batch as the network is fed.

    Attributes:
        images: (B,3,H,W).
        sizes: height and width of each picture within, without padding.
        scales: how much higher and wider each picture has become, by which boxes are multiplied.
        returns: what detections are divided by on their way back, height and width; the keras.io example takes the
            ratio of the picture's sides there, which is `scales` but for rounding.
        offsets: pixels above and left of each picture, where padding is around it.
    """

    images: Tensor
    sizes: list[tuple[int, int]]
    scales: list[tuple[float, float]]
    returns: list[tuple[float, float]]
    offsets: Sequence[tuple[float, float]] = ()

    def shifted(self, boxes_xyxy: Sequence[Tensor], *, back: bool = False) -> list[Tensor]:
        """Resized boxes (G,4) of each picture at the place where its padding puts them; or back from there."""
        if not self.offsets:
            return list(boxes_xyxy)
        shifts = [b.new_tensor([x, y, x, y]) for b, (y, x) in zip(boxes_xyxy, self.offsets, strict=True)]
        return [b - shift if back else b + shift for b, shift in zip(boxes_xyxy, shifts, strict=True)]


class NewSize(NamedTuple):
    """What a picture is resized to.

    Attributes:
        pixels: height and width, cut to whole pixels, and one at least.
        followed: those that boxes, and mostly padding, follow, by the convention `padded_from`.
        ratio: how many times larger a picture becomes, before its sides are cut.
    """

    pixels: tuple[int, int]
    followed: tuple[float, float]
    ratio: float


def resized_size(size: tuple[int, int], config: RetinaNetConfig, *, min_side: float | None = None) -> NewSize:
    """The size of a picture whose short side gets `min_side` pixels, by default the config's, its long one `max_side`
    at most. Where the config says 0, a picture keeps its size."""
    number = np.float32 if config.resize_rounding == "single" else np.float64
    least = min_side or config.min_side or min(size)
    ratio = min(number(least) / number(min(size)), number(config.max_side) / number(max(size)))
    uncut = float(ratio * number(size[0])), float(ratio * number(size[1]))
    pixels = WHOLE[config.whole_pixels](uncut[0]), WHOLE[config.whole_pixels](uncut[1])
    pixels = max(1, pixels[0]), max(1, pixels[1])
    followed = uncut if config.padded_from != "cut" else (float(pixels[0]), float(pixels[1]))
    return NewSize(pixels, followed, float(ratio))


def padded_size(sizes: Sequence[NewSize], config: RetinaNetConfig) -> tuple[int, int]:
    """The smallest size that holds all `sizes` and divides by `pad_multiple`; the next, where it pads always."""
    if config.padding_place == "around":
        return _square_side(config), _square_side(config)
    multiple = config.pad_multiple
    if config.padded_from == "boxes_uncut":
        sizes = [size._replace(followed=size.pixels) for size in sizes]
    sides = [max(max(size.pixels[axis], size.followed[axis]) for size in sizes) for axis in (0, 1)]
    if config.pad_always:
        height, width = (math.floor(side / multiple + 1) * multiple for side in sides)
    else:
        height, width = (math.ceil(side / multiple) * multiple for side in sides)
    return height, width


def from_0_to_255(image: Tensor) -> Tensor:
    """A picture of bytes, or of real numbers from 0 to 1, as real numbers of at least single precision."""
    if image.dtype == torch.uint8:
        return image.to(torch.promote_types(torch.get_default_dtype(), torch.float32))
    return image * 255


def resize(image: Tensor, size: tuple[int, int], config: RetinaNetConfig, *, ratio: float | None = None) -> Tensor:
    """A picture (C,H,W) from 0 to 255 at another size; `ratio` is how many times larger, before sides were cut."""
    if tuple(image.shape[-2:]) == size:
        return image
    how: dict[str, Any] = {
        "antialias": config.resize_antialias,
        "mirror": config.resize_edges == "mirror",
        "ratio": ratio if config.resize_ratio == "uncut" else None,
    }
    if config.resized_to == "real":
        return resize_with(config.resize_library, image, size, **how)
    levels = image.round().clamp(0, 255).to(torch.uint8)
    return resize_with(config.resize_library, levels, size, **how).to(image)


def normalise(image: Tensor, config: RetinaNetConfig) -> Tensor:
    """A picture (C,H,W), by default RGB, from 0 to 255, in the channel order and on the scale of a config."""
    mean, std = (image.new_tensor(values)[:, None, None] for values in (config.pixel_mean, config.pixel_std))
    scaled = (image - mean) / std
    return scaled.flip(0) if config.channel_order == "bgr" else scaled


def normalise_and_pad(image: Tensor, size: tuple[int, int], config: RetinaNetConfig) -> Tensor:
    """A resized picture (3,h,w) from 0 to 255, normalised and padded to `size`, in the order that the config has."""
    if config.padding_value == "black":
        return normalise(_pad(image, size), config)
    return _pad(normalise(image, config), size)


def prepare(images: Sequence[Tensor], config: RetinaNetConfig) -> Prepared:
    """Pictures (3,H,W), RGB of bytes or from 0 to 1, resized, normalised and padded to one batch."""
    images = [from_0_to_255(image) for image in images]
    if config.padding_place == "around":
        return _prepare_around(images, config)
    resized, sizes = zip(*(_resized(image, config) for image in images), strict=True)
    padded = padded_size(sizes, config)
    scales = [_scales(image, size) for image, size in zip(images, sizes, strict=True)]
    returns = [(s.ratio, s.ratio) for s in sizes] if config.padded_from != "cut" else scales
    images_fed = torch.stack([normalise_and_pad(image, padded, config) for image in resized])
    return Prepared(images_fed, [size.pixels for size in sizes], scales, returns)


def _prepare_around(images: Sequence[Tensor], config: RetinaNetConfig) -> Prepared:
    """Pictures in the middle of black squares, resized then; boxes follow a ratio of their own, as KerasHub's do.

    Source: keras 3.15.1 backend/tensorflow/image.py resize and layers/preprocessing/.../resizing.py.
    """
    side, number = _square_side(config), np.float32 if config.resize_rounding == "single" else np.float64
    fed = [normalise(resize(_in_square(image), (side, side), config), config) for image in images]
    ratios = [number(side / max(image.shape[-2:])) for image in images]
    rests = [[float((side - number(n) * r) // 2) for n in i.shape[-2:]] for i, r in zip(images, ratios, strict=True)]
    scales = [(float(ratio), float(ratio)) for ratio in ratios]
    return Prepared(torch.stack(fed), [(side, side)] * len(images), scales, scales, [(y, x) for y, x in rests])


def _square_side(config: RetinaNetConfig) -> int:
    """Pixels of a square: its short side is its long one too."""
    return min(config.min_side, config.max_side)


def _in_square(image: Tensor) -> Tensor:
    """A picture with black of half the difference of its sides, cut to whole pixels, on both sides of the shorter."""
    height, width = image.shape[-2:]
    y, x = max(0, width - height) // 2, max(0, height - width) // 2
    return F.pad(image, (x, x, y, y))


def resize_and_pad_image(
    image: Tensor, config: RetinaNetConfig, *, min_side: float | None = None
) -> tuple[Tensor, tuple[int, int], tuple[float, float]]:
    """A picture (3,H,W) from 0 to 255 resized and padded with black, its size within, and its scales (height, width).

    The short side gets `min_side` pixels, by default those of the config.
    """
    resized, size = _resized(image, config, min_side=min_side)
    padded = _pad(resized, padded_size([size], config))
    return padded, size.pixels, _scales(image, size)


def random_flip_horizontal(image: Tensor, boxes_xyxy: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A picture (C,H,W) and its boxes (G,4) in pixels, as they are or mirrored left to right, each half the time."""
    if torch.rand((), generator=generator) < 0.5:
        return image, boxes_xyxy
    return flip_horizontal(image, boxes_xyxy)


def flip_horizontal(image: Tensor, boxes_xyxy: Tensor) -> tuple[Tensor, Tensor]:
    """A picture (C,H,W) and its boxes (G,4) in pixels, mirrored left to right."""
    left, top, right, bottom = boxes_xyxy.unbind(-1)
    width = image.shape[-1]
    return image.flip(-1), torch.stack([width - right, top, width - left, bottom], dim=-1)


def preprocess_data(
    image: Tensor, boxes_xyxy: Tensor, config: RetinaNetConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """A training picture (3,H,W) from 0 to 255 and its boxes (G,4), flipped at random, resized by a random short side,
    and padded."""
    image, boxes = random_flip_horizontal(image, boxes_xyxy, generator)
    least, most = JITTER
    min_side = least + (most - least) * torch.rand((), generator=generator).item()
    image, _, (by_height, by_width) = resize_and_pad_image(image, config, min_side=min_side)
    return image, boxes * boxes.new_tensor([by_width, by_height, by_width, by_height])


def _resized(image: Tensor, config: RetinaNetConfig, *, min_side: float | None = None) -> tuple[Tensor, NewSize]:
    size = resized_size((image.shape[-2], image.shape[-1]), config, min_side=min_side)
    return resize(image, size.pixels, config, ratio=size.ratio), size


def _scales(image: Tensor, size: NewSize) -> tuple[float, float]:
    return size.followed[0] / image.shape[-2], size.followed[1] / image.shape[-1]


def _pad(image: Tensor, size: tuple[int, int]) -> Tensor:
    return F.pad(image, (0, size[1] - image.shape[-1], 0, size[0] - image.shape[-2]))
