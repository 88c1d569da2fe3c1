"""YOLO's text files (https://docs.ultralytics.com/datasets/detect): class, centre and sides of a box as shares of the
picture, a file a picture.

The labels of `images/a.jpg` are in `labels/a.txt`, and where there is no folder `images` beside the picture. An empty
file says that a picture has no objects. The shares are those of the picture as a viewer shows it, upright.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.builder import AnnotationsBuilder
from torch_retinanet.data.formats.yolo_layout import NAMES, LabelledPicture, Layout
from torch_retinanet.data.picture_files import PictureFile, look_at
from torch_retinanet.data.picture_folder import Found, is_there, pictures_in
from torch_retinanet.data.text import Line, is_number, parse_number, read_lines
from torch_retinanet.data.tree import is_leftover
from torch_retinanet.errors import InputError

FIELDS = 5
RESERVED = {Path(name).name for name in NAMES}


def read_yolo(
    path: Path, *, split: str | None = None, images: Path | None = None, names: Sequence[str] | None = None
) -> Annotations:
    """The boxes of a YOLO data set, in pixels of the upright pictures, whose headers are read for it.

    Args:
        path: the folder with `images` and `labels`, or the YAML in it.
        split: one that the YAML names, or a folder in `images`, or one with `images` in it; by default all.
        images: the folder of the pictures, whose labels are in `labels`.
        names: of the classes; by default those of the YAML or of `classes.txt`, or else the numbers that are used.

    Raises:
        InputError: for an unknown split, and a file of names that is not whole.
        OSError: for a folder that cannot be read.
    """
    layout, builder = Layout(path), AnnotationsBuilder("line {}")
    names = names or layout.names()
    pairs = layout.pairs(split, images)
    files = look_at([pair.found.path or pair.labels for pair in pairs], decode=False)
    for pair, file in zip(pairs, files, strict=True):
        _add(pair, file, names, builder)
    _lose_orphans(pairs, builder)
    annotations = builder.annotations(names)
    return replace(annotations, problems=[*layout.problems, *annotations.problems])


def _add(pair: LabelledPicture, file: PictureFile, names: Sequence[str] | None, builder: AnnotationsBuilder) -> None:
    found, labels = pair
    if found.path and file.why:
        found = Found(None, f"unreadable picture: {found.path.name!r}, {file.why}")
    if not is_there(labels):
        what = f"picture without labels: {labels.name!r}"
        builder.lose(found.path or labels, None, what, "the picture is left out; an empty file says it has no object")
        return
    try:
        lines = list(read_lines(labels, builder.problems))
    except (InputError, OSError) as error:
        builder.lose(labels, None, str(error).removeprefix(f"{labels}: "), "its picture is left out")
        return
    picture = builder.add_picture(found, labels)
    for line in lines:
        _add_box(line, picture, labels, file.upright, names, builder)


def _add_box(
    line: Line,
    picture: int,
    file: Path,
    size: tuple[int, int],
    names: Sequence[str] | None,
    builder: AnnotationsBuilder,
) -> None:
    fields = line.text.split()
    try:
        if len(fields) != FIELDS:
            raise ValueError(f"fields that are not {FIELDS}: {len(fields)}")
        label = _label(fields[0], names, builder)
        x, y, width, height = map(parse_number, fields[1:])
    except ValueError as error:
        builder.lose(file, line.number, str(error), "the line is left out")
        return
    box = (x - width / 2) * size[1], (y - height / 2) * size[0], (x + width / 2) * size[1], (y + height / 2) * size[0]
    builder.add_box(picture, box, label, line.number)


def _label(text: str, names: Sequence[str] | None, builder: AnnotationsBuilder) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"no number of a class: {text!r}")
    if names is None:
        return builder.label(str(int(text)))
    if int(text) >= len(names):
        raise ValueError(f"unknown class: {int(text)} of {len(names)}")
    return int(text)


def _lose_orphans(pairs: Sequence[LabelledPicture], builder: AnnotationsBuilder) -> None:
    """Note the labels that belong to no picture, in the folders of those that do."""
    folders = {(pair.labels.parent, pair.found.path.parent) for pair in pairs if pair.found.path}
    stems = {(labels, path.stem) for labels, pictures in folders for path in pictures_in(pictures)}
    together = {labels for labels, pictures in folders if labels == pictures}
    for folder in sorted({labels for labels, _ in folders}):
        for file in sorted(file for file in folder.glob("*.txt") if not is_leftover(file.name)):
            reserved = not _has_boxes(file) if folder in together else file.name in RESERVED
            if (folder, file.stem) not in stems and not reserved:
                builder.lose(file, None, "labels without picture", "they are left out")


def _has_boxes(file: Path) -> bool:
    """Whether a line of a file is a box: beside pictures lie other texts too."""
    try:
        rows = [line.text.split() for line in read_lines(file, [])]
    except (InputError, OSError):
        return False
    return any(len(row) == FIELDS and all(map(is_number, row)) for row in rows)
