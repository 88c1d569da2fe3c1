"""YOLO's text files (https://docs.ultralytics.com/datasets/detect): class, centre and sides of a box as shares of the
picture, a file a picture.

The labels of `images/a.jpg` are in `labels/a.txt`, and where there is no folder `images` beside the picture; where
there is no `a.txt`, `a.jpg.txt` is read. A picture with an empty file, or without one, has no objects. The shares are
those of the picture as a viewer shows it, upright.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from torch_retinanet.data.annotations import Annotations, Problem
from torch_retinanet.data.box_layouts import BoxLayout, in_pixels
from torch_retinanet.data.builder import AnnotationsBuilder
from torch_retinanet.data.formats.yolo_layout import NAMES, LabelledPicture, Layout, whole_named
from torch_retinanet.data.formats.yolo_lines import read_box, split_line
from torch_retinanet.data.formats.yolo_notes import copies_within, other_number_of_classes
from torch_retinanet.data.picture_files import PictureFile, look_at
from torch_retinanet.data.picture_folder import Found, is_there, pictures_in
from torch_retinanet.data.text import BadLine, Line, is_number, lines_of, parse_whole, read_lines
from torch_retinanet.data.tree import is_leftover
from torch_retinanet.errors import InputError

FIELDS = 5
RESERVED = {Path(name).name for name in NAMES}


def read_yolo(
    path: Path,
    *,
    split: str | None = None,
    images: Path | None = None,
    names: Sequence[str] | None = None,
    boxes: BoxLayout = "cxcywh-relative",
    labelled_only: bool = False,
) -> Annotations:
    """The boxes of a YOLO data set, in pixels of the upright pictures, whose headers are read for it.

    Args:
        path: the folder with `images` and `labels`, or the YAML in it.
        split: one that the YAML names, or a folder in `images`, or one with `images` in it; by default all.
        images: the folder of the pictures, whose labels are in `labels`.
        names: of the classes; by default those of the YAML or of `classes.txt`, or else the numbers that are used.
        boxes: what the four numbers of a box mean.
        labelled_only: whether pictures without a label file are left out, and not taken as pictures without objects.

    Raises:
        InputError: for an unknown split, and a file of names that is not whole.
        OSError: for a folder that cannot be read.
    """
    layout = Layout(path)
    known = layout.names() if names is None else dict(enumerate(names))
    pairs = layout.pairs(split, images)
    files = look_at([pair.found.path or pair.labels for pair in pairs], decode=False)
    reader = _LabelReader(known, boxes, layout.key_points())
    unlabelled = [
        pair.found.path
        for pair, file in zip(pairs, files, strict=True)
        if not reader.read(pair, file, labelled_only=labelled_only)
    ]
    _lose_orphans(pairs, reader.builder)
    annotations = reader.builder.annotations(list(known.values()) if known else None, layout=boxes)
    noted = _unlabelled([path for path in unlabelled if path], layout.root, labelled_only)
    sizes = np.array([reader.sizes[path] for path in annotations.pictures], dtype=np.int64).reshape(-1, 2)
    placed = replace(in_pixels(replace(annotations, sizes=sizes)), sizes=annotations.sizes)
    noted += [*_counted_from_one(reader, layout), *other_number_of_classes(layout)]
    noted += copies_within(annotations.pictures, layout.root)
    return replace(placed, problems=[*layout.problems, *annotations.problems, *noted])


class _LabelReader:
    """Reads the label files of pictures one by one; `sizes` are height and width of the pictures."""

    def __init__(self, names: Mapping[int, str] | None, layout: BoxLayout, key_points: int | None) -> None:
        self.builder, self.layout, self.key_points = AnnotationsBuilder("line {}"), layout, key_points
        self.labels = None if names is None else {number: label for label, number in enumerate(names)}
        self.sizes: dict[Path, tuple[int, int]] = {}
        self.numbers: set[int] = set()

    def read(self, pair: LabelledPicture, file: PictureFile, *, labelled_only: bool) -> bool:
        """Take a picture with its objects, and say whether it has a label file."""
        found, labels = pair
        if found.path and file.why:
            found = Found(None, f"unreadable picture: {found.path.name!r}, {file.why}")
        has_labels = is_there(labels)
        if not has_labels and labelled_only:
            return False
        try:
            lines = list(lines_of(labels)) if has_labels else []
        except (InputError, OSError) as error:
            self.builder.lose(labels, None, str(error).removeprefix(f"{labels}: "), "its picture is left out")
            return True
        picture = self.builder.add_picture(found, labels if has_labels else found.path or labels)
        if found.path:
            self.sizes[found.path] = file.upright
        for line in lines:
            self._add_object(line, picture)
        return has_labels or found.path is None

    def _add_object(self, line: Line | BadLine, picture: int) -> None:
        if isinstance(line, BadLine):
            self.builder.lose_object(picture, line.number, line.why)
            return
        try:
            number, *fields = split_line(line.text)
            box = read_box(fields, self.layout, self.key_points)
        except ValueError as error:
            self.builder.lose_object(picture, line.number, str(error))
            return
        try:
            self.builder.add_box(picture, box, self._label(number), line.number)
        except ValueError as error:
            self.builder.lose_object(picture, line.number, str(error), box)

    def _label(self, text: str) -> int:
        try:
            number = parse_whole(text)
        except ValueError:
            number = -1
        if number < 0:
            raise ValueError(f"no number of a class: {text!r}")
        self.numbers.add(number)
        if self.labels is None:
            return self.builder.label(str(number))
        if number not in self.labels:
            raise ValueError(f"unknown class: {number} of {len(self.labels)}")
        return self.labels[number]


def _unlabelled(pictures: Sequence[Path], root: Path, labelled_only: bool) -> list[Problem]:
    """One note on all pictures that have no label file."""
    if not pictures:
        return []
    what = f"pictures without a label file: {len(pictures)}, as {pictures[0].name!r}"
    then = "they are background: pictures without objects; --labelled-only leaves them out"
    if labelled_only:
        return [Problem(root, "", what, "they are left out", data_loss=False)]
    return [Problem(root, "", what, then, data_loss=False, assumption=True)]


def _counted_from_one(reader: _LabelReader, layout: Layout) -> list[Problem]:
    """A note where labels use the numbers 1 to K of K names that are called 0 to K - 1."""
    known, used = reader.labels or {}, reader.numbers
    if not known or set(known) != set(range(len(known))) or 0 in used or len(known) not in used:
        return []
    numbers = f"{min(used)} to {max(used)}, with names from 0 to {len(known) - 1}"
    what = f"numbers of classes that seem to count from 1: {numbers}"
    then = "each number has the name that the file gives it; a YAML with `names: {1: ...}` gives others"
    return [Problem(layout.file or layout.root, "", what, then, data_loss=False, assumption=True)]


def _lose_orphans(pairs: Sequence[LabelledPicture], builder: AnnotationsBuilder) -> None:
    """Note the labels that belong to no picture, in the folders of those that do."""
    folders = {(pair.labels.parent, pair.found.path.parent) for pair in pairs if pair.found.path}
    pairs_of = [(labels, path) for labels, pictures in folders for path in pictures_in(pictures)]
    owned = {labels / f"{path.stem}.txt" for labels, path in pairs_of}
    owned |= {whole_named(labels / "_", path) for labels, path in pairs_of if not is_there(labels / f"{path.stem}.txt")}
    together = {labels for labels, pictures in folders if labels == pictures}
    for folder in sorted({labels for labels, _ in folders}):
        for file in sorted(file for file in folder.glob("*.txt") if not is_leftover(file.name)):
            reserved = not _has_boxes(file) if folder in together else file.name in RESERVED
            if file not in owned and not reserved:
                builder.lose(file, None, "labels without picture", "they are left out")


def _has_boxes(file: Path) -> bool:
    """Whether a line of a file is a box: beside pictures lie other texts too."""
    try:
        rows = [line.text.split() for line in read_lines(file, [])]
    except (InputError, OSError):
        return False
    return any(len(row) == FIELDS and all(map(is_number, row)) for row in rows)
