"""What a damaged file of annotations has, and what a reader and the screening account for."""

from collections.abc import Iterable
from pathlib import Path

from torch_retinanet.data.annotations import Annotations, Problem

Entries = set[tuple[Path, str]]
"""Files, and places in them."""


def in_utf_8(content: bytes) -> bytes:
    """A content in UTF-8, without a mark in front."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16").encode()
    return content.removeprefix(b"\xef\xbb\xbf")


def entries_of_lines(content: bytes) -> set[str] | None:
    """The lines that are not blank; `None` where it cannot be told."""
    try:
        lines = in_utf_8(content).splitlines()
    except UnicodeError:
        return None
    return {f"line {number}" for number, line in enumerate(lines, 1) if line.decode("utf-8", "replace").strip()}


def places_of_boxes(annotations: Annotations) -> Entries:
    """The places of the boxes that were read."""
    places = map(annotations.place_format.format, annotations.places.tolist())
    return {(annotations.files[i], place) for i, place in zip(annotations.owners().tolist(), places, strict=True)}


def places_of_losses(problems: Iterable[Problem]) -> Entries:
    """The places at which something is lost."""
    return {(problem.file, problem.location) for problem in problems if problem.data_loss}


def silent_in_screening(read: Annotations, screened: Annotations) -> Entries:
    """What was read, and is neither in what is left nor lost by a problem."""
    lost = places_of_losses(screened.problems)
    gone = {path for path in read.pictures if path not in screened.pictures and (path, "") not in lost}
    left = places_of_boxes(screened) | lost
    places = map(read.place_format.format, read.places.tolist())
    boxes = {
        (read.files[i], place)
        for i, place in zip(read.owners().tolist(), places, strict=True)
        if (read.files[i], place) not in left and (read.pictures[i], "") not in lost and (read.files[i], "") not in lost
    }
    return boxes | {(path, "picture") for path in gone}
