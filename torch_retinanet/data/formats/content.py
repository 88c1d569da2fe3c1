"""What a file is by what is in it, looked at without reading the whole of it."""

import mmap
import re
from pathlib import Path

from torch_retinanet.data.formats.csv_columns import read_columns
from torch_retinanet.data.text import is_number
from torch_retinanet.errors import InputError

BEGINNING = 4096
"""Bytes by which a text is told what it is."""

LISTS = b'"images"', b'"annotations"', b'"categories"'
"""What a COCO file has."""

VOC_ROOT = re.compile(rb"(?:\s|<\?.*?\?>|<!--.*?-->)*<annotation[\s>/]", re.DOTALL | re.IGNORECASE)

YOLO_FIELDS, KITTI_FIELDS = 5, (15, 16)

KITTI_TRACKING = 2
"""Fields before the type in the labels of KITTI's tracking: the frame and the track."""


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
    lines = _lines(path)
    try:
        return bool(lines) and read_columns(path, lines) is not None
    except InputError:
        return False


def is_yolo_labels(path: Path) -> bool:
    """Whether the first line of a text is a class and shares of a picture."""
    fields = _first_fields(path)
    if len(fields) < YOLO_FIELDS or not fields[0].isascii() or not fields[0].removesuffix(".0").isdecimal():
        return False
    return all(is_number(field) and abs(float(field)) <= 2 for field in fields[1:YOLO_FIELDS])


def is_kitti_labels(path: Path) -> bool:
    """Whether the first line of a text is a type and the numbers that KITTI has."""
    fields = _first_fields(path)
    if len(fields) - KITTI_TRACKING in KITTI_FIELDS and all(map(is_number, fields[:KITTI_TRACKING])):
        fields = fields[KITTI_TRACKING:]
    return len(fields) in KITTI_FIELDS and not is_number(fields[0]) and all(map(is_number, fields[1:]))


def _first_fields(path: Path) -> list[str]:
    return _beginning(path).lstrip(b"\xef\xbb\xbf \t\r\n").partition(b"\n")[0].decode(errors="replace").split()


def _lines(path: Path) -> list[str]:
    """The lines that the beginning of a text holds whole."""
    beginning = _beginning(path)
    text = beginning.decode("utf-16" if beginning[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", errors="replace")
    lines = text.splitlines()
    return [line for line in (lines[:-1] if len(beginning) == BEGINNING else lines) if line.strip()]


def _beginning(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(BEGINNING)
    except OSError:
        return b""
