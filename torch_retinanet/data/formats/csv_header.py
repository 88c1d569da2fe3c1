"""The first line of a CSV, by which it is told whose it is."""

import codecs
from pathlib import Path
from typing import NamedTuple

from torch_retinanet.data.text import UTF_16, split_fields

BEGINNING = 4096
"""Bytes in which the header of a CSV ends."""


class Header(NamedTuple):
    """The number of the line, and its fields in small letters; none where the file is no CSV or cannot be read."""

    line: int
    names: list[str]


def header_of(path: Path) -> Header:
    """The first line that is not blank."""
    try:
        with path.open("rb") as file:
            content = file.read(BEGINNING)
        if content.startswith(UTF_16):
            content = content.decode("utf-16", errors="replace").encode(errors="replace")
        lines = enumerate(content.removeprefix(codecs.BOM_UTF8).splitlines(), 1)
        number, line = next((number, line) for number, line in lines if line.strip())
        return Header(number, [name.strip().lower() for name in split_fields(line.decode(errors="replace"))])
    except (OSError, ValueError, StopIteration):
        return Header(0, [])
