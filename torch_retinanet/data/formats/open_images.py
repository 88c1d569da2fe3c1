"""The boxes of Open Images as CSV (https://storage.googleapis.com/openimages/web/download_v7.html).

Edges are shares of the picture. `IsGroupOf` marks regions that are ignored: a group in one box. `LabelName` is a code
as `/m/01yrx`; its name is in the CSV of the descriptions of classes, if that lies beside.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.box_layouts import Box
from torch_retinanet.data.builder import AnnotationsBuilder
from torch_retinanet.data.formats.csv_header import header_of
from torch_retinanet.data.formats.objects import Object, add_object
from torch_retinanet.data.formats.sizes import known_sizes
from torch_retinanet.data.picture_folder import Found, PictureFolder, beside, find_folder
from torch_retinanet.data.text import Line, parse_number, read_lines, split_fields
from torch_retinanet.errors import InputError

PICTURE, CLASS, GROUP = "imageid", "labelname", "isgroupof"
EDGES = ("xmin", "ymin", "xmax", "ymax")
SPLITS = ("train", "validation", "test")

DESCRIPTIONS = ("*class-descriptions*.csv", "classes.csv")
"""Files with lines `code,name`: that of Open Images, and that of FiftyOne's downloads."""


class _BoxRow(NamedTuple):
    """A line: a box in shares of a picture."""

    line: int
    picture: str
    shares: Box
    name: str
    is_group: bool


def is_open_images(path: Path) -> bool:
    """Whether a file holds boxes of Open Images."""
    return {PICTURE, CLASS, *EDGES} <= set(header_of(path).names)


def read_open_images(path: Path, *, images: Path | None = None) -> Annotations:
    """The boxes of a CSV of Open Images.

    Args:
        path: the CSV.
        images: the folder of the pictures; by default the CSV's own, `images`, `data` or that of the split beside it,
            or one level up.

    Raises:
        InputError: for a header without a column that is needed, or a description of classes that is none.
        OSError: for a file that cannot be read.
    """
    builder = AnnotationsBuilder("line {}")
    rows = list(_rows(path, builder))
    ids = list(dict.fromkeys(row.picture for row in rows))
    folder = find_folder([f"{one}.jpg" for one in ids], _folders(path), images)
    found = [_picture(one, folder) for one in ids]
    sizes = dict(zip(ids, known_sizes(found, [(0, 0)] * len(found)), strict=True))
    indices = {one: builder.add_picture(picture, path) for one, picture in zip(ids, found, strict=True)}
    names = _names(path)
    for row in rows:
        box = _in_pixels(row.shares, *sizes[row.picture])
        object_ = Object(names.get(row.name, row.name), box, ignored=row.is_group)
        add_object(object_, builder, path, indices[row.picture], row.line)
    annotations = builder.annotations()
    return replace(annotations, unlisted=folder.unlisted(annotations.pictures))


def _folders(path: Path) -> list[Path]:
    """Where the pictures lie by custom; that of the split which the name of the file has comes first."""
    of_split = [split for split in SPLITS if split in path.stem.lower()]
    more = [folder / name for folder in (path.parent, path.parent.parent) for name in (*of_split, "data")]
    return [*more, *beside(path)]


def _picture(name: str, folder: PictureFolder) -> Found:
    of_stem = folder.with_stem(name)
    return Found(of_stem[0]) if of_stem else folder.find(name if folder.has(name) else f"{name}.jpg")


def _rows(path: Path, builder: AnnotationsBuilder) -> Iterator[_BoxRow]:
    header = header_of(path)
    for name in (PICTURE, CLASS, *EDGES):
        if name not in header.names:
            raise InputError(f"{path}: line 1 must name a column {name!r}, and has {', '.join(header.names)}")
    columns = {name: header.names.index(name) for name in header.names}
    for line in read_lines(path, builder.problems):
        if line.number != header.line and (row := _read(line, columns, path, builder)):
            yield row


def _read(line: Line, columns: Mapping[str, int], path: Path, builder: AnnotationsBuilder) -> _BoxRow | None:
    try:
        return _parse(line, columns)
    except ValueError as error:
        builder.lose(path, line.number, str(error), "the line is left out")
        return None


def _parse(line: Line, columns: Mapping[str, int]) -> _BoxRow:
    """A row.

    Raises:
        ValueError: in a few words, for one that is not as the columns say.
    """
    fields = [field.strip() for field in split_fields(line.text)]
    if len(fields) != len(columns):
        raise ValueError(f"fields that are not {len(columns)}: {len(fields)}")
    picture, name = fields[columns[PICTURE]], fields[columns[CLASS]]
    if not picture:
        raise ValueError("no picture")
    left, top, right, bottom = (parse_number(fields[columns[edge]]) for edge in EDGES)
    is_group = GROUP in columns and fields[columns[GROUP]] == "1"
    return _BoxRow(line.number, picture, (left, top, right, bottom), name, is_group)


def _in_pixels(shares: Sequence[float], height: float, width: float) -> Box:
    left, top, right, bottom = shares
    return left * width, top * height, right * width, bottom * height


def _names(path: Path) -> dict[str, str]:
    """The names of the classes by their codes, of the first description that lies beside, or in `metadata`."""
    folders = path.parent, path.parent / "metadata", path.parent.parent / "metadata", path.parent.parent
    files = [file for folder in folders for pattern in DESCRIPTIONS for file in sorted(folder.glob(pattern))]
    return _described(files[0]) if files else {}


def _described(file: Path) -> dict[str, str]:
    try:
        rows = [split_fields(line.text) for line in read_lines(file, [])]
    except ValueError as error:
        raise InputError(f"{file}: must hold lines with the code and the name of a class ({error})") from None
    return {row[0].strip(): row[1].strip() for row in rows if len(row) == 2}
