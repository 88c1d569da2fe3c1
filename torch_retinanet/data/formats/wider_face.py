"""WIDER FACE's annotations (http://shuoyang1213.me/WIDERFACE): `wider_face_train_bbx_gt.txt`, all pictures in one file.

A picture is its path, the number of its faces, and a line for each: left and upper edge, width and height in pixels
from 0, blur, expression, illumination, whether it is invalid, occlusion and pose. Invalid faces are ignored. A picture
without faces has a line of zeros.
"""

from collections.abc import Sequence
from pathlib import Path

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.box_layouts import BoxLayout
from torch_retinanet.data.builder import NO_CLASS, AnnotationsBuilder
from torch_retinanet.data.formats.search import spread
from torch_retinanet.data.formats.splits import split_of
from torch_retinanet.data.formats.text_kind import TextKind, in_families, text_kind
from torch_retinanet.data.picture_folder import PictureFolder, beside, find_folder, is_picture
from torch_retinanet.data.text import BadLine, Line, is_number, lines_of, parse_number
from torch_retinanet.data.tree import Tree

CLASS = "face"
SIDES, INVALID = 4, 7
"""Numbers of a box, and where a line says that a face is invalid."""


def read_wider_face(path: Path, *, images: Path | None = None, boxes: BoxLayout = "xywh") -> Annotations:
    """The faces of a file.

    Args:
        path: the file.
        images: the folder in which the paths of the pictures begin; by default `WIDER_train/images` beside the folder
            of the file, as its split is called, or where pictures of these names lie.
        boxes: what the four numbers of a box mean.

    Raises:
        OSError: for a file that cannot be read.
    """
    lines = list(lines_of(path))
    names = [line.text for line in lines if _is_picture(line)]
    reader = _FaceReader(path, find_folder(names, _folders(path), images))
    for line in lines:
        reader.add(line)
    reader.end()
    return reader.builder.annotations(layout=boxes)


def find_wider_face(tree: Tree) -> list[list[Path]]:
    """The files of WIDER FACE in a tree."""
    texts = (file for files in tree.with_suffix(".txt").values() for file in spread(files))
    return in_families([file for file in texts if tree.once(text_kind, file) is TextKind.WIDER_FACE], tree)


def is_wider_face(path: Path) -> bool:
    """Whether a file is one of WIDER FACE."""
    return text_kind(path) is TextKind.WIDER_FACE


def _folders(path: Path) -> list[Path]:
    of_split = f"WIDER_{split_of(Path(path.name)).split}/images"
    return [*(folder / of_split for folder in (path.parent, path.parent.parent)), *beside(path)]


class _FaceReader:
    """Takes the lines of a file one by one. `count` is what the picture says, and `seen` the lines behind it."""

    def __init__(self, path: Path, folder: PictureFolder) -> None:
        self.path, self.folder, self.builder = path, folder, AnnotationsBuilder("line {}")
        self.picture: int | None = None
        self.line, self.count, self.seen = 0, -1, 0

    def add(self, line: Line | BadLine) -> None:
        """Take a line."""
        fields = line.text.split()
        if _is_picture(line):
            self.end()
            place = self.builder.place_format.format(line.number)
            self.picture = self.builder.add_picture(self.folder.find(line.text), self.path, place=place)
            self.line, self.count, self.seen = line.number, -1, 0
        elif len(fields) == 1 and fields[0].isdecimal() and not isinstance(line, BadLine):
            self._count(line, int(fields[0]))
        elif self.picture is None:
            self.builder.lose(self.path, line.number, "no picture", "the line is left out")
        else:
            self.seen += 1
            self._add_face(line, fields, self.picture)

    def end(self) -> None:
        """Note a picture that says another number of faces than it has."""
        said = max(self.count, 0)
        if self.picture is not None and said != self.seen and self.count != 0:
            self.builder.lose_object(self.picture, self.line, f"faces that are not {said}: {self.seen}")

    def _count(self, line: Line | BadLine, count: int) -> None:
        if self.picture is None or self.count >= 0:
            self.end()
            self.picture = None
            self.builder.lose(self.path, line.number, "number of faces without picture", "its faces are left out")
        self.count = count

    def _add_face(self, line: Line | BadLine, fields: Sequence[str], picture: int) -> None:
        try:
            if isinstance(line, BadLine):
                raise ValueError(line.why)
            numbers = [parse_number(field) for field in fields]
            if len(numbers) < SIDES:
                raise ValueError(f"fields that are not 10: {len(numbers)}")
        except ValueError as error:
            self.builder.lose_object(picture, line.number, str(error))
            return
        if self.count == 0 and not any(numbers):
            return
        invalid = len(numbers) > INVALID and numbers[INVALID] != 0
        label = NO_CLASS if invalid else self.builder.label(CLASS)
        left, top, width, height = numbers[:SIDES]
        self.builder.add_box(picture, (left, top, width, height), label, line.number, ignored=invalid)


def _is_picture(line: Line | BadLine) -> bool:
    return isinstance(line, Line) and is_picture(Path(line.text.replace("\\", "/"))) and not is_number(line.text)
