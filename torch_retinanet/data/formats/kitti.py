"""KITTI's object labels (Geiger et al. 2012; readme.txt of its development kit): a text file a picture in `label_2`.

A line is type, truncated, occluded, alpha, then left, top, right and bottom edge in pixels from 0, then seven numbers
in three dimensions, and of detections a score. `DontCare` marks regions that are ignored.
"""

from collections.abc import Iterable
from pathlib import Path

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.builder import NO_CLASS, AnnotationsBuilder
from torch_retinanet.data.formats.content import is_kitti_labels
from torch_retinanet.data.formats.search import spread
from torch_retinanet.data.picture_folder import Found, PictureFolder, find_folder, pictures_in
from torch_retinanet.data.progress import track
from torch_retinanet.data.text import Line, parse_number, read_lines
from torch_retinanet.data.tree import Tree, is_leftover
from torch_retinanet.errors import InputError

LABELS, PICTURES = "label_2", "image_2"
FIELDS = 15, 16
EDGES = slice(4, 8)
DONT_CARE = "DontCare"


def read_kitti(path: Path, *, images: Path | None = None) -> Annotations:
    """The objects of a KITTI folder.

    Args:
        path: the folder with `label_2` and `image_2`, that with `training` in it, or the folder of the labels.
        images: the folder of the pictures; by default `image_2`, or wherever pictures of these names lie.

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
    return builder.annotations()


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
        lines = list(read_lines(file, builder.problems))
    except (InputError, OSError) as error:
        builder.lose(file, None, str(error).removeprefix(f"{file}: "), "its picture is left out")
        return
    picture = builder.add_picture(_picture(file, folder), file)
    for line in lines:
        _add_object(line, picture, file, builder)


def _picture(file: Path, folder: PictureFolder) -> Found:
    of_stem = folder.with_stem(file.stem) or folder.names.of_stem(file.stem, file.parent.parts)
    if len(of_stem) > 1:
        return Found(None, f"several pictures of one name: {', '.join(path.name for path in of_stem)}")
    return Found(of_stem[0] if of_stem else folder.folder / f"{file.stem}.png")


def _add_object(line: Line, picture: int, file: Path, builder: AnnotationsBuilder) -> None:
    fields = line.text.split()
    try:
        if len(fields) not in FIELDS:
            raise ValueError(f"fields that are not 15: {len(fields)}")
        left, top, right, bottom = map(parse_number, fields[EDGES])
    except ValueError as error:
        builder.lose(file, line.number, str(error), "the line is left out")
        return
    ignored = fields[0] == DONT_CARE
    label = NO_CLASS if ignored else builder.label(fields[0])
    builder.add_box(picture, (left, top, right, bottom), label, line.number, ignored=ignored)


def _lose_unlabelled(files: Iterable[Path], folder: PictureFolder, builder: AnnotationsBuilder) -> None:
    labelled = {file.stem for file in files}
    for picture in pictures_in(folder.folder):
        if picture.stem not in labelled:
            builder.lose(picture, None, f"picture without labels: {picture.stem}.txt", "the picture is left out")
