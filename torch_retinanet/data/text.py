"""Text files of annotations line by line: a line that is no text is a problem, and the others are read."""

import codecs
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from torch_retinanet.data.annotations import Problem
from torch_retinanet.errors import InputError

UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Line(NamedTuple):
    """A line that is not blank, and its number from 1."""

    number: int
    text: str


def read_lines(path: Path, problems: list[Problem]) -> Iterator[Line]:
    """The lines of a file in UTF-8, or in UTF-16 with a mark in front; what is none of it is added to `problems`.

    Raises:
        InputError: for a file that begins as UTF-16 and is not.
        OSError: for a file that cannot be read.
    """
    for number, line in enumerate(_in_utf_8(path).splitlines(), 1):
        try:
            text = line.decode().strip()
        except UnicodeDecodeError as error:
            what = f"not UTF-8: {line[error.start : error.end]!r} at byte {error.start} of the line"
            problems.append(Problem(path, f"line {number}", what, "the line is left out", data_loss=True))
            continue
        if text:
            yield Line(number, text)


def parse_number(text: str) -> float:
    """A number as data files write it, `nan` and `inf` among them.

    Raises:
        ValueError: for anything else; also for what Python alone allows, as `1_000`.
    """
    if "_" in text or not text.isascii():
        raise ValueError(f"no number: {text!r}")
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"no number: {text!r}") from None


def split_fields(text: str, delimiter: str = ",") -> list[str]:
    """The fields of a line of CSV.

    Raises:
        ValueError: in a few words, for one that is none.
    """
    try:
        return next(csv.reader([text], strict=True, delimiter=delimiter))
    except csv.Error as error:
        raise ValueError(f"no CSV: {error}") from None


def is_number(text: str) -> bool:
    """Whether `parse_number` reads it."""
    try:
        parse_number(text)
    except ValueError:
        return False
    return True


def _in_utf_8(path: Path) -> bytes:
    content = path.read_bytes()
    if not content.startswith(UTF_16):
        return content.removeprefix(codecs.BOM_UTF8)
    try:
        return content.decode("utf-16").encode()
    except UnicodeError:
        raise InputError(f"{path}: begins as UTF-16, and must be so to its end") from None
