"""The pictures that a command is given, one by one or in folders, and a name for each that no other has."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from torch_retinanet.data.picture_folder import SUFFIXES, is_picture
from torch_retinanet.errors import InputError


class Source(NamedTuple):
    """A picture, and its path within the folder that it was found in, or its name."""

    path: Path
    name: Path


def find_sources(given: Sequence[Path], *, output: Path) -> list[Source]:
    """Files as they are given, and of folders all pictures by their suffixes, those in folders within them too.

    Args:
        given: files and folders.
        output: the folder that pictures are written to. What it holds of an earlier time is no source.

    Raises:
        InputError: for a folder without a picture, and for a file that lies in `output`.
    """
    found = [_in_folder(path, output) if path.is_dir() else [_alone(path, output)] for path in given]
    return [source for sources in found for source in sources]


def distinct_names(names: Iterable[Path]) -> Iterator[Path]:
    """The names; one that was there already gets a number, as `photo-2.png`. Small and large letters are the same."""
    taken: set[str] = set()
    for name in names:
        number, distinct = 1, name
        while str(distinct).casefold() in taken:
            number += 1
            distinct = name.with_name(f"{name.stem}-{number}{name.suffix}")
        taken.add(str(distinct).casefold())
        yield distinct


def _in_folder(folder: Path, output: Path) -> list[Source]:
    paths = sorted(path for path in folder.rglob("*") if is_picture(path) and not path.is_dir())
    found = [Source(path, path.relative_to(folder)) for path in paths if not _lies_in(path, output)]
    found = [source for source in found if not any(part.startswith(".") for part in source.name.parts)]
    if not found:
        raise InputError(f"{folder}: must hold a picture, by its suffix one of {', '.join(SUFFIXES)}")
    return found


def _alone(path: Path, output: Path) -> Source:
    if _lies_in(path, output):
        raise InputError(f"--out: {path} lies in {output}, where pictures are written to")
    return Source(path, Path(path.name))


def _lies_in(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())
