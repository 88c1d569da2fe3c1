"""Text files of annotations line by line: a line that is no text is a problem, and the others are read."""

import codecs
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from torch_retinanet.data.annotations import Problem
from torch_retinanet.errors import InputError
from torch_retinanet.git_lfs import read_content

UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

MISSING = frozenset({"", "nan", "NaN", "None", "<NA>", "NaT"})
"""What pandas writes for a cell without a value."""


class Line(NamedTuple):
    """A line that is not blank, and its number from 1."""

    number: int
    text: str


class BadLine(NamedTuple):
    """A line that is no text, its number from 1, why, and what can be read of it."""

    number: int
    why: str
    text: str


def lines_of(path: Path) -> Iterator[Line | BadLine]:
    """The lines of a file in UTF-8, or in UTF-16 with a mark in front.

    Raises:
        InputError: for a file that begins as UTF-16 and is not, and for a pointer of Git LFS.
        OSError: for a file that cannot be read.
    """
    for number, line in enumerate(_in_utf_8(path).splitlines(), 1):
        try:
            text = line.decode().strip()
        except UnicodeDecodeError as error:
            place = f"at byte {error.start} of the line"
            yield BadLine(number, f"not UTF-8: {line[error.start : error.end]!r} {place}", _readable(line))
            continue
        if text:
            yield Line(number, text)


def _readable(line: bytes) -> str:
    return line.decode(errors="replace").strip()


def read_lines(path: Path, problems: list[Problem]) -> Iterator[Line]:
    """The lines of a file that are text, as `lines_of` has them; the others are added to `problems`."""
    for line in lines_of(path):
        if isinstance(line, Line):
            yield line
        else:
            problems.append(Problem(path, f"line {line.number}", line.why, "the line is left out", data_loss=True))


def parse_number(text: str) -> float:
    """A number as data files write it, `nan`, `inf` and `0,5` among them.

    Raises:
        ValueError: for anything else; also for what Python alone allows, as `1_000`.
    """
    if "_" in text or not text.isascii():
        raise ValueError(f"no number: {text!r}")
    try:
        return float(text.replace(",", ".", 1) if "." not in text else text)
    except ValueError:
        raise ValueError(f"no number: {text!r}") from None


def parse_whole(text: str) -> int:
    """A whole number in any notation, as `7`, `7.0` and `7e0`.

    Raises:
        ValueError: for anything else.
    """
    number = parse_number(text)
    if not number.is_integer():
        raise ValueError(f"no whole number: {text!r}")
    return int(number)


def is_missing(text: str) -> bool:
    """Whether a cell of a table has no value."""
    return text.strip() in MISSING


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
    content = read_content(path)
    if not content.startswith(UTF_16):
        return content.removeprefix(codecs.BOM_UTF8)
    try:
        return content.decode("utf-16").encode()
    except UnicodeError:
        raise InputError(f"{path}: begins as UTF-16, and must be so to its end") from None
