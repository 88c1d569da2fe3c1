"""Pictures at another size, as the libraries of published RetinaNets resize them; bilinear between pixel centres.

Each function takes a picture (C,H,W) in real numbers, or in bytes where the library has whole numbers for them. Pillow
itself does what Pillow does. OpenCV 5.0.0 is followed bit for bit in bytes, which it weighs in 2048ths and cuts off
between rows and columns, and to the last bits in float32 (modules/imgproc resize.cpp, INTER_LINEAR). TensorFlow 2.21.0
is followed bit for bit in float32 (core/kernels/image/resize_bilinear_op.cc, half_pixel_centers).
"""

from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

Library = Literal["torch", "pil", "cv2", "tf"]

WEIGHTS = 2048
"""What the two weights of a pixel add up to in OpenCV, of bytes."""


def resize_with(
    library: Library,
    image: Tensor,
    size: tuple[int, int],
    *,
    antialias: bool = False,
    mirror: bool = False,
    ratio: float | None = None,
) -> Tensor:
    """A picture (C,H,W) at another size, in real numbers or in bytes, which torch and TensorFlow round in the end.

    Args:
        library: whose arithmetic it is.
        image: real numbers or bytes.
        size: height and width in pixels.
        antialias: smooths what becomes smaller, in torch and TensorFlow; Pillow always does, and OpenCV never.
        mirror: beyond the border lies the pixel before the last, not the last again; in torch and TensorFlow.
        ratio: with it new pixels lie so many times closer than the old, as `cv2.resize(fx=ratio, fy=ratio)` places
            them; by default as the whole sides say.
    """
    if library == "pil":
        return resize_as_pillow(image, size)
    if library == "cv2":
        return resize_as_opencv(image, size, ratio=ratio)
    real = image if image.is_floating_point() else image.float()
    if mirror:
        resized = resize_mirrored(real, size)
    elif library == "tf" and not antialias:
        resized = resize_as_tensorflow(real, size)
    else:
        resized = resize_as_torch(real, size, antialias=antialias)
    return resized if image.is_floating_point() else resized.round().clamp(0, 255).to(image.dtype)


def resize_as_torch(image: Tensor, size: tuple[int, int], *, antialias: bool = False) -> Tensor:
    """A picture in real numbers; TensorFlow smooths by the same weights."""
    return F.interpolate(image[None], size, mode="bilinear", align_corners=False, antialias=antialias)[0]


def resize_mirrored(image: Tensor, size: tuple[int, int]) -> Tensor:
    """The same, where beyond the border lies the pixel before the last, as skimage.transform.resize enlarges."""
    if min(image.shape[-2:]) == 1:
        return resize_as_torch(image, size)
    y, x = (_places(new, old, image) for new, old in zip(size, image.shape[-2:], strict=True))
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)[None]
    return F.grid_sample(image[None], grid, mode="bilinear", padding_mode="reflection", align_corners=True)[0]


def resize_as_tensorflow(image: Tensor, size: tuple[int, int]) -> Tensor:
    """A picture in real numbers as `tf.image.resize` makes it; where pixels lie is computed in its own precision."""
    number = np.float64 if image.dtype == torch.float64 else np.float32
    return _between(image, *(_positions(new, old, number) for new, old in zip(size, image.shape[-2:], strict=True)))


def _positions(new: int, old: int, number: type[np.floating[Any]]) -> np.ndarray:
    """Where the centre of each of `new` pixels lies among `old` ones, computed in a precision."""
    at: np.ndarray = (np.arange(new).astype(number) + number(0.5)) * (number(old) / number(new)) - number(0.5)
    return at


def _between(image: Tensor, rows: np.ndarray, columns: np.ndarray) -> Tensor:
    """A picture in real numbers at positions in it: along rows first, each pixel the one before and a share of the
    difference."""
    (y, by_y), (x, by_x) = (_neighbours(at, n) for at, n in zip((rows, columns), image.shape[-2:], strict=True))
    y, x, by_y, by_x = y.to(image.device), x.to(image.device), by_y.to(image)[:, None], by_x.to(image)
    left, right = image[..., x[0]], image[..., x[1]]
    along = left + (right - left) * by_x
    above, below = along[:, y[0]], along[:, y[1]]
    return above + (below - above) * by_y


def _neighbours(at: np.ndarray, old: int) -> tuple[Tensor, Tensor]:
    """The pixels (2,new) of `old` ones between which positions lie, and how far each lies from the first."""
    first = np.floor(at)
    places = np.stack([first, first + 1]).clip(0, old - 1).astype(np.int64)
    return torch.from_numpy(places), torch.from_numpy(at - first)


def resize_as_pillow(image: Tensor, size: tuple[int, int]) -> Tensor:
    """A picture in bytes, or in real numbers, which Pillow has in float32."""
    pixels = image.cpu() if image.dtype == torch.uint8 else image.cpu().float()
    channels = [Image.fromarray(channel.numpy()) for channel in pixels]
    resized = [channel.resize(size[::-1], Image.Resampling.BILINEAR) for channel in channels]
    return torch.from_numpy(np.stack([np.asarray(channel) for channel in resized])).to(image)


def resize_as_opencv(image: Tensor, size: tuple[int, int], *, ratio: float | None = None) -> Tensor:
    """A picture in bytes or real numbers."""
    rows, columns = (
        (np.arange(new) + 0.5) * (1.0 / (new / old if ratio is None else ratio)) - 0.5
        for new, old in zip(size, image.shape[-2:], strict=True)
    )
    if image.is_floating_point():
        return _between(image, rows, columns)
    return _between_bytes(image, rows.astype(np.float32), columns.astype(np.float32))


def _between_bytes(image: Tensor, rows: np.ndarray, columns: np.ndarray) -> Tensor:
    """Columns first; the lowest 4 bits of their sums, then the lowest 16 of both products, are cut off."""
    (y, by_y), (x, by_x) = (_neighbours(at, n) for at, n in zip((rows, columns), image.shape[-2:], strict=True))
    outermost = torch.from_numpy((columns < 0) | (columns >= image.shape[-1] - 1))
    wy, wx = (_weights(by).to(image.device) for by in (by_y, by_x.masked_fill(outermost, 0)))
    y, x, values = y.to(image.device), x.to(image.device), image.int()
    along = (values[..., x[0]] * wx[0] + values[..., x[1]] * wx[1]) >> 4
    first, second = (along[:, y[n]] * wy[n][:, None] >> 16 for n in (0, 1))
    return (first + second + 2 >> 2).clamp(0, 255).to(image.dtype)


def _weights(share: Tensor) -> Tensor:
    """Those (2,new) of the two pixels that OpenCV mixes."""
    return (torch.stack([1 - share, share]) * WEIGHTS).round().int()


def _places(new: int, old: int, like: Tensor) -> Tensor:
    """Where the centres of `new` pixels lie among `old` ones, from -1 at the first centre to 1 at the last."""
    centres = (torch.arange(new, dtype=torch.float64) + 0.5) * old / new - 0.5  # on the CPU: others may lack doubles
    return (2 * centres / (old - 1) - 1).to(like)
