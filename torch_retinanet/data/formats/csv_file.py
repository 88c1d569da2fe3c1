"""CSV with a box a line: keras-retinanet's own (https://github.com/fizyr/keras-retinanet#csv-datasets), and any with a
header.

Without a header the columns are path, x1, y1, x2, y2, class, or others that the rows tell apart; a line with a path
alone is a picture without objects. With a header columns are found by their names, in any order. Fields may be
separated by semicolons, tabs or bars. A column `bbox` holds a list of corner, width and height, and a column `split`
says the split of a picture. Vertex AI's has no header, the split in front, and corners as shares of the picture. A box
0, 0, 0, 0 marks a picture without objects, as DeepForest writes it.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from torch_retinanet.data.annotations import Annotations, Problem
from torch_retinanet.data.box_layouts import Box, BoxLayout
from torch_retinanet.data.builder import ONLY_CLASS, AnnotationsBuilder
from torch_retinanet.data.class_names import read_class_names, with_class_names
from torch_retinanet.data.formats.content import first_lines
from torch_retinanet.data.formats.csv_columns import HEADERLESS, Columns, read_columns
from torch_retinanet.data.formats.splits import KNOWN_SPLITS
from torch_retinanet.data.picture_folder import PictureFolder, beside, find_folder
from torch_retinanet.data.text import BadLine, Line, is_missing, is_number, lines_of, parse_number
from torch_retinanet.errors import InputError

EMPTY = 0.0, 0.0, 0.0, 0.0

MEANT = {"validate": "validation", "unassigned": "train"}
"""Words of Vertex AI, which divides what is not assigned when it trains."""

SHOWN = 80
"""Letters of a header that a message shows."""

SAMPLE = 50
"""Lines by which columns are told apart."""


class _Row(NamedTuple):
    """A line: a box of a picture, or none where it has no objects; `lost` says why an object cannot be used."""

    line: int
    picture: str
    box: Box | None
    name: str
    size: tuple[float, float]
    lost: str = ""
    split: str = ""


def read_csv(
    path: Path, *, images: Path | None = None, boxes: BoxLayout | None = None, split: str | None = None
) -> Annotations:
    """The boxes of a CSV; classes are the names in it, in order: numbers by value, then others by letters.

    Args:
        path: the CSV.
        split: one of `csv_splits`; by default all rows are read.
        images: the folder of the pictures; by default the CSV's own, or `images` beside it, or one level up.
        boxes: what the four numbers of a box mean; by default what the names of the columns say, or corners.

    Raises:
        InputError: for a header without a column that is needed, and where no line can be read.
        OSError: for a file that cannot be read.
    """
    builder = AnnotationsBuilder("line {}")
    lines = list(lines_of(path))
    columns, header = _columns(path, lines)
    rows = [_read(line, columns, path, builder) for line in lines if line is not header]
    read = [row for row in rows if row is not None]
    if all(row.lost for row in read):
        whys = [f"; {one.location}: {one.finding}" for one in builder.problems]
        whys += [f"; {builder.place_format.format(row.line)}: {row.lost}" for row in read]
        why = next(iter(whys), "")
        raise InputError(f"{path}: must have a line with path, box and class{why}")
    folder = find_folder([row.picture for row in read], beside(path), images)
    for row in read:
        if row.box and not row.lost:
            builder.label(row.name)  # of all splits, which have one list of classes
    _add([row for row in read if split in (None, row.split)], folder, path, builder)
    if header and columns.name is None:
        builder.problems.append(_one_class(path, header))
    annotations = _in_order_of_list(builder.annotations(layout=boxes or columns.layout), path)
    return replace(annotations, unlisted=folder.unlisted(annotations.pictures) if split is None else ())


def csv_splits(path: Path) -> list[str]:
    """The splits that a column of a CSV names, in small letters; none where it has other words too."""
    beginning = read_columns(path, first_lines(path))
    if beginning is None or beginning.part is None:
        return []
    lines = list(lines_of(path))
    columns, first = _columns(path, lines)
    rows = [_read(line, columns, path, AnnotationsBuilder("")) for line in lines if line is not first]
    splits = list(dict.fromkeys(row.split for row in rows if row))
    return splits if set(splits) <= set(KNOWN_SPLITS) else []


def _columns(path: Path, lines: Sequence[Line | BadLine]) -> tuple[Columns, Line | None]:
    """Which column is what, and the line that says it, if there is one."""
    whole = [line for line in lines if isinstance(line, Line)]
    columns = (read_columns(path, [line.text for line in whole[:SAMPLE]]) if whole else None) or HEADERLESS
    return columns, whole[0] if columns.header else None


def _one_class(path: Path, header: Line) -> Problem:
    what = f"no column of classes: columns are {header.text[:SHOWN]}"
    then = f"all objects are of class {ONLY_CLASS!r}"
    return Problem(path, f"line {header.number}", what, then, data_loss=False, assumption=True)


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


def _read(line: Line | BadLine, columns: Columns, path: Path, builder: AnnotationsBuilder) -> _Row | None:
    try:
        row = _parse(line, columns)._replace(split=_split(line, columns))
        return row._replace(lost=f"{line.why}; save it as UTF-8") if isinstance(line, BadLine) else row
    except ValueError as error:
        builder.lose(path, line.number, str(error), "the line is left out")
        return None


def _split(line: Line | BadLine, columns: Columns) -> str:
    fields = [] if columns.part is None else columns.split(line.text)
    split = fields[columns.part].strip().lower() if columns.part is not None and columns.part < len(fields) else ""
    return MEANT.get(split, split)


def _parse(line: Line | BadLine, columns: Columns) -> _Row:
    """A row.

    Raises:
        ValueError: in a few words, for one that does not even say its picture.
    """
    fields = columns.split(line.text)
    picture = fields[columns.picture].strip() if columns.picture < len(fields) else ""
    if is_missing(picture):
        raise ValueError("no picture")
    if len(fields) != columns.fields:
        return _Row(line.number, picture, None, "", (0, 0), f"fields that are not {columns.fields}: {len(fields)}")
    name = ONLY_CLASS if columns.name is None else fields[columns.name].strip()
    size = _size([fields[column] for column in columns.sides])
    edges = [fields[column].strip() for column in columns.edges]
    if len(edges) == 1:
        edges = edges[0].strip("[](){} ").replace(",", " ").split()
        if len(edges) not in (0, 4):
            return _Row(line.number, picture, None, name, size, f"box that is not of four numbers: {len(edges)}")
    if all(map(is_missing, edges)):
        lost = "" if columns.name is None or is_missing(name) else f"no box: of class {name!r}"
        return _Row(line.number, picture, None, name, size, lost)
    try:
        first, second, third, fourth = map(parse_number, edges)
    except ValueError as error:
        return _Row(line.number, picture, None, name, size, str(error))
    if (first, second, third, fourth) == EMPTY:
        return _Row(line.number, picture, None, name, size)
    lost = f"no class: {name!r}" if is_missing(name) else ""
    return _Row(line.number, picture, (first, second, third, fourth), name, size, lost)


def _size(texts: Sequence[str]) -> tuple[float, float]:
    if not texts or not all(map(is_number, texts)):
        return 0, 0
    height, width = map(parse_number, texts)
    return height, width


def _add(rows: Sequence[_Row], folder: PictureFolder, path: Path, builder: AnnotationsBuilder) -> None:
    indices: dict[str, int] = {}
    sizes: dict[str, tuple[float, float]] = {}
    with_objects = {row.picture for row in rows if row.box or row.lost}
    known = {row.picture for row in rows if not row.lost}
    for row in rows:
        if row.picture not in indices:
            if row.lost and row.picture not in known and not folder.has(row.picture):
                builder.lose(path, row.line, row.lost, "the line is left out")
                continue
            place, found = builder.place_format.format(row.line), folder.find(row.picture)
            indices[row.picture] = builder.add_picture(found, path, place=place, size=row.size)
        if sizes.setdefault(row.picture, row.size) != row.size:
            what = f"one picture with several sizes: {row.picture!r}"
            place = builder.place_format.format(row.line)
            then = "it may stand for several pictures of one name; the picture itself says its size"
            builder.problems.append(Problem(path, place, what, then, data_loss=False))
            sizes[row.picture] = row.size
        if row.lost:
            builder.lose_object(indices[row.picture], row.line, row.lost, row.box)
        elif row.box:
            builder.add_box(indices[row.picture], row.box, builder.label(row.name), row.line)
        elif row.picture in with_objects:
            what = f"picture without objects, and with some: {row.picture!r}"
            place = builder.place_format.format(row.line)
            builder.problems.append(Problem(path, place, what, "its objects are kept", data_loss=False))
