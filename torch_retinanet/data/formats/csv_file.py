"""CSV with a box a line: keras-retinanet's own (https://github.com/fizyr/keras-retinanet#csv-datasets), and any with a
header.

Without a header the columns are path, x1, y1, x2, y2, class; a line with a path alone is a picture without objects.
With a header columns are found by their names, in any order. A box 0, 0, 0, 0 marks a picture without objects, as
DeepForest writes it.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from torch_retinanet.data.annotations import Annotations, Problem
from torch_retinanet.data.box_layouts import Box, BoxLayout
from torch_retinanet.data.builder import AnnotationsBuilder
from torch_retinanet.data.picture_folder import PictureFolder, beside, find_folder
from torch_retinanet.data.text import Line, is_missing, is_number, parse_number, read_lines, split_fields
from torch_retinanet.errors import InputError

PICTURE = ("image_path", "path", "filename", "file_name", "image_name", "image", "img_path", "img", "file")
EDGES = (
    ("xmin", "x1", "x_min", "left"),
    ("ymin", "y1", "y_min", "top"),
    ("xmax", "x2", "x_max", "right"),
    ("ymax", "y2", "y_max", "bottom"),
)
CLASS = ("label", "class", "class_name", "name", "category", "object", "cell_type", "type")
SIDES = ("height", "img_height", "image_height"), ("width", "img_width", "image_width")
"""What a header may call each column, in small letters."""


class _Columns(NamedTuple):
    """Where each value of a row stands; `sides` are height and width, if they are there."""

    fields: int
    picture: int
    edges: tuple[int, ...]
    name: int
    sides: tuple[int, ...] = ()


HEADERLESS = _Columns(6, 0, (1, 2, 3, 4), 5)
EMPTY = 0.0, 0.0, 0.0, 0.0


class _Row(NamedTuple):
    """A line: a box of a picture, or none where it has no objects; `lost` says why an object cannot be used."""

    line: int
    picture: str
    box: Box | None
    name: str
    size: tuple[float, float]
    lost: str = ""


def read_csv(path: Path, *, images: Path | None = None, boxes: BoxLayout = "xyxy") -> Annotations:
    """The boxes of a CSV; classes are the names in it, in order: numbers by value, then others by letters.

    Args:
        path: the CSV.
        images: the folder of the pictures; by default the CSV's own, or `images` beside it, or one level up.
        boxes: what the four numbers of a box mean.

    Raises:
        InputError: for a header without a column that is needed, and where no line can be read.
        OSError: for a file that cannot be read.
    """
    builder = AnnotationsBuilder("line {}")
    lines = list(read_lines(path, builder.problems))
    header = _header(path, lines[0]) if lines else None
    rows = [_read(line, header or HEADERLESS, path, builder) for line in lines[header is not None :]]
    read = [row for row in rows if row is not None]
    if all(row.lost for row in read):
        whys = [f"; {one.location}: {one.finding}" for one in builder.problems]
        whys += [f"; {builder.place_format.format(row.line)}: {row.lost}" for row in read]
        why = next(iter(whys), "")
        raise InputError(f"{path}: must have a line with path, box and class{why}")
    folder = find_folder([row.picture for row in read], beside(path), images)
    _add(read, folder, path, builder)
    annotations = builder.annotations(layout=boxes)
    return replace(annotations, problems=[*annotations.problems, *folder.unlisted(annotations.pictures, path)])


def _header(path: Path, line: Line) -> _Columns | None:
    """The columns, if the first line is a header: one that names a column, and has no number."""
    try:
        fields = [field.strip().lower() for field in split_fields(line.text)]
    except ValueError:
        return None
    wanted = [PICTURE, *EDGES, CLASS]
    if not any(field in names for field in fields for names in (PICTURE, *EDGES)) or any(map(is_number, fields)):
        return None
    found = [_column(fields, names) for names in wanted]
    for names, column in zip(wanted, found, strict=True):
        if column is None:
            raise InputError(f"{path}: line {line.number} must name a column {names[0]!r}, and has {', '.join(fields)}")
    picture, left, top, right, bottom, name = (column for column in found if column is not None)
    sides = tuple(column for names in SIDES if (column := _column(fields, names)) is not None)
    return _Columns(len(fields), picture, (left, top, right, bottom), name, sides if len(sides) == len(SIDES) else ())


def _column(fields: Sequence[str], names: Sequence[str]) -> int | None:
    return next((fields.index(name) for name in names if name in fields), None)


def _read(line: Line, columns: _Columns, path: Path, builder: AnnotationsBuilder) -> _Row | None:
    try:
        return _parse(line, columns)
    except ValueError as error:
        builder.lose(path, line.number, str(error), "the line is left out")
        return None


def _parse(line: Line, columns: _Columns) -> _Row:
    """A row.

    Raises:
        ValueError: in a few words, for one that does not even say its picture.
    """
    fields = split_fields(line.text)
    picture = fields[columns.picture].strip() if columns.picture < len(fields) else ""
    if is_missing(picture):
        raise ValueError("no picture")
    if len(fields) != columns.fields:
        return _Row(line.number, picture, None, "", (0, 0), f"fields that are not {columns.fields}: {len(fields)}")
    name, size = fields[columns.name].strip(), _size([fields[column] for column in columns.sides])
    edges = [fields[column].strip() for column in columns.edges]
    if all(map(is_missing, edges)):
        return _Row(line.number, picture, None, name, size)
    try:
        left, top, right, bottom = map(parse_number, edges)
    except ValueError as error:
        return _Row(line.number, picture, None, name, size, str(error))
    if (left, top, right, bottom) == EMPTY:
        return _Row(line.number, picture, None, name, size)
    lost = f"no class: {name!r}" if is_missing(name) else ""
    return _Row(line.number, picture, (left, top, right, bottom), name, size, lost)


def _size(texts: Sequence[str]) -> tuple[float, float]:
    if not texts or not all(map(is_number, texts)):
        return 0, 0
    height, width = map(parse_number, texts)
    return height, width


def _add(rows: Sequence[_Row], folder: PictureFolder, path: Path, builder: AnnotationsBuilder) -> None:
    indices: dict[str, int] = {}
    with_objects = {row.picture for row in rows if row.box or row.lost}
    known = {row.picture for row in rows if not row.lost}
    for row in rows:
        if row.picture not in indices:
            if row.lost and row.picture not in known and not folder.has(row.picture):
                builder.lose(path, row.line, row.lost, "the line is left out")
                continue
            place, found = builder.place_format.format(row.line), folder.find(row.picture)
            indices[row.picture] = builder.add_picture(found, path, place=place, size=row.size)
        if row.lost:
            builder.lose_object(indices[row.picture], row.line, row.lost, row.box)
        elif row.box:
            builder.add_box(indices[row.picture], row.box, builder.label(row.name), row.line)
        elif row.picture in with_objects:
            what = f"picture without objects, and with some: {row.picture!r}"
            place = builder.place_format.format(row.line)
            builder.problems.append(Problem(path, place, what, "its objects are kept", data_loss=False))
