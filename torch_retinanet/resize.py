"""Pictures at another size, as the libraries of published RetinaNets resize them; bilinear between pixel centres.

Pillow and OpenCV resize bytes, in whole numbers. OpenCV 5.0.0 is followed bit for bit (modules/imgproc resize.cpp,
INTER_LINEAR), which weighs in 2048ths and cuts off between rows and columns; Pillow itself does what Pillow does.
"""

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

WEIGHTS = 2048
"""What the two weights of a pixel add up to in OpenCV."""


def resize_real(image: Tensor, size: tuple[int, int], *, antialias: bool = False, ratio: float | None = None) -> Tensor:
    """A picture (C,H,W) in real numbers; beyond its border lies its last pixel again.

    With a ratio new pixels lie so many times closer than the old, as for `resize_bytes`.
    """
    if ratio is not None and not antialias and min(image.shape[-2:]) > 1:
        return _sampled(image, size, "border", ratio)
    return F.interpolate(image[None], size, mode="bilinear", align_corners=False, antialias=antialias)[0]


def resize_mirrored(image: Tensor, size: tuple[int, int]) -> Tensor:
    """The same, where beyond the border lies the pixel before the last, as skimage.transform.resize enlarges."""
    if min(image.shape[-2:]) == 1:
        return resize_real(image, size)
    return _sampled(image, size, "reflection")


def _sampled(image: Tensor, size: tuple[int, int], beyond: str, ratio: float | None = None) -> Tensor:
    """A picture at the places of new pixels; what lies beyond its border in the words of `grid_sample`."""
    y, x = (_places(new, old, image, ratio) for new, old in zip(size, image.shape[-2:], strict=True))
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)[None]
    return F.grid_sample(image[None], grid, mode="bilinear", padding_mode=beyond, align_corners=True)[0]


def resize_bytes(
    image: Tensor, size: tuple[int, int], *, antialias: bool = False, ratio: float | None = None
) -> Tensor:
    """A picture from 0 to 1 that is resized in 256 levels: smoothed as Pillow does, or not, as OpenCV does.

    With a ratio new pixels lie so many times closer than the old, as `cv2.resize(fx=ratio, fy=ratio)` places them; by
    default as the whole sides say.
    """
    levels = (image * 255).round().clamp(0, 255).to(torch.uint8)
    resized = _as_pillow(levels, size) if antialias else _as_opencv(levels, size, ratio)
    return resized.to(image) / 255


def _as_pillow(levels: Tensor, size: tuple[int, int]) -> Tensor:
    channels = [Image.fromarray(channel.numpy()) for channel in levels.cpu()]
    resized = [channel.resize(size[::-1], Image.Resampling.BILINEAR) for channel in channels]
    return torch.from_numpy(np.stack([np.asarray(channel) for channel in resized]))


def _as_opencv(levels: Tensor, size: tuple[int, int], ratio: float | None) -> Tensor:
    """Columns first; the lowest 4 bits of their sums, then the lowest 16 of both products, are cut off."""
    x, wx = (part.to(levels.device) for part in _weights(size[1], levels.shape[-1], ratio, cut=True))
    y, wy = (part.to(levels.device)[..., None] for part in _weights(size[0], levels.shape[-2], ratio, cut=False))
    values = levels.int()
    columns = (values[..., x[0]] * wx[0] + values[..., x[1]] * wx[1]) >> 4
    first, second = (columns[:, y[n, :, 0]] * wy[n] >> 16 for n in (0, 1))
    return (first + second + 2 >> 2).clamp(0, 255)


def _weights(new: int, old: int, ratio: float | None, *, cut: bool) -> tuple[Tensor, Tensor]:
    """For each new pixel (2,new) the two old ones it lies between, and their weights; `cut` at the outermost ones."""
    scale = 1.0 / (new / old if ratio is None else ratio)
    at = ((torch.arange(new, dtype=torch.float64) + 0.5) * scale - 0.5).float()
    first = at.floor()
    share = at - first
    if cut:
        share = share.masked_fill((first < 0) | (first >= old - 1), 0)
    places = torch.stack([first, first + 1]).long().clamp(0, old - 1)
    return places, torch.stack([(1 - share) * WEIGHTS, share * WEIGHTS]).round().int()


def _places(new: int, old: int, like: Tensor, ratio: float | None = None) -> Tensor:
    """Where the centres of `new` pixels lie among `old` ones, from -1 at the first centre to 1 at the last."""
    scale = old / new if ratio is None else 1 / ratio
    centres = (torch.arange(new, dtype=torch.float64) + 0.5) * scale - 0.5  # on the CPU: others may lack doubles
    return (2 * centres / (old - 1) - 1).to(like)
