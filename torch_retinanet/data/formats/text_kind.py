"""Which format a text with boxes is of, told by its first lines, and where in a tree those of a format lie."""

import re
from collections import defaultdict
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from torch_retinanet.data.formats.content import first_lines
from torch_retinanet.data.formats.search import spread
from torch_retinanet.data.formats.splits import split_of
from torch_retinanet.data.picture_folder import is_picture
from torch_retinanet.data.text import is_number, parse_number
from torch_retinanet.data.tree import Tree

YOLO_FIELDS, KITTI_FIELDS = 5, (15, 16)

KITTI_TRACKING = 2
"""Fields before the type in the labels of KITTI's tracking: the frame and the track."""

DOTA_CORNERS = 8
"""Numbers before the class of a line of DOTA."""

DOTA_HEADER = re.compile(r"(?:imagesource|gsd|acquisition dates?)\s*[:=]", re.IGNORECASE)
"""How a line of DOTA begins that says something of the picture."""

VISDRONE_FIELDS, VISDRONE_FILM = 8, 10
"""Numbers of a line of VisDrone; in films the frame and the track stand before."""

VISDRONE_LARGEST = 1, 11, 2, 2
"""Of the score, the category, the truncation and the occlusion."""

MOT_FIELDS = range(7, 11)
MOT_FILE = "gt.txt"
"""What MOT calls the file with the boxes of a film."""


class TextKind(Enum):
    """A kind of text with boxes; the value is what messages call it."""

    YOLO = "YOLO"
    KITTI = "KITTI"
    DOTA = "DOTA"
    VISDRONE = "VisDrone"
    MOT = "MOT"
    WIDER_FACE = "WIDER FACE"


OF_A_PICTURE = TextKind.YOLO, TextKind.KITTI, TextKind.DOTA, TextKind.VISDRONE
"""Those that have a text for each picture."""


def text_kind(path: Path) -> TextKind | None:
    """The kind of a text; `None` for one that is not known, and for what cannot be read."""
    lines = [line.strip() for line in first_lines(path)]
    if len(lines) > 1 and is_picture(Path(lines[0])) and lines[1].isdecimal():
        return TextKind.WIDER_FACE
    rows = [line for line in lines if not DOTA_HEADER.match(line)]
    if not rows:
        return TextKind.DOTA if lines else None
    by_commas = [field.strip() for field in rows[0].rstrip(",").split(",")]
    if len(by_commas) > 1 and all(map(is_number, by_commas)):
        return _kind_of_commas(path, by_commas)
    return _kind_of_blanks(rows[0].split())


def folders_of_labels(tree: Tree, kind: TextKind) -> list[list[Path]]:
    """The folders of a tree with texts of a kind; folders whose paths differ by the split alone stand together."""
    texts = tree.with_suffix(".txt").items()
    folders = [folder for folder, files in texts if any(tree.once(text_kind, file) is kind for file in spread(files))]
    return in_families(folders, tree)


def in_families(paths: Sequence[Path], tree: Tree) -> list[list[Path]]:
    """Paths of a tree, those that differ by the split alone, or by folders below it, together."""
    families: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        families[split_of(path.relative_to(tree.root)).pattern].append(path)
    return list(families.values())


def _kind_of_blanks(fields: Sequence[str]) -> TextKind | None:
    numbers = list(map(is_number, fields))
    if len(fields) > DOTA_CORNERS and all(numbers[:DOTA_CORNERS]) and not numbers[DOTA_CORNERS]:
        return TextKind.DOTA
    of_film = len(fields) - KITTI_TRACKING in KITTI_FIELDS and all(numbers[:KITTI_TRACKING])
    typed = numbers[KITTI_TRACKING:] if of_film else numbers
    if len(typed) in KITTI_FIELDS and not typed[0] and all(typed[1:]):
        return TextKind.KITTI
    return TextKind.YOLO if _is_yolo(fields) else None


def _is_yolo(fields: Sequence[str]) -> bool:
    """Whether the fields of a line are a class and shares of a picture."""
    if len(fields) < YOLO_FIELDS or not fields[0].isascii() or not fields[0].removesuffix(".0").isdecimal():
        return False
    return all(is_number(field) and abs(parse_number(field)) <= 2 for field in fields[1:YOLO_FIELDS])


def _kind_of_commas(path: Path, fields: Sequence[str]) -> TextKind | None:
    if path.name == MOT_FILE and len(fields) in MOT_FIELDS:
        return TextKind.MOT
    last = [parse_number(field) for field in fields[-4:]]
    within = all(0 <= number <= most for number, most in zip(last, VISDRONE_LARGEST, strict=False))
    if within and len(fields) in (VISDRONE_FIELDS, VISDRONE_FILM):
        return TextKind.VISDRONE
    return TextKind.YOLO if len(fields) == YOLO_FIELDS and _is_yolo(fields) else None  # whose reader says what is wrong
