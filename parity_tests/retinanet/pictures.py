"""Pictures of a user as both sides are fed, read as `RetinaNetDetector.predict` reads them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from parity_tests.retinanet.inputs import Size
from parity_tests.rule.record import Array
from torch_retinanet.pictures import read_picture


def read_pictures(paths: Sequence[Path]) -> list[Image.Image]:
    """RGB pictures; a single one is joined by its mirror image, to make a batch of two.

    Raises:
        InputError: for a file that is no picture or not whole (that of `torch_retinanet`).
        FileNotFoundError: where there is no file.
    """
    pictures = [Image.fromarray(read_picture(path).permute(1, 2, 0).numpy()) for path in paths]
    if len(pictures) == 1:
        pictures.append(pictures[0].transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    return pictures


def picture_batch(pictures: Sequence[Image.Image], size: Size) -> Array:
    """Pictures resized to `size` as one batch (B,H,W,3) from -1 to 1."""
    height, width = size
    pixels = [np.asarray(picture.resize((width, height)), dtype=np.float32) for picture in pictures]
    images: Array = np.stack(pixels) / np.float32(127.5) - np.float32(1)
    return images
