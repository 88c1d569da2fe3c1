"""KITTI's object labels (Geiger et al. 2012; readme.txt of its development kit): a text file a picture in `label_2`.

A line is type, truncated, occluded, alpha, then left, top, right and bottom edge in pixels from 0, then seven numbers
in three dimensions, which may be missing, and of detections a score. Of tracking, frame and track come first.
`DontCare` marks regions that are ignored.
"""

from collections.abc import Iterable
from pathlib import Path

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.box_layouts import BoxLayout
from torch_retinanet.data.builder import NO_CLASS, AnnotationsBuilder
from torch_retinanet.data.formats.content import is_kitti_labels
from torch_retinanet.data.formats.search import spread
from torch_retinanet.data.picture_folder import Found, PictureFolder, find_folder, pictures_in
from torch_retinanet.data.progress import track
from torch_retinanet.data.text import BadLine, Line, is_number, lines_of, parse_number
from torch_retinanet.data.tree import Tree, is_leftover
from torch_retinanet.errors import InputError

LABELS, PICTURES = "label_2", "image_2"
FIELDS = 8, 15, 16
TRACKING = 2
"""Fields before the type in the labels of KITTI's tracking."""
EDGES = slice(4, 8)
DONT_CARE = "DontCare"


def read_kitti(path: Path, *, images: Path | None = None, boxes: BoxLayout = "xyxy") -> Annotations:
    """The objects of a KITTI folder.

    Args:
        path: the folder with `label_2` and `image_2`, that with `training` in it, or the folder of the labels.
        images: the folder of the pictures; by default `image_2`, or wherever pictures of these names lie.
        boxes: what the four numbers of a box mean.

    Raises:
        OSError: for a folder that cannot be read.
    """
    root = kitti_root(path) or path.parent
    labels = root / LABELS if (root / LABELS).is_dir() else path
    builder = AnnotationsBuilder("line {}")
    files = sorted(file for file in labels.glob("*.txt") if not is_leftover(file.name))
    folder = find_folder([], [root / PICTURES, root], images)
    for file in track(files, total=len(files), words="reading labels"):
        _add(file, folder, builder)
    _lose_unlabelled(files, folder, builder)
    return builder.annotations(layout=boxes)


def kitti_root(path: Path) -> Path | None:
    """The folder that has `label_2`: this one, or `training` in it."""
    return next((root for root in (path, path / "training") if (root / LABELS).is_dir()), None)


def find_kitti(tree: Tree) -> list[list[Path]]:
    """The folders of labels in a tree."""
    texts = tree.with_suffix(".txt")
    folders = [folder for folder, files in texts.items() if any(map(is_kitti_labels, spread(files)))]
    return [[folder.parent if folder.name == LABELS else folder] for folder in folders]


def _add(file: Path, folder: PictureFolder, builder: AnnotationsBuilder) -> None:
    try:
        lines = list(lines_of(file))
    except (InputError, OSError) as error:
        builder.lose(file, None, str(error).removeprefix(f"{file}: "), "its picture is left out")
        return
    picture = builder.add_picture(_picture(file, folder), file)
    for line in lines:
        if isinstance(line, BadLine):
            builder.lose_object(picture, line.number, line.why)
        else:
            _add_object(line, picture, builder)


def _picture(file: Path, folder: PictureFolder) -> Found:
    of_stem = folder.with_stem(file.stem) or folder.names.of_stem(file.stem, file.parent.parts)
    if len(of_stem) > 1:
        return Found(None, f"several pictures of one name: {', '.join(path.name for path in of_stem)}")
    return Found(of_stem[0] if of_stem else folder.folder / f"{file.stem}.png")


def _add_object(line: Line, picture: int, builder: AnnotationsBuilder) -> None:
    fields = line.text.split()
    if len(fields) - TRACKING in FIELDS and all(map(is_number, fields[:TRACKING])) and not is_number(fields[TRACKING]):
        fields = fields[TRACKING:]
    try:
        if len(fields) not in FIELDS:
            raise ValueError(f"fields that are not 15: {len(fields)}")
        left, top, right, bottom = map(parse_number, fields[EDGES])
    except ValueError as error:
        builder.lose_object(picture, line.number, str(error))
        return
    ignored = fields[0] == DONT_CARE
    label = NO_CLASS if ignored else builder.label(fields[0])
    builder.add_box(picture, (left, top, right, bottom), label, line.number, ignored=ignored)


def _lose_unlabelled(files: Iterable[Path], folder: PictureFolder, builder: AnnotationsBuilder) -> None:
    labelled = {file.stem for file in files}
    for picture in pictures_in(folder.folder):
        if picture.stem not in labelled:
            builder.lose(picture, None, f"picture without labels: {picture.stem}.txt", "the picture is left out")
