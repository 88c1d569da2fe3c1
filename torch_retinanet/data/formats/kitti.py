"""KITTI's object labels (Geiger et al. 2012; readme.txt of its development kit): a text file a picture in `label_2`.

A line is type, truncated, occluded, alpha, then left, top, right and bottom edge in pixels from 0, then seven numbers
in three dimensions, which may be missing, and of detections a score. `DontCare` marks regions that are ignored.

Of tracking, a line begins with frame and track. `label_02/0000.txt` then has the frames of a film, which lie in
`image_02/0000`; a frame without a line has no objects.
"""

from pathlib import Path

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.box_layouts import BoxLayout
from torch_retinanet.data.formats.objects import Object
from torch_retinanet.data.formats.text_kind import KITTI_TRACKING, TextKind, folders_of_labels
from torch_retinanet.data.formats.text_labels import read_text_labels
from torch_retinanet.data.text import is_number, parse_number
from torch_retinanet.data.tree import Tree

PICTURES = {"label_2": "image_2", "label_02": "image_02"}
"""The folder of the pictures by that of the labels, of pictures and of tracking."""
FIELDS = 8, 15, 16
EDGES = slice(4, 8)
DONT_CARE = "DontCare"


def read_kitti(path: Path, *, images: Path | None = None, boxes: BoxLayout = "xyxy") -> Annotations:
    """The objects of a KITTI folder.

    Args:
        path: the folder with `label_2` and `image_2`, that with `training` in it, or the folder of the labels; of
            tracking `label_02` and `image_02`.
        images: the folder of the pictures; by default `image_2`, or wherever pictures of these names lie.
        boxes: what the four numbers of a box mean.

    Raises:
        OSError: for a folder that cannot be read.
    """
    labels = _labels(path)
    places = [labels.parent / PICTURES.get(labels.name, "image_2"), labels.parent]
    return read_text_labels(labels, places, images, _object, layout=boxes)


def _labels(path: Path) -> Path:
    """The folder of the labels: in this one, in `training` in it, or this one itself."""
    folders = (root / name for root in (path, path / "training") for name in PICTURES)
    return next((folder for folder in folders if folder.is_dir()), path)


def find_kitti(tree: Tree) -> list[list[Path]]:
    """The folders of labels in a tree."""
    families = folders_of_labels(tree, TextKind.KITTI)
    return [[folder.parent if folder.name in PICTURES else folder for folder in family] for family in families]


def _object(text: str) -> Object:
    fields = text.split()
    before, rest = fields[:KITTI_TRACKING], fields[KITTI_TRACKING:]
    if len(rest) in FIELDS and all(map(is_number, before)) and not is_number(rest[0]):
        fields = rest
    if len(fields) not in FIELDS:
        raise ValueError(f"fields that are not 15: {len(fields)}")
    left, top, right, bottom = map(parse_number, fields[EDGES])
    ignored = fields[0] == DONT_CARE
    return Object("" if ignored else fields[0], (left, top, right, bottom), ignored)
