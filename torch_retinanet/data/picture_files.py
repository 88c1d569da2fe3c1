"""What the files of pictures say of themselves: sizes, EXIF orientation, kind; or why Pillow cannot read them."""

import os
import struct
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from torch_retinanet.data.picture_folder import is_there
from torch_retinanet.data.progress import track
from torch_retinanet.errors import InputError
from torch_retinanet.pictures import TOO_LARGE, orientation_of, read_picture, why_unread

Size = tuple[int, int]
"""Height and width in pixels."""

SWAPPED = (5, 6, 7, 8)
"""EXIF orientations in which what is stored as a row is a column."""

DEEP = ";16"
"""What Pillow's names of pixels with 16 bits hold."""

PNG_SIGNATURE, PNG_CHECKSUM = 8, 4
"""Bytes at the start of a PNG, and at the end of each of its chunks (W3C PNG, section 5)."""

PNG_METADATA = (b"eXIf", b"tEXt", b"zTXt", b"iTXt")
"""Chunks that may say how a picture is rotated."""

NO_FILE = "no such file"


class PictureFile(NamedTuple):
    """What one file says.

    Attributes:
        upright: height and width with EXIF orientation, as a viewer shows it.
        stored: height and width of the pixels as they are stored.
        orientation: EXIF's, 1 where it says none.
        format: Pillow's name of it.
        mode: Pillow's name of its pixels, and `;16` where they have 16 bits.
        why: why it cannot be read, if it cannot.
    """

    upright: Size = (0, 0)
    stored: Size = (0, 0)
    orientation: int = 1
    format: str = ""
    mode: str = ""
    why: str = ""


def look_at(paths: Sequence[Path], *, decode: bool) -> list[PictureFile]:
    """What each file says, from its header, or having decoded the whole of it.

    Files are looked at in as many threads as there are processors, with a bar where stderr is a terminal.
    """
    look, words = (_decode, "decoding pictures") if decode else (_open, "reading headers of pictures")
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as threads:
        warnings.simplefilter("ignore")  # what Pillow has to say of EXIF is no matter of training
        return list(track(threads.map(look, paths), total=len(paths), words=words))


def _decode(path: Path) -> PictureFile:
    found = _open(path)
    if found.why:
        return found
    try:
        read_picture(path)
    except (InputError, OSError) as error:
        return PictureFile(why=str(error).removeprefix(f"{path}: "))
    return found


def _open(path: Path) -> PictureFile:
    if not is_there(path):
        return PictureFile(why=NO_FILE)
    try:
        with Image.open(path) as picture:
            if picture.format == "PNG" and _speaks_after_pixels(path):
                deep = DEEP in str(getattr(picture, "tile", ""))
                with suppress(Exception):  # a picture that is not whole says so when it is read
                    picture.load()
                return _header(picture, deep=deep)
            return _header(picture)
    except Image.DecompressionBombError:
        return PictureFile(why=TOO_LARGE.removeprefix("has "))
    except Exception as error:  # a decoder raises nearly anything for a broken file
        return PictureFile(why=why_unread(path, f"no picture that Pillow knows ({type(error).__name__})"))


def _speaks_after_pixels(path: Path) -> bool:
    """Whether a PNG has EXIF or a text, which may be EXIF or XMP, behind its pixels: Pillow reads it with them."""
    pixels = False
    with path.open("rb") as file:
        file.seek(PNG_SIGNATURE)
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            pixels |= kind == b"IDAT"
            if pixels and kind in PNG_METADATA:
                return True
            file.seek(length + PNG_CHECKSUM, os.SEEK_CUR)
    return False


def _header(picture: Image.Image, *, deep: bool = False) -> PictureFile:
    size, orientation = (picture.height, picture.width), orientation_of(picture)
    if 0 in size:
        return PictureFile(why=f"a side of 0: {picture.width}x{picture.height}")
    other = size[::-1] if orientation in SWAPPED else size
    # The header of a TIFF gives the size that it has once Pillow has rotated it.
    upright, stored = (size, other) if picture.format == "TIFF" else (other, size)
    deep = deep or DEEP in str(getattr(picture, "tile", ""))
    mode = picture.mode + (DEEP if deep and DEEP not in picture.mode else "")
    return PictureFile(upright, stored, orientation, picture.format or "", mode)
