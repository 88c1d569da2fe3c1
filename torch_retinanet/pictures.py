"""Any picture as an RGB tensor of bytes: files, Pillow's pictures, arrays and tensors. Needs Pillow.

Whatever would need a guess is refused in one sentence; nothing is clipped or cut off in silence.
"""

import reprlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import ExifTags, Image
from torch import Tensor

from torch_retinanet.errors import InputError
from torch_retinanet.git_lfs import POINTER, is_pointer

Bytes = npt.NDArray[np.uint8]

try:
    import pillow_heif

    pillow_heif.register_heif_opener()
except ImportError:
    pass

TOO_LARGE = "has more pixels than Pillow's limit against decompression bombs; --max-pixels allows more"

NO_HEIC = "a HEIC picture, which needs pillow-heif: pip install pillow-heif"

EMPTY = "an empty file, of 0 bytes"

HEIC_BRANDS = b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"
"""Kinds of files in bytes 8 to 11, after `ftyp` (ISO/IEC 23008-12)."""

WHITE = 65535
"""The largest value of 16 bits."""

BAND = 2**24
"""Pixels of a large picture that are converted at once."""

COLOURS = 3
"""Channels of a picture in red, green and blue."""

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a picture upright, by EXIF orientation (Exif 2.3, tag 0x0112); 1 and illegal values turn nothing."""

AS_STORED = UPRIGHT | {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
"""What undoes it."""


def read_picture(
    source: str | Path | Image.Image | npt.NDArray[Any] | Tensor,
    *,
    upright: bool = True,
    channels: int = COLOURS,
    white: int | None = None,
) -> Tensor:
    """`source` as an RGB picture of bytes.

    Args:
        source: one of
            - a file, or a picture of Pillow, of any mode, of which the first frame is taken. Colour profiles are not
              applied. Gray of 16 bits, and of mode I, is from 0 to 65535; gray of mode F from 0 to 1, or from 0 to 255
              where a pixel is above 1. Of colours with 16 bits Pillow keeps the upper 8.
            - an array (H,W), (H,W,1), (H,W,3) or (H,W,4) of uint8, uint16, bool, or floating from 0 to 1.
            - a tensor (1,H,W) or (3,H,W) of uint8, or floating from 0 to 1; it stays on its device.
        upright: whether EXIF orientation is applied; otherwise the pixels are those of the file as they are stored.
        channels: C of what is returned. For 1, colours become gray (ITU-R 601, as Pillow does); for a number other
            than 1 and 3 the source must be an array (H,W,C) or a tensor (C,H,W).
        white: the largest value of gray of 16 bits in a file or picture of Pillow, as 4095 where a camera gives 12 of
            them; by default 65535.

    Returns:
        Bytes (3,H,W), red first; a tensor that is so already is returned itself. 16 bits are divided by 257 and 0 to 1
        multiplied by 255, to the nearest. Gray is tripled, and what is transparent lies on white.

    Raises:
        InputError: for a file that is no picture or not whole, more pixels than Pillow's limit against decompression
            bombs, values out of range or NaN, a side of 0, any other shape or dtype.
        FileNotFoundError: where there is no file.
    """
    if channels != COLOURS:
        return _other_channels(source, channels, upright, white)
    if isinstance(source, Tensor):
        return _from_tensor(source)
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, Image.Image):
        with _refusing("source"):
            return _from_picture(source, "source", upright, white or WHITE)
    if isinstance(source, str | Path):
        with _refusing(str(source)), Image.open(source) as picture:
            return _from_picture(picture, str(source), upright, white or WHITE)
    raise InputError(f"source: {reprlib.repr(source)} must be a path, a picture of Pillow, an array or a tensor")


def allow_pixels(most: int | None) -> None:
    """Let this process read pictures of so many pixels, and none larger; with `None` the limit stays.

    Pillow refuses pictures of more than twice its `MAX_IMAGE_PIXELS`, since a small file may unpack to any size. Of
    those beyond that number it says nothing any more.
    """
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    if most is not None:
        Image.MAX_IMAGE_PIXELS = -(-most // 2)


def _other_channels(source: Any, channels: int, upright: bool, white: int | None) -> Tensor:
    """A picture (C,H,W) of bytes that is not in colours."""
    shape = tuple(source.shape) if isinstance(source, Tensor | np.ndarray) else ()
    if isinstance(source, Tensor) and source.ndim == 3 and shape[0] == channels and 0 not in shape:
        return _tensor_of_bytes(source)
    if isinstance(source, np.ndarray) and source.ndim == 3 and shape[2] == channels and 0 not in shape:
        return _channels_first(_to_bytes(source))
    if channels == 1:
        return _gray(read_picture(source, upright=upright, white=white))
    what = f"of shape {shape}" if shape else reprlib.repr(source)
    raise InputError(
        f"source: {what} must be an array (H,W,{channels}) or a tensor ({channels},H,W), as in_channels says"
    )


def _gray(picture: Tensor) -> Tensor:
    """Bytes (3,H,W) as gray (1,H,W)."""
    gray = np.array(Image.fromarray(picture.permute(1, 2, 0).cpu().numpy()).convert("L"))
    return torch.from_numpy(gray)[None].to(picture.device)


def why_unread(path: str | Path, otherwise: str) -> str:
    """What a file is that Pillow does not read: empty, a pointer of Git LFS, HEIC, or as it is said otherwise."""
    if Path(path).is_file() and not Path(path).stat().st_size:
        return EMPTY
    if is_pointer(path):
        return POINTER
    return NO_HEIC if is_heic(path) else otherwise


def is_heic(path: str | Path) -> bool:
    """Whether a file begins as HEIC does."""
    try:
        with Path(path).open("rb") as file:
            beginning = file.read(12)
    except OSError:
        return False
    return beginning[4:8] == b"ftyp" and beginning[8:12] in HEIC_BRANDS


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """A file as a picture of Pillow, of which nothing is decoded yet.

    Raises:
        InputError: here, and as it is decoded, for a file that is no picture or not whole, or is too large.
        FileNotFoundError: where there is no file.
    """
    with _refusing(str(path)), Image.open(path) as picture:
        yield picture


@contextmanager
def _refusing(name: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise FileNotFoundError(f"{name}: there is no such file") from None
    except IsADirectoryError:
        raise InputError(
            f"{name}: not a picture but a folder; sorted(Path(folder).iterdir()) has those in it"
        ) from None
    except InputError:
        raise
    except Image.DecompressionBombError:
        raise InputError(f"{name}: {TOO_LARGE}") from None
    except Exception as error:  # a decoder raises nearly anything for a broken file
        why = why_unread(name, f"not a picture that Pillow can read ({error})")
        raise InputError(f"{name}: {why}") from None


def _from_picture(picture: Image.Image, name: str, upright: bool, white: int) -> Tensor:
    if 0 in picture.size:
        raise InputError(f"{name}: a picture of {picture.width}x{picture.height} pixels must have no side of 0")
    turn = _load(picture, upright)
    if picture.mode.startswith(("I", "F")):
        picture = Image.fromarray(_deep_gray(picture, name, white))
    return _in_bands(picture if turn is None else picture.transpose(turn))


def _in_bands(picture: Image.Image) -> Tensor:
    """The colours (3,H,W) of a picture, a few rows at a time: a large one is not copied as a whole."""
    colours = torch.empty((COLOURS, picture.height, picture.width), dtype=torch.uint8)
    rows = max(1, BAND // picture.width)
    for top in range(0, picture.height, rows):
        bottom = min(top + rows, picture.height)
        whole = bottom - top == picture.height
        band = picture if whole else picture.crop((0, top, picture.width, bottom))
        colours[:, top:bottom] = torch.from_numpy(np.array(_on_white(band))).permute(2, 0, 1)
    return colours


def to_pillow(picture: Tensor) -> Image.Image:
    """A picture (3,H,W) of bytes as one of Pillow; a large one is copied a few rows at a time."""
    height, width = picture.shape[-2:]
    made, rows = Image.new("RGB", (width, height)), max(1, BAND // width)
    for top in range(0, height, rows):
        band = picture[:, top : top + rows].permute(1, 2, 0).contiguous().numpy()
        made.paste(Image.fromarray(band), (0, top))
    return made


def _load(picture: Image.Image, upright: bool) -> Image.Transpose | None:
    """Load a picture, and say how it is still to be rotated: TIFF is rotated by Pillow, which then forgets it."""
    back = AS_STORED.get(orientation_of(picture)) if picture.format == "TIFF" else None
    picture.load()
    return UPRIGHT.get(orientation_of(picture)) if upright else back


def orientation_of(picture: Image.Image) -> int:
    """The EXIF orientation as far as it has been read, 1 where there is none; no pixel is decoded for it."""
    try:
        # Not `picture.getexif`, which for a PNG decodes the pixels.
        value = Image.Image.getexif(picture).get(ExifTags.Base.Orientation)
    except Exception:  # the parser raises nearly anything; such EXIF says nothing, and the pixels are whole
        return 1
    return value if isinstance(value, int) else 1


def _deep_gray(picture: Image.Image, name: str, white: int) -> Bytes:
    values = np.asarray(picture)
    top = white if picture.mode != "F" else 255 if values.max() > 1 else 1
    if not ((values >= 0) & (values <= top)).all():  # NaN is neither
        rule = "0 to 1 or to 255" if picture.mode == "F" else f"0 to {white}, which is white"
        raise InputError(f"{name}: pixels of mode {picture.mode} must be from {rule}")
    gray = np.rint(values * (255 / top)).astype(np.uint8)
    if "transparency" in picture.info:
        gray[values == picture.info["transparency"]] = 255
    return gray


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _from_array(array: npt.NDArray[Any]) -> Tensor:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)) or array.size == 0:
        raise InputError(
            f"source: an array of shape {array.shape} must be (H,W), (H,W,1), (H,W,3) or (H,W,4), with no side of 0"
        )
    pixels = np.ascontiguousarray(_to_bytes(array))
    if array.ndim == 3 and array.shape[2] == 1:
        pixels = pixels[..., 0]
    return _channels_first(np.array(_on_white(Image.fromarray(pixels))))


def _to_bytes(array: npt.NDArray[Any]) -> Bytes:
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return np.where(array, 255, 0).astype(np.uint8)
    if array.dtype in (np.dtype("<u2"), np.dtype(">u2")):
        return np.rint(array / 257).astype(np.uint8)
    if np.issubdtype(array.dtype, np.floating):
        pixels: Bytes = _unit_to_bytes(torch.from_numpy(array.astype(np.float64))).numpy()
        return pixels
    raise InputError(f"source: an array of {array.dtype} must be uint8, uint16, bool or floating from 0 to 1")


def _from_tensor(tensor: Tensor) -> Tensor:
    if tensor.ndim != 3 or tensor.shape[0] not in (1, 3) or tensor.numel() == 0:
        raise InputError(
            f"source: a tensor of shape {tuple(tensor.shape)} must be (1,H,W) or (3,H,W), with no side of 0"
        )
    return _tensor_of_bytes(tensor).expand(3, -1, -1).contiguous()


def _tensor_of_bytes(tensor: Tensor) -> Tensor:
    plain = tensor.detach().as_subclass(Tensor)
    if plain.is_floating_point():
        return _unit_to_bytes(plain)
    if plain.dtype != torch.uint8:
        raise InputError(f"source: a tensor of {tensor.dtype} must be uint8 or floating from 0 to 1")
    return plain


def _unit_to_bytes(values: Tensor) -> Tensor:
    if not ((values >= 0) & (values <= 1)).all():
        low, high = values.min().item(), values.max().item()
        raise InputError(f"source: floating values from {low:g} to {high:g} must be from 0 to 1")
    return (values.float() * 255).round().to(torch.uint8)


def _channels_first(pixels: Bytes) -> Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
