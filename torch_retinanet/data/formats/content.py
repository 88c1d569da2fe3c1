"""What a file is by what is in it, looked at without reading the whole of it."""

import mmap
import re
from pathlib import Path

from torch_retinanet.data.formats.csv_columns import read_columns
from torch_retinanet.data.text import UTF_16
from torch_retinanet.errors import InputError

BEGINNING = 4096
"""Bytes by which a text is told what it is."""

LISTS = b'"images"', b'"annotations"', b'"categories"'
"""What a COCO file has."""

VOC_ROOT = re.compile(rb"(?:\s|<\?.*?\?>|<!--.*?-->)*<annotation[\s>/]", re.DOTALL | re.IGNORECASE)


def is_coco(path: Path) -> bool:
    """Whether a file is an object with COCO's lists."""
    try:
        with path.open("rb") as file:
            if not file.read(BEGINNING).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
                return False
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return all(content.find(name) >= 0 for name in LISTS)
    except (OSError, ValueError):
        return False


def is_voc(path: Path) -> bool:
    """Whether a file is an XML whose root is an `<annotation>`."""
    return VOC_ROOT.match(_beginning(path)) is not None


def is_csv(path: Path) -> bool:
    """Whether the first lines of a file have the columns of a picture, a box and a class."""
    lines = first_lines(path)
    try:
        return bool(lines) and read_columns(path, lines) is not None
    except InputError:
        return False


def first_lines(path: Path) -> list[str]:
    """The lines that are not blank, and that the beginning of a text holds whole; none where it cannot be read."""
    beginning = _beginning(path)
    text = beginning.decode("utf-16" if beginning[:2] in UTF_16 else "utf-8-sig", errors="replace")
    lines = text.splitlines()
    return [line for line in (lines if len(beginning) < BEGINNING else lines[:-1]) if line.strip()]


def _beginning(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(BEGINNING)
    except OSError:
        return b""
