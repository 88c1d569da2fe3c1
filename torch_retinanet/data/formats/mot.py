"""MOTChallenge's ground truth (https://motchallenge.net/instructions; Milan et al. 2016): `gt/gt.txt` of a film.

A line is frame, track, left and upper edge, width and height in pixels from 1, whether it counts, class and
visibility; that of 2015 has -1 for all behind the fifth number of the box. What does not count is ignored. The frames
lie in `img1`. Where `labels.txt` lies beside, as CVAT writes it, it names the classes, and pixels count from 0.
"""

from functools import partial
from pathlib import Path
from typing import NamedTuple

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.builder import AnnotationsBuilder
from torch_retinanet.data.class_names import read_class_names
from torch_retinanet.data.formats.objects import Object
from torch_retinanet.data.formats.text_kind import MOT_FIELDS, TextKind, in_families, text_kind
from torch_retinanet.data.formats.text_labels import add_film
from torch_retinanet.data.picture_folder import given_folder, pictures_in
from torch_retinanet.data.text import lines_of, parse_number, parse_whole
from torch_retinanet.data.tree import Tree

CLASSES = (
    *("pedestrian", "person on vehicle", "car", "bicycle", "motorbike", "non motorized vehicle", "static person"),
    *("distractor", "occluder", "occluder on the ground", "occluder full", "reflection", "crowd"),
)
"""The names of the classes, from 1 on."""

FRAMES, NAMES = "img1", "labels.txt"

CLASS = 7
"""Where the class of a line stands."""


class _FilmNumbers(NamedTuple):
    """What the numbers of a film mean: the names of classes, and the number of the first pixel."""

    classes: tuple[str, ...]
    first_pixel: int


def read_mot(path: Path, *, images: Path | None = None) -> Annotations:
    """The objects of a film, frame by frame.

    Args:
        path: the file `gt.txt`.
        images: the folder of the frames; by default `img1` beside the folder of `path`.

    Raises:
        InputError: for a `labels.txt` that names no classes.
        OSError: for a file that cannot be read.
    """
    builder = AnnotationsBuilder("line {}")
    named = path.with_name(NAMES)
    film = _FilmNumbers(tuple(read_class_names(named)), 0) if named.is_file() else _FilmNumbers(CLASSES, 1)
    folder = path.parent.parent / FRAMES if images is None else given_folder(images).folder
    own = folder / path.parent.parent.name / FRAMES
    frames = pictures_in(own if own.is_dir() else folder)
    add_film(path, lines_of(path), frames, partial(_object, film=film), builder)
    return builder.annotations()


def find_mot(tree: Tree) -> list[list[Path]]:
    """The films in a tree."""
    texts = (file for files in tree.with_suffix(".txt").values() for file in files if is_mot(file))
    return in_families(list(texts), tree)


def is_mot(path: Path) -> bool:
    """Whether a file holds the boxes of a film."""
    return path.name == "gt.txt" and text_kind(path) is TextKind.MOT


def _object(text: str, film: _FilmNumbers) -> Object:
    fields = [field.strip() for field in text.rstrip(", ").split(",")]
    if len(fields) not in MOT_FIELDS:
        raise ValueError(f"fields that are not 9: {len(fields)}")
    left, top, width, height, counts = map(parse_number, fields[2:7])
    left, top = left - film.first_pixel, top - film.first_pixel
    number = parse_whole(fields[CLASS]) if len(fields) > CLASS else -1
    name = film.classes[number - 1] if 0 < number <= len(film.classes) else f"{number}"
    name = film.classes[0] if number == -1 else name
    return Object("" if counts == 0 else name, (left, top, left + width, top + height), counts == 0)
