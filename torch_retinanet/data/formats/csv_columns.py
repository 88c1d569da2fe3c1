"""Which column of a CSV is what: by the names in a header, as many tools write them, or by what stands in the rows."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from torch_retinanet.data.box_layouts import BoxLayout
from torch_retinanet.data.picture_folder import SUFFIXES
from torch_retinanet.data.text import is_number, split_fields
from torch_retinanet.errors import InputError

DELIMITERS = ",", ";", "\t", "|"
"""What may stand between two fields; of equally many the first."""

PICTURE = (
    *("imagepath", "path", "filename", "imagename", "imagefilename", "image", "imgpath", "imgname", "img", "file"),
    *("filepath", "location", "picture", "imageid", "patientid"),
)
CLASS = (
    "label",
    "class",
    "classname",
    "name",
    "category",
    "categoryname",
    "object",
    "celltype",
    "type",
    "classid",
    "target",
)
EDGES = (
    ("xmin", "x1", "left", "minx"),
    ("ymin", "y1", "top", "miny"),
    ("xmax", "x2", "right", "maxx"),
    ("ymax", "y2", "bottom", "maxy"),
)
CORNER = (*EDGES[0], "x"), (*EDGES[1], "y")
CENTRE = ("xcenter", "centerx", "xcentre", "cx"), ("ycenter", "centery", "ycentre", "cy")
BOX_SIDES = ("w", "bboxwidth", "boxwidth", "width"), ("h", "bboxheight", "boxheight", "height")
LIST = "bbox", "box", "boundingbox", "bndbox"
"""What a column may be called that holds a box as a list of its corner, width and height, as Kaggle's sets have it."""
SPLIT = "split", "subset", "partition"
SIDES = ("height", "imgheight", "imageheight"), ("width", "imgwidth", "imagewidth")
"""What a header may call each column, in small letters and without other characters; `box_x1` is `x1`."""

NEEDED = "a picture (as filename), xmin, ymin, xmax, ymax (or x, y, w, h, or bbox)"

PREFIX = re.compile(r"^(?:bbox|box|bndbox|boundingbox|roi)(?=[xy]|min|max|left|top|right|bottom)")


class Columns(NamedTuple):
    """Where each value of a row stands: `edges` in four columns, or in one as a list; no `name` where all objects are
    of one class; `sides` are height and width of the picture, and `part` its split, if they are there."""

    fields: int
    picture: int
    edges: tuple[int, ...]
    name: int | None
    sides: tuple[int, ...] = ()
    delimiter: str = ","
    layout: BoxLayout = "xyxy"
    header: bool = False
    part: int | None = None

    def split(self, text: str) -> list[str]:
        """The fields of a line; tabs at its end were cut off with the blanks.

        Raises:
            ValueError: in a few words, for a line that is no CSV.
        """
        fields = split_fields(text, self.delimiter)
        return fields + [""] * (self.fields - len(fields)) if self.delimiter == "\t" else fields


VERTEX_FIELDS = 11
VERTEX_PARTS = "train", "training", "validate", "validation", "test", "unassigned"
"""What the first column of Vertex AI's CSV says, in small letters."""

HEADERLESS = Columns(6, 0, (1, 2, 3, 4), 5)
"""keras-retinanet's own columns."""


def read_columns(path: Path, lines: Sequence[str]) -> Columns | None:
    """The columns of a CSV by its first lines; `None` where no line says which is which.

    Raises:
        InputError: for a header without a column that is needed.
    """
    delimiter = max(DELIMITERS, key=lambda one: (lines[0].count(one), -DELIMITERS.index(one)))
    rows = [row for line in lines if (row := _fields(line, delimiter))]
    if not rows:
        return None
    if delimiter == "\t" and len(rows) > 1 and len(rows[1]) == len(rows[0]) + 1:
        rows[0].insert(0, "")  # the column of an index has no name, and lines are read without blanks around them
    return _by_header(path, rows[0], delimiter) or _by_rows(rows, delimiter)


def _fields(line: str, delimiter: str) -> list[str]:
    try:
        return [field.strip() for field in split_fields(line, delimiter)]
    except ValueError:
        return []


def _by_header(path: Path, header: Sequence[str], delimiter: str) -> Columns | None:
    """The columns, if the first line is a header: one that names a column, and has no number."""
    fields = [_plain(field) for field in header]
    if not any(field in names for field in fields for names in (PICTURE, *EDGES)) or any(map(is_number, header)):
        return None
    layout, names = _box_columns(fields)
    found = [_column(fields, one) for one in (PICTURE, *names)]
    if None in found:
        missing = ", ".join(repr(one[0]) for one in (PICTURE, *names) if _column(fields, one) is None)
        raise InputError(f"{path}: line 1 has columns {', '.join(header)} and none for {missing}; needed are {NEEDED}")
    picture, *edges = (column for column in found if column is not None)
    sides = tuple(c for one in SIDES if (c := _column(fields, one)) is not None and c not in edges)
    sides = sides if len(sides) == len(SIDES) else ()
    name = _column(fields, CLASS)
    part = _column(fields, SPLIT)
    return Columns(len(fields), picture, tuple(edges), name, sides, delimiter, layout, header=True, part=part)


def _box_columns(fields: Sequence[str]) -> tuple[BoxLayout, Sequence[Sequence[str]]]:
    """What the columns of the box mean, and what they may be called."""
    choices: list[tuple[BoxLayout, Sequence[Sequence[str]]]] = [
        ("xyxy", EDGES),
        ("cxcywh", (*CENTRE, *BOX_SIDES)),
        ("xywh", (*CORNER, *BOX_SIDES)),
        ("xywh", (LIST,)),
    ]
    whole = (choice for choice in choices if all(_column(fields, names) is not None for names in choice[1]))
    return next(whole, choices[0])


def _by_rows(rows: Sequence[Sequence[str]], delimiter: str) -> Columns | None:
    """The columns of a file without a header, by the first row with a picture, four numbers and a class."""
    if delimiter == "," and all(map(_is_of_vertex, rows)):
        return Columns(VERTEX_FIELDS, 1, (3, 4, 7, 8), 2, layout="xyxy-relative", part=0)
    for row in rows:
        numeric = [is_number(field) for field in row]
        if len(row) == HEADERLESS.fields and all(numeric[1:5]) and not numeric[0]:
            return HEADERLESS._replace(delimiter=delimiter)
        picture = next((i for i, field in enumerate(row) if Path(field).suffix.lower() in SUFFIXES), None)
        starts = [i for i in range(len(row) - 3) if all(numeric[i : i + 4])]
        if picture is None or not starts:
            continue
        first = next((i for i in starts if i > picture), starts[0])
        others = [i for i in range(len(row)) if i != picture and not first <= i < first + 4]
        name = next((i for i in others if not numeric[i]), next((i for i in others if i > first), None))
        if name is not None:
            sides = (len(row) - 1, len(row) - 2) if len(row) - name == 3 and all(numeric[-2:]) else ()
            return Columns(len(row), picture, tuple(range(first, first + 4)), name, sides, delimiter)
    return None


def _is_of_vertex(row: Sequence[str]) -> bool:
    """Whether a row has the part, the picture, the class and four corners, of which two may be empty."""
    return len(row) == VERTEX_FIELDS and row[0].lower() in VERTEX_PARTS and not any(map(is_number, row[1:3]))


def _column(fields: Sequence[str], names: Sequence[str]) -> int | None:
    return next((fields.index(name) for name in names if name in fields), None)


def _plain(field: str) -> str:
    return PREFIX.sub("", re.sub("[^a-z0-9]", "", field.lower()))
