"""A picture and its objects as the keras.io example feeds them; mirrors `torch_retinanet/preprocess.py`.

Everything is computed at once, never within a graph, and random draws come from the generator that is given.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_reference.boxes import convert_to_xywh, swap_xy
from keras_reference.errors import InputError


def random_flip_horizontal(image: Any, boxes: Any, rng: np.random.Generator) -> tuple[Any, Any]:
    """Image (H,W,3) and boxes (G,4) in normalised corners, both mirrored left to right in one of two draws."""
    return (image, boxes) if rng.uniform() <= 0.5 else flip_horizontal(image, boxes)


def flip_horizontal(image: Any, boxes: Any) -> tuple[Any, Any]:
    """Image (H,W,3) and boxes (G,4) in normalised corners, both mirrored left to right."""
    flipped = ops.stack([1 - boxes[:, 2], boxes[:, 1], 1 - boxes[:, 0], boxes[:, 3]], axis=-1)
    return ops.flip(image, axis=1), flipped


class NewSize(NamedTuple):
    """What an image is resized and padded to.

    Attributes:
        followed: height and width in pixels, not yet cut to whole ones: what boxes and padding follow.
        pixels: the same, cut.
        padded: height and width with the zeros at the bottom and right.
        ratio: how many times larger the image becomes.
    """

    followed: tuple[float, float]
    pixels: tuple[int, int]
    padded: tuple[int, int]
    ratio: float


def resized_size(
    size: tuple[int, int], min_side: float = 800.0, max_side: float = 1333.0, stride: float = 128.0
) -> NewSize:
    """The size of an image of `size`, height and width, whose shorter side gets `min_side` pixels.

    Sizes are float32 numbers in every precision, as in the example: a side of 799.99994 pixels is cut to 799.
    """
    sides = np.array(size, np.float32)
    ratio = np.float32(min_side) / sides.min()
    if ratio * sides.max() > np.float32(max_side):
        ratio = np.float32(max_side) / sides.max()
    height, width = (float(side) for side in ratio * sides)
    padded = [int(math.ceil(side / stride) * stride) for side in (height, width)]
    return NewSize((height, width), (int(height), int(width)), (padded[0], padded[1]), float(ratio))


def resize_and_pad_image(
    image: Any,
    min_side: float = 800.0,
    max_side: float = 1333.0,
    jitter: tuple[float, float] | None = (640, 1024),
    stride: float = 128.0,
    *,
    rng: np.random.Generator | None = None,
) -> tuple[Any, tuple[float, float], float]:
    """An image at the scale of training, with zeros at the bottom and right up to whole strides.

    Args:
        image: (H,W,3), values from 0 to 255.
        min_side: pixels that the shorter side gets, where there is no `jitter`.
        max_side: pixels that the longer side has at most; the image shrinks further for it.
        jitter: bounds of the draw, in pixels, that replaces `min_side`.
        stride: pixels; that of the highest level.
        rng: for `jitter`.

    Returns:
        The image in Keras' precision, its height and width in pixels before padding and before they are cut to whole
        pixels, and how many times larger they are than they were. Sizes are float32 numbers in every precision, as
        in the example: a side of 799.99994 pixels is cut to 799.

    Raises:
        InputError: for an image that is not (H,W,3), and `jitter` without `rng`.
    """
    image = ops.convert_to_tensor(image, dtype=keras.config.floatx())
    if len(image.shape) != 3 or image.shape[-1] != 3:
        raise InputError(f"image: shape {tuple(image.shape)} must be (H,W,3)")
    if jitter is not None:
        if rng is None:
            raise InputError("rng: None must be a numpy Generator, since jitter draws from it")
        min_side = rng.uniform(*jitter)
    size = resized_size(image.shape[:2], min_side, max_side, stride)
    return pad(resize(image, size.pixels), size), size.followed, size.ratio


def pad(image: Any, size: NewSize) -> Any:
    """An image (h,w,3) that has been resized, with zeros at the bottom and right."""
    (height, width), (rows, columns) = size.pixels, size.padded
    return ops.pad(image, [[0, rows - height], [0, columns - width], [0, 0]])


def normalise(image: Any) -> Any:
    """An image (...,3), RGB from 0 to 255, as the backbone takes it: BGR less the mean of ImageNet."""
    return keras.applications.resnet.preprocess_input(image)


def prepare_image(image: Any, min_side: float = 800.0, max_side: float = 1333.0) -> tuple[Any, float]:
    """An image (H,W,3), RGB from 0 to 255, as the trained network is shown it: (1,h,w,3), and how many times larger.

    What is found is divided by that number (the example's `prepare_image`).
    """
    image, _, ratio = resize_and_pad_image(image, min_side, max_side, jitter=None)
    return ops.expand_dims(normalise(image), axis=0), ratio


def resize(image: Any, size: tuple[int, int]) -> Any:
    """Image (H,W,3) at `size`, height and width: bilinear between pixel centres, without smoothing when it shrinks.

    What `keras.ops.image.resize` gives by default, which on TensorFlow computes in float32 alone.
    """
    axes = [
        (ops.arange(new, dtype=image.dtype) + 0.5) * (old / new) - 0.5
        for old, new in zip(image.shape[:2], size, strict=True)
    ]
    grid = ops.stack(ops.meshgrid(*axes, indexing="ij"))  # (2,h,w)
    colours = [ops.image.map_coordinates(image[..., i], grid, order=1, fill_mode="nearest") for i in range(3)]
    return ops.stack(colours, axis=-1)


def preprocess_data(sample: Mapping[str, Any], rng: np.random.Generator) -> tuple[Any, Any, Any]:
    """A sample of TensorFlow Datasets for training: flipped at random, at a random scale, padded.

    Args:
        sample: `image` (H,W,3) from 0 to 255, and `objects` with `bbox` (G,4), normalised y1, x1, y2, x2, and `label`
            (G,), the classes counted from 0.
        rng: what flip and scale are drawn from.

    Returns:
        The image (h,w,3), its boxes (G,4) in xywh in pixels of that image, and its classes (G,) in int32.

    Raises:
        InputError: for an image that is not (H,W,3).
    """
    dtype = keras.config.floatx()
    boxes = swap_xy(ops.convert_to_tensor(sample["objects"]["bbox"], dtype=dtype))
    image, boxes = random_flip_horizontal(sample["image"], boxes, rng)
    image, (height, width), _ = resize_and_pad_image(image, rng=rng)
    boxes = boxes * ops.convert_to_tensor([width, height, width, height], dtype=dtype)
    return image, convert_to_xywh(boxes), ops.cast(sample["objects"]["label"], "int32")
