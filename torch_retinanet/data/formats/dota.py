"""DOTA's labels (https://captain-whu.github.io/DOTA/dataset.html): a text a picture, in `labelTxt` beside `images`.

A line has the four corners of an object in pixels from 0, its class, and whether it is difficult. The box around the
corners is the object's. Lines in front may say the source of the picture and the size of a pixel on the ground.
Roboflow writes the same for oriented boxes.
"""

from pathlib import Path

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.formats.objects import Object
from torch_retinanet.data.formats.shapes import bounding_box
from torch_retinanet.data.formats.text_kind import DOTA_CORNERS, DOTA_HEADER, TextKind, folders_of_labels
from torch_retinanet.data.formats.text_labels import read_text_labels
from torch_retinanet.data.text import is_number, parse_number
from torch_retinanet.data.tree import Tree


def read_dota(path: Path, *, images: Path | None = None) -> Annotations:
    """The objects of a folder of DOTA's labels; difficult ones are ignored.

    Args:
        path: the folder of the labels.
        images: the folder of the pictures; by default `images` beside `path`, or wherever pictures of these names lie.

    Raises:
        OSError: for a folder that cannot be read.
    """
    return read_text_labels(path, [path.parent / "images", path.parent], images, _object)


def find_dota(tree: Tree) -> list[list[Path]]:
    """The folders of labels in a tree."""
    return folders_of_labels(tree, TextKind.DOTA)


def _object(text: str) -> Object | None:
    if DOTA_HEADER.match(text):
        return None
    fields = text.split()
    numbers = [parse_number(field) for field in fields[:DOTA_CORNERS]]
    words = fields[DOTA_CORNERS:]
    difficult = parse_number(words.pop()) != 0 if len(words) > 1 and is_number(words[-1]) else False
    if not words:
        raise ValueError(f"fields that are not 10: {len(fields)}")
    return Object(" ".join(words), bounding_box(list(zip(numbers[::2], numbers[1::2], strict=True))), difficult)
