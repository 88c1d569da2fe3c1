"""Small picture files of every kind that people have, as bytes, drawn from a seed. Needs Pillow."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from parity_tests.retinanet.inputs import Size

Bytes = NDArray[np.uint8]

SIZE: Size = (24, 40)
"""Height and width as they are stored: not square, so that a turn shows."""

LARGE = 4099
"""A side of the large picture, of more than 2^24 pixels, whose rows are each of one gray."""

ARRAY = b"\x93NUMPY"
"""How a file of numpy's begins."""

ORIENTATION, ORIENTATIONS = 0x0112, range(1, 9)
"""The EXIF tag that says how a camera was held, and its values."""


def picture_files(*, seed: int = 0) -> dict[str, Bytes]:
    """The bytes of a file of each kind, by what it is: colours, gray, palette, alpha, 1 and 16 bits, EXIF, and arrays.

    TIFF is rotated by Pillow itself as it is read.
    """
    rng = np.random.default_rng(seed)
    colours = rng.integers(0, 256, (*SIZE, 4), np.uint8)
    kinds: Mapping[str, Image.Image] = {
        "RGB": Image.fromarray(colours[..., :3]),
        "gray": Image.fromarray(colours[..., 0]),
        "1 bit": Image.fromarray(colours[..., 0] > 127),
        "16 bits": Image.fromarray(np.where(colours[..., 0] < 20, 3, rng.integers(0, 2**16, SIZE)).astype(np.uint16)),
        "palette": Image.fromarray(colours[..., :3]).quantize(16),
        "alpha": Image.fromarray(colours),
        "gray and alpha": Image.fromarray(colours[..., :2]),
    }
    files = {name: _saved(picture, "PNG") for name, picture in kinds.items()}
    files |= {f"{name} with a clear one": _saved(kinds[name], "PNG", transparency=3) for name in ("palette", "16 bits")}
    for value in ORIENTATIONS:  # in PNG, which any version of a library decodes alike
        files[f"EXIF {value}"] = _saved(kinds["RGB"], "PNG", exif=_held(value))
    share = _shares(rng)
    files["CMYK"] = _saved(kinds["RGB"].convert("CMYK"), "TIFF")
    files |= {f"gray from 0 to {white}": _saved(Image.fromarray(white * share), "TIFF") for white in (1, 255)}
    arrays = {f"of {name}": np.asarray(kinds[name]) for name in ("RGB", "alpha", "1 bit", "16 bits")}
    files |= {f"array {name}": _of_array(array) for name, array in (arrays | {"from 0 to 1": share}).items()}
    rows = np.arange(LARGE, dtype=np.int64) * 7 % 251
    files["large"] = _saved(Image.fromarray(np.tile(rows.astype(np.uint8)[:, None], LARGE)), "PNG", compress_level=1)
    return files | {f"TIFF, EXIF {value}": _saved(kinds["RGB"], "TIFF", exif=_held(value)) for value in (3, 6)}


def as_given(file: Path) -> Path | NDArray[Any]:
    """The path itself, or the array that the file holds in numpy's format."""
    with file.open("rb") as opened:
        is_array = opened.read(len(ARRAY)) == ARRAY
    array: NDArray[Any] = np.load(file, allow_pickle=False) if is_array else np.zeros(0)
    return array if is_array else file


def _of_array(array: NDArray[Any]) -> Bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return np.frombuffer(file.getvalue(), np.uint8)


def _shares(rng: np.random.Generator) -> NDArray[np.float32]:
    """Gray from 0 to 1, near no half of a level, which float32 and float64 may round apart; a pixel is white itself."""
    levels = rng.integers(0, 256, SIZE) + rng.uniform(-0.4, 0.4, SIZE)
    levels.flat[0] = 255
    return (levels.clip(0, 255) / 255).astype(np.float32)


def _held(orientation: int) -> Image.Exif:
    """What a camera notes that is held in some way."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def _saved(picture: Image.Image, kind: str, **settings: Any) -> Bytes:
    file = io.BytesIO()
    picture.save(file, kind, **settings)
    return np.frombuffer(file.getvalue(), np.uint8)
