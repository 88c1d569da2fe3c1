"""VisDrone's annotations (https://github.com/VisDrone/VisDrone2018-DET-toolkit): a text a picture in `annotations`.

A line is left and upper edge, width and height in pixels from 0, score, category, truncation and occlusion. What has
the score 0 or the category 0 is ignored. In films the frame and the track stand before; the frames of
`annotations/a.txt` lie in `sequences/a`.
"""

from pathlib import Path

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.box_layouts import BoxLayout
from torch_retinanet.data.formats.objects import Object
from torch_retinanet.data.formats.text_kind import VISDRONE_FIELDS, VISDRONE_FILM, TextKind, folders_of_labels
from torch_retinanet.data.formats.text_labels import read_text_labels
from torch_retinanet.data.text import parse_number, parse_whole
from torch_retinanet.data.tree import Tree

CLASSES = (
    *("", "pedestrian", "people", "bicycle", "car", "van", "truck", "tricycle", "awning-tricycle", "bus", "motor"),
    "others",
)
"""The names of the categories; 0 are ignored regions."""

PICTURES = "images", "sequences"


def read_visdrone(path: Path, *, images: Path | None = None, boxes: BoxLayout = "xywh") -> Annotations:
    """The objects of a folder of VisDrone's annotations.

    Args:
        path: the folder of the texts.
        images: the folder of the pictures; by default `images` or `sequences` beside `path`, or wherever pictures of
            these names lie.
        boxes: what the four numbers of a box mean.

    Raises:
        OSError: for a folder that cannot be read.
    """
    places = [*(path.parent / name for name in PICTURES), path.parent]
    return read_text_labels(path, places, images, _object, layout=boxes)


def find_visdrone(tree: Tree) -> list[list[Path]]:
    """The folders of annotations in a tree."""
    return folders_of_labels(tree, TextKind.VISDRONE)


def _object(text: str) -> Object:
    fields = [field.strip() for field in text.rstrip(", ").split(",")]
    if len(fields) not in (VISDRONE_FIELDS, VISDRONE_FILM):
        raise ValueError(f"fields that are not 8: {len(fields)}")
    left, top, width, height, score = map(parse_number, fields[-VISDRONE_FIELDS:-3])
    category = parse_whole(fields[-3])
    ignored = score == 0 or category == 0
    known = 0 < category < len(CLASSES) and not ignored
    return Object(CLASSES[category] if known else "", (left, top, width, height), ignored)
