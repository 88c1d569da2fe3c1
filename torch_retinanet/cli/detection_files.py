"""Detections as pictures, JSON, CSV and COCO's results: picture by picture, and each file whole or not at all."""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

from torch_retinanet.data.dataset import Unreadable
from torch_retinanet.draw import labelled_picture
from torch_retinanet.evaluate.results import json_list, result_rows
from torch_retinanet.files import atomic_write
from torch_retinanet.predict import Detected


class Numbered(NamedTuple):
    """A picture that was detected or could not be read, counted from 1, and its name among pictures written."""

    number: int
    name: Path
    found: Detected | Unreadable


Write = Callable[[Numbered], None]

PICTURES = "pictures"
"""The folder of pictures within that of the output."""

JPEG = (".jpg", ".jpeg", ".jpe", ".jfif")
"""Suffixes of pictures that are written as JPEG again; the others become PNG."""

QUALITY = 92

COLUMNS = ("image_path", "xmin", "ymin", "xmax", "ymax", "label", "score")
"""The columns that annotations in CSV have, and the score."""


def picture_name(name: Path) -> Path:
    """What a picture with boxes drawn on it is called."""
    return name if name.suffix.lower() in JPEG else name.with_suffix(".png")


@contextmanager
def _pictures(folder: Path, names: Sequence[str]) -> Iterator[Write]:
    """Pictures with boxes, in the folders they were found in."""

    def write(one: Numbered) -> None:
        if isinstance(one.found, Detected):
            path = folder / PICTURES / one.name
            path.parent.mkdir(parents=True, exist_ok=True)
            drawn = labelled_picture(one.found.picture, one.found.detections, names=names)
            with atomic_write(path) as beside:
                kind = "JPEG" if path.suffix.lower() in JPEG else "PNG"
                drawn.save(beside, kind, quality=QUALITY)

    yield write


@contextmanager
def _json(folder: Path, names: Sequence[str]) -> Iterator[Write]:
    """A list of pictures with their objects, or why they could not be read."""
    with json_list(folder / "detections.json") as append:

        def write(one: Numbered) -> None:
            if isinstance(one.found, Unreadable):
                append({"picture": str(one.found.path), "error": one.found.reason})
                return
            height, width = one.found.picture.shape[-2:]
            objects = [
                {"class": names[label], "label": label, "score": score, "box": box}
                for box, label, score in _objects(one.found)
            ]
            append({"picture": str(one.found.path), "width": width, "height": height, "objects": objects})

        yield write


@contextmanager
def _csv(folder: Path, names: Sequence[str]) -> Iterator[Write]:
    """A line an object."""
    with atomic_write(folder / "detections.csv") as beside, _text_file(beside) as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)

        def write(one: Numbered) -> None:
            if isinstance(one.found, Detected):
                writer.writerows([one.found.path, *box, names[k], score] for box, k, score in _objects(one.found))

        yield write


@contextmanager
def _coco(folder: Path, names: Sequence[str]) -> Iterator[Write]:
    """COCO's results; pictures and classes count from 1."""
    class_ids = range(1, len(names) + 1)
    with json_list(folder / "coco_results.json") as append:

        def write(one: Numbered) -> None:
            if isinstance(one.found, Detected):
                path = str(one.found.path)
                for row in result_rows(
                    one.found.detections, picture_id=one.number, file_name=path, class_ids=class_ids
                ):
                    append(row)

        yield write


def _text_file(path: Path) -> TextIO:
    """A file for lines that end in what `csv` writes, and for any name that a file can have."""
    return path.open("w", newline="", encoding="utf-8", errors="surrogateescape")


def _objects(found: Detected) -> Iterator[tuple[list[float], int, float]]:
    """Box xyxy, label and score of each."""
    return zip(*(found.detections[name].tolist() for name in ("boxes", "labels", "scores")), strict=True)


FORMATS: dict[str, Callable[[Path, Sequence[str]], AbstractContextManager[Write]]] = {
    "pictures": _pictures,
    "json": _json,
    "csv": _csv,
    "coco": _coco,
}
"""What opens each format in a folder, with the names of the classes."""
