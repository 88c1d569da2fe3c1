"""KITTI's object labels (Geiger et al. 2012; readme.txt of its development kit): a text file a picture in `label_2`.

A line is type, truncated, occluded, alpha, then left, top, right and bottom edge in pixels from 0, then seven numbers
in three dimensions, which may be missing, and of detections a score. `DontCare` marks regions that are ignored.

Of tracking, a line begins with frame and track. `label_02/0000.txt` then has the frames of a film, which lie in
`image_02/0000`; a frame without a line has no objects.
"""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.box_layouts import BoxLayout
from torch_retinanet.data.builder import NO_CLASS, AnnotationsBuilder
from torch_retinanet.data.formats.content import KITTI_TRACKING, is_kitti_labels
from torch_retinanet.data.formats.search import spread
from torch_retinanet.data.picture_folder import Found, PictureFolder, find_folder, pictures_in
from torch_retinanet.data.progress import track
from torch_retinanet.data.text import BadLine, Line, is_number, lines_of, parse_number
from torch_retinanet.data.tree import Tree, is_leftover
from torch_retinanet.errors import InputError

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
    builder = AnnotationsBuilder("line {}")
    files = sorted(file for file in labels.glob("*.txt") if not is_leftover(file.name))
    places = [labels.parent / PICTURES.get(labels.name, "image_2"), labels.parent]
    folder = find_folder([], places, images)
    for file in track(files, total=len(files), words="reading labels"):
        _add(file, folder, builder)
    _lose_unlabelled(files, folder, builder)
    return builder.annotations(layout=boxes)


def _labels(path: Path) -> Path:
    """The folder of the labels: in this one, in `training` in it, or this one itself."""
    folders = (root / name for root in (path, path / "training") for name in PICTURES)
    return next((folder for folder in folders if folder.is_dir()), path)


def find_kitti(tree: Tree) -> list[list[Path]]:
    """The folders of labels in a tree."""
    texts = tree.with_suffix(".txt")
    folders = [folder for folder, files in texts.items() if any(map(is_kitti_labels, spread(files)))]
    return [[folder.parent if folder.name in PICTURES else folder] for folder in folders]


def _add(file: Path, folder: PictureFolder, builder: AnnotationsBuilder) -> None:
    try:
        lines = list(lines_of(file))
    except (InputError, OSError) as error:
        builder.lose(file, None, str(error).removeprefix(f"{file}: "), "its picture is left out")
        return
    if frames := pictures_in(folder.folder / file.stem):
        _add_film(file, lines, frames, builder)
    else:
        _add_picture(_picture(file, folder), file, lines, builder)


def _add_film(file: Path, lines: Iterable[Line | BadLine], frames: Iterable[Path], builder: AnnotationsBuilder) -> None:
    pictures: dict[int, Path] = {int(path.stem): path for path in frames if path.stem.isdecimal()}
    of_frames: dict[int, list[Line]] = defaultdict(list)
    for line in lines:
        frame = line.text.split()[0] if isinstance(line, Line) else ""
        if isinstance(line, Line) and is_number(frame):
            of_frames[int(parse_number(frame))].append(line)
        else:
            why = line.why if isinstance(line, BadLine) else f"no number of a frame: {frame!r}"
            builder.lose(file, line.number, why, "the line is left out")
    for number in sorted(pictures.keys() | of_frames.keys()):
        path = pictures.get(number, file.with_name(f"{number:06d}.png"))
        _add_picture(Found(path), file, of_frames[number], builder)


def _add_picture(found: Found, file: Path, lines: Iterable[Line | BadLine], builder: AnnotationsBuilder) -> None:
    picture = builder.add_picture(found, file)
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
    before, rest = fields[:KITTI_TRACKING], fields[KITTI_TRACKING:]
    if len(rest) in FIELDS and all(map(is_number, before)) and not is_number(rest[0]):
        fields = rest
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
