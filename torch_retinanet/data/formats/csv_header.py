"""The names of the columns of a CSV, by which it is told whose it is."""

import codecs
from pathlib import Path

from torch_retinanet.data.text import UTF_16, split_fields

BEGINNING = 4096
"""Bytes in which the header of a CSV ends."""


def header_of(path: Path) -> list[str]:
    """The fields of the first line, in small letters; none where it is no CSV or cannot be read."""
    try:
        with path.open("rb") as file:
            content = file.read(BEGINNING)
        encoding = "utf-16" if content.startswith(UTF_16) else "utf-8"
        text = content.removeprefix(codecs.BOM_UTF8).decode(encoding, errors="replace").lstrip()
        return [field.strip().lower() for field in split_fields(text.splitlines()[0])] if text else []
    except (OSError, ValueError):
        return []
