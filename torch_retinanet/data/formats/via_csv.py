"""The CSV of VGG Image Annotator 1 and 2: a region a line, its shape and attributes as JSON in two of the fields."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.builder import AnnotationsBuilder
from torch_retinanet.data.formats.csv_header import header_of
from torch_retinanet.data.formats.json_file import SHOWN
from torch_retinanet.data.formats.via import ViaPicture, ViaRegion, gather, names_of
from torch_retinanet.data.text import Line, read_lines, split_fields
from torch_retinanet.errors import InputError

PICTURE, SHAPE, ATTRIBUTES = "filename", "region_shape_attributes", "region_attributes"


class _RegionRow(NamedTuple):
    """A line: a region of a picture, or none where the picture has none."""

    filename: str
    line: int
    region: ViaRegion | None


def is_via_csv(path: Path) -> bool:
    """Whether a file is a CSV of VGG Image Annotator."""
    return {SHAPE, ATTRIBUTES} <= set(header_of(path).names)


def read_via_csv(path: Path, *, images: Path | None = None) -> Annotations:
    """The regions of a CSV of VGG Image Annotator as boxes.

    Args:
        path: the CSV.
        images: the folder of the pictures; by default the CSV's own, `images` beside it, or one level up.

    Raises:
        InputError: for a header without a column that is needed.
        OSError: for a file that cannot be read.
    """
    header = header_of(path)
    columns = [name.lstrip("#") for name in header.names]
    for name in (PICTURE, SHAPE, ATTRIBUTES):
        if name not in columns:
            raise InputError(f"{path}: line 1 must name a column {name!r}, and has {', '.join(columns)}")
    builder = AnnotationsBuilder("line {}")
    rows: dict[str, list[_RegionRow]] = defaultdict(list)
    for line in read_lines(path, builder.problems):
        if line.number != header.line and (row := _read(line, columns, path, builder)):
            rows[row.filename].append(row)
    pictures = [
        ViaPicture(names_of(name), f"line {own[0].line}", [row.region for row in own if row.region])
        for name, own in rows.items()
    ]
    return gather(pictures, path, images, builder)


def _read(line: Line, columns: list[str], path: Path, builder: AnnotationsBuilder) -> _RegionRow | None:
    try:
        return _parse(line, columns)
    except ValueError as error:
        builder.lose(path, line.number, str(error), "the line is left out")
        return None


def _parse(line: Line, columns: list[str]) -> _RegionRow:
    """A row.

    Raises:
        ValueError: in a few words, for one without a picture, or with fields that are no JSON.
    """
    fields = split_fields(line.text)
    if len(fields) != len(columns):
        raise ValueError(f"fields that are not {len(columns)}: {len(fields)}")
    filename, shape, attributes = (fields[columns.index(name)].strip() for name in (PICTURE, SHAPE, ATTRIBUTES))
    if not filename:
        raise ValueError("no picture")
    parsed = _json(shape or "{}")
    if parsed is None:
        raise ValueError(f"no JSON in a field: {shape[:SHOWN]!r}")
    return _RegionRow(
        filename, line.number, ViaRegion(parsed, _json(attributes or "{}"), line.number) if parsed else None
    )


def _json(text: str) -> Any:
    """What a JSON in a field holds; `None` where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
