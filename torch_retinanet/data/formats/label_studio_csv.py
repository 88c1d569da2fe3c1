"""Label Studio's export as CSV: a task a line, whose picture and regions stand in columns as in JSON-MIN.

The regions are a JSON in the column that is called as the control, by default `label`.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.builder import AnnotationsBuilder
from torch_retinanet.data.formats.csv_header import header_of
from torch_retinanet.data.formats.json_file import SHOWN
from torch_retinanet.data.formats.label_studio import RESULT, read_tasks
from torch_retinanet.data.formats.objects import lose_picture
from torch_retinanet.data.places import NestedPlaces
from torch_retinanet.data.text import Line, read_lines, split_fields
from torch_retinanet.errors import InputError

MARKS = {"annotation_id", "annotator"}
"""Columns that no other program writes."""


def is_label_studio_csv(path: Path) -> bool:
    """Whether a file is a CSV of Label Studio."""
    return set(header_of(path).names) >= MARKS


def read_label_studio_csv(path: Path, *, images: Path | None = None) -> Annotations:
    """The regions of an export of Label Studio as boxes.

    Args:
        path: the CSV.
        images: the folder of the pictures; by default the CSV's own, `images` beside it, or one level up.

    Raises:
        InputError: where no column has regions, as in an export of classes of whole pictures.
        OSError: for a file that cannot be read.
    """
    builder, header = AnnotationsBuilder(NestedPlaces("line {}" + RESULT)), header_of(path)
    tasks: list[tuple[int, Any]] = []
    for line in read_lines(path, builder.problems):
        if line.number == header.line:
            continue
        try:
            tasks.append((line.number, _task(line, header.names)))
        except ValueError as error:
            lose_picture(builder, path, f"line {line.number}", str(error))
    if not any(isinstance(value, list) for _, task in tasks for value in task.values()):
        columns = ", ".join(header.names)
        raise InputError(f"{path}: must have regions as JSON in a column, and has none in {columns}")
    return read_tasks(path, tasks, builder, images)


def _task(line: Line, names: Sequence[str]) -> dict[str, Any]:
    """A task by the names of the columns.

    Raises:
        ValueError: in a few words, for a line with other fields, or with one that is cut off.
    """
    fields = split_fields(line.text)
    if len(fields) != len(names):
        raise ValueError(f"fields that are not {len(names)}: {len(fields)}")
    return {name: _value(field.strip()) for name, field in zip(names, fields, strict=True)}


def _value(field: str) -> Any:
    """A field, decoded where it is a list."""
    if not field.startswith("[{"):
        return field
    try:
        return json.loads(field)
    except (ValueError, RecursionError):
        raise ValueError(f"no JSON in a field: {field[:SHOWN]!r}") from None
