"""A picture file as RGB bytes; mirrors `torch_retinanet/pictures.py`.

What the keras.io example leaves to TensorFlow Datasets: files are read upright, gray is tripled, and what is
transparent lies on white. Needs Pillow, which Keras' own `load_img` needs too.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from keras_reference.errors import InputError

Bytes = npt.NDArray[np.uint8]

ORIENTATION = 0x0112
"""The EXIF tag that says how a camera was held (Exif 2.3, section 4.6.4)."""

UPRIGHT: Mapping[int, Callable[[Bytes], Bytes]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels[::-1].swapaxes(0, 1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: pixels.swapaxes(0, 1)[::-1],
}
"""What turns pixels (H,W,3) upright: where the tag says the first stored row is the right-hand side, 6, it becomes the
last column."""


def read_picture(path: str | Path) -> Bytes:
    """The pixels (H,W,3) of a file, RGB from 0 to 255, upright.

    Gray of 16 bits is divided by 257, to the nearest.
    Gray of mode F is from 0 to 1, or to 255 where a pixel is above 1.

    Raises:
        InputError: for a file that Pillow cannot read, and deep gray out of its range.
        FileNotFoundError: where there is no file.
    """
    try:
        with Image.open(path) as picture:
            picture.load()  # which turns a TIFF by itself, and takes the tag away
            transpose = UPRIGHT.get(picture.getexif().get(ORIENTATION, 1))
            pixels = _pixels(picture, str(path))
    except (FileNotFoundError, InputError):
        raise
    except Exception as error:  # a decoder raises nearly anything for a broken file
        raise InputError(f"{path}: not a picture that Pillow can read ({error})") from None
    return np.ascontiguousarray(transpose(pixels) if transpose else pixels)


def _pixels(picture: Image.Image, name: str) -> Bytes:
    if picture.mode[0] in "IF":
        return np.repeat(_deep_gray(picture, name)[..., None], 3, axis=-1)
    if not picture.has_transparency_data:
        return np.asarray(picture.convert("RGB"))
    *colours, opacity = np.moveaxis(np.asarray(picture.convert("RGBA")).astype(np.float64), -1, 0)
    on_white = [(colour * opacity + 255 * (255 - opacity)) / 255 for colour in colours]
    return np.rint(np.stack(on_white, axis=-1)).astype(np.uint8)


def _deep_gray(picture: Image.Image, name: str) -> Bytes:
    values = np.asarray(picture).astype(np.float64)
    most = 65535.0 if picture.mode[0] == "I" else 255.0 if values.max() > 1 else 1.0
    if not ((values >= 0) & (values <= most)).all():
        raise InputError(f"{name}: gray of mode {picture.mode} must be from 0 to {most:g}")
    gray = np.rint(values / most * 255).astype(np.uint8)
    clear = picture.info.get("transparency")
    return gray if clear is None else np.where(values == clear, np.uint8(255), gray)
