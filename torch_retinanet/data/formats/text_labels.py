"""A folder of texts, each of a picture or a film, with an object a line, as KITTI, DOTA and VisDrone have it."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.box_layouts import BoxLayout
from torch_retinanet.data.builder import NO_CLASS, AnnotationsBuilder
from torch_retinanet.data.formats.objects import Object
from torch_retinanet.data.picture_folder import Found, PictureFolder, find_folder, pictures_in
from torch_retinanet.data.progress import track
from torch_retinanet.data.text import BadLine, Line, is_number, lines_of, parse_number
from torch_retinanet.data.tree import is_leftover
from torch_retinanet.errors import InputError

Read = Callable[[str], Object | None]
"""The object in a line, `None` where the line says none; a `ValueError` in a few words for what cannot be read."""

FRAME = re.compile(r"[^\s,]+")
"""The number of a frame, at the beginning of a line."""


def read_text_labels(
    labels: Path, places: Sequence[Path], images: Path | None, read: Read, *, layout: BoxLayout = "xyxy"
) -> Annotations:
    """The objects of a folder of texts.

    A text is of the picture of its name, or of the film whose frames lie in a folder of its name.

    Args:
        labels: the folder of the texts.
        places: where the pictures lie by custom; the first that is there is taken.
        images: the folder of the pictures, where the caller names it.
        read: what reads a line.
        layout: of the boxes that it gives.

    Raises:
        OSError: for a folder that cannot be read.
    """
    builder = AnnotationsBuilder("line {}")
    files = sorted(file for file in labels.glob("*.txt") if not is_leftover(file.name))
    folder = find_folder([], places, images)
    for file in track(files, total=len(files), words="reading labels"):
        _add(file, folder, read, builder)
    _lose_unlabelled(files, folder, builder)
    return builder.annotations(layout=layout)


def add_film(
    file: Path, lines: Iterable[Line | BadLine], frames: Iterable[Path], read: Read, builder: AnnotationsBuilder
) -> None:
    """Take the frames of a film, whose lines begin with the number of the frame; one without a line has no objects."""
    pictures = {int(path.stem): path for path in frames if path.stem.isdecimal()}
    of_frames: dict[int, list[Line]] = defaultdict(list)
    for line in lines:
        frame = FRAME.match(line.text)
        if isinstance(line, Line) and frame and is_number(frame[0]) and parse_number(frame[0]).is_integer():
            of_frames[int(parse_number(frame[0]))].append(line)
        else:
            why = line.why if isinstance(line, BadLine) else f"no number of a frame: {frame[0] if frame else ''!r}"
            builder.lose(file, line.number, why, "the line is left out")
    for number in sorted(pictures.keys() | of_frames.keys()):
        path = pictures.get(number, file.with_name(f"{number:06d}.png"))
        add_objects(Found(path), file, of_frames[number], read, builder)


def add_objects(
    found: Found, file: Path, lines: Iterable[Line | BadLine], read: Read, builder: AnnotationsBuilder
) -> None:
    """Take a picture with the objects in its lines."""
    picture = builder.add_picture(found, file)
    for line in lines:
        try:
            one = _readable(line, read)
        except ValueError as error:
            builder.lose_object(picture, line.number, str(error))
            continue
        if one is None:
            continue
        if one.name or one.ignored:
            label = builder.label(one.name) if one.name else NO_CLASS
            builder.add_box(picture, one.box, label, line.number, ignored=one.ignored)
        else:
            builder.lose_object(picture, line.number, "object without class", one.box)


def _readable(line: Line | BadLine, read: Read) -> Object | None:
    if isinstance(line, BadLine):
        raise ValueError(line.why)
    return read(line.text)


def _add(file: Path, folder: PictureFolder, read: Read, builder: AnnotationsBuilder) -> None:
    try:
        lines = list(lines_of(file))
    except (InputError, OSError) as error:
        builder.lose(file, None, str(error).removeprefix(f"{file}: "), "its picture is left out")
        return
    if frames := pictures_in(folder.folder / file.stem):
        add_film(file, lines, frames, read, builder)
    else:
        add_objects(_picture(file, folder), file, lines, read, builder)


def _picture(file: Path, folder: PictureFolder) -> Found:
    of_stem = folder.with_stem(file.stem) or folder.names.of_stem(file.stem, file.parent.parts)
    if len(of_stem) > 1:
        return Found(None, f"several pictures of one name: {', '.join(path.name for path in of_stem)}")
    return Found(of_stem[0] if of_stem else folder.folder / f"{file.stem}.png")


def _lose_unlabelled(files: Iterable[Path], folder: PictureFolder, builder: AnnotationsBuilder) -> None:
    labelled = {file.stem for file in files}
    for picture in pictures_in(folder.folder):
        if picture.stem not in labelled:
            builder.lose(picture, None, f"picture without labels: {picture.stem}.txt", "the picture is left out")
