"""CSV with a box a line: keras-retinanet's own (https://github.com/fizyr/keras-retinanet#csv-datasets), and any with a
header.

Without a header the columns are path, x1, y1, x2, y2, class, or others that the rows tell apart; a line with a path
alone is a picture without objects. With a header columns are found by their names, in any order. Fields may be
separated by semicolons, tabs or bars. A box 0, 0, 0, 0 marks a picture without objects, as DeepForest writes it.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from torch_retinanet.data.annotations import Annotations, Problem
from torch_retinanet.data.builder import AnnotationsBuilder
from torch_retinanet.data.class_names import read_class_names, with_class_names
from torch_retinanet.data.formats.csv_columns import HEADERLESS, Box, Columns, read_columns
from torch_retinanet.data.picture_folder import PictureFolder, beside, find_folder
from torch_retinanet.data.text import Line, is_number, parse_number, read_lines
from torch_retinanet.errors import InputError

EMPTY = 0.0, 0.0, 0.0, 0.0

SAMPLE = 50
"""Lines by which columns are told apart."""


class _Row(NamedTuple):
    """A line: a box of a picture, or none where the picture has no objects."""

    line: int
    picture: str
    box: Box | None
    name: str
    size: tuple[float, float]


def read_csv(path: Path, *, images: Path | None = None) -> Annotations:
    """The boxes of a CSV; classes are the names in it, in order: numbers by value, then others by letters.

    Args:
        path: the CSV.
        images: the folder of the pictures; by default the CSV's own, or `images` beside it, or one level up.

    Raises:
        InputError: for a header without a column that is needed, and where no line can be read.
        OSError: for a file that cannot be read.
    """
    builder = AnnotationsBuilder("line {}")
    lines = list(read_lines(path, builder.problems))
    columns = (read_columns(path, [line.text for line in lines[:SAMPLE]]) if lines else None) or HEADERLESS
    rows = [_read(line, columns, path, builder) for line in lines[columns.header :]]
    read = [row for row in rows if row is not None]
    if not read:
        first = builder.problems[0] if builder.problems else None
        why = f"; {first.location}: {first.finding}" if first else ""
        raise InputError(f"{path}: must have a line with path, box and class{why}")
    folder = find_folder([row.picture for row in read], beside(path), images)
    _add(read, folder, path, builder)
    annotations = _in_order_of_list(builder.annotations(), path)
    return replace(annotations, problems=[*annotations.problems, *folder.unlisted(annotations.pictures, path)])


def _in_order_of_list(annotations: Annotations, path: Path) -> Annotations:
    """Annotations with the classes of a list beside their file, as `_classes.csv`, where it has all of theirs."""
    for file in sorted(path.parent.glob("*classes*.[ct][sx][vt]")):
        try:
            names = read_class_names(file)
        except (InputError, OSError):
            continue
        if file != path and set(annotations.classes) <= set(names):
            return with_class_names(annotations, names)
    return annotations


def _read(line: Line, columns: Columns, path: Path, builder: AnnotationsBuilder) -> _Row | None:
    try:
        return _parse(line, columns)
    except ValueError as error:
        builder.lose(path, line.number, str(error), "the line is left out")
        return None


def _parse(line: Line, columns: Columns) -> _Row:
    """A row.

    Raises:
        ValueError: in a few words, for one that is not as the columns say.
    """
    fields = columns.split(line.text)
    if len(fields) != columns.fields:
        raise ValueError(f"fields that are not {columns.fields}: {len(fields)}")
    picture, name = fields[columns.picture].strip(), fields[columns.name].strip()
    edges = [fields[column].strip() for column in columns.edges]
    size = _size([fields[column] for column in columns.sides])
    if not picture:
        raise ValueError("no picture")
    if not any(edges):
        return _Row(line.number, picture, None, name, size)
    values = [parse_number(edge) for edge in edges]
    if tuple(values) == EMPTY:
        return _Row(line.number, picture, None, name, size)
    if not name:
        raise ValueError("no class")
    return _Row(line.number, picture, columns.box(values), name, size)


def _size(texts: Sequence[str]) -> tuple[float, float]:
    if not texts or not all(map(is_number, texts)):
        return 0, 0
    height, width = map(parse_number, texts)
    return height, width


def _add(rows: Sequence[_Row], folder: PictureFolder, path: Path, builder: AnnotationsBuilder) -> None:
    indices: dict[str, int] = {}
    sizes: dict[str, tuple[float, float]] = {}
    with_objects = {row.picture for row in rows if row.box}
    for row in rows:
        if row.picture not in indices:
            place, found = builder.place_format.format(row.line), folder.find(row.picture)
            indices[row.picture] = builder.add_picture(found, path, place=place, size=row.size)
        if sizes.setdefault(row.picture, row.size) != row.size:
            what = f"one picture with several sizes: {row.picture!r}"
            place = builder.place_format.format(row.line)
            then = "it may stand for several pictures of one name; the picture itself says its size"
            builder.problems.append(Problem(path, place, what, then, data_loss=False))
            sizes[row.picture] = row.size
        if row.box:
            builder.add_box(indices[row.picture], row.box, builder.label(row.name), row.line)
        elif row.picture in with_objects:
            what = f"picture without objects, and with some: {row.picture!r}"
            place = builder.place_format.format(row.line)
            builder.problems.append(Problem(path, place, what, "its objects are kept", data_loss=False))
