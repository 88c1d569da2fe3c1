"""What the file of a YOLO data set says: Ultralytics' YAML or Darknet's `obj.data`, and where its paths lead."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from torch_retinanet.data.class_names import YAML, read_yaml
from torch_retinanet.data.formats.splits import KNOWN_SPLITS, split_of
from torch_retinanet.data.picture_folder import is_there
from torch_retinanet.data.text import read_lines
from torch_retinanet.errors import InputError

DARKNET = (".data",)
SETTINGS = (*YAML, *DARKNET)
"""Suffixes of files with settings."""

LARGEST = 1_000_000
"""Bytes up to which a file may be one of settings."""


def read_settings(path: Path) -> dict[Any, Any]:
    """The settings of a YAML, or the lines `name = value` of Darknet's file.

    Raises:
        InputError: for a YAML that is not whole.
        OSError: for a file that cannot be read.
    """
    if path.suffix.lower() not in DARKNET:
        return read_yaml(path)
    pairs = [line.text.partition("=") for line in read_lines(path, [])]
    return {name.strip(): value.strip() for name, _, value in pairs if value}


def is_settings(path: Path) -> bool:
    """Whether a file names splits that are there."""
    try:
        if path.suffix.lower() not in SETTINGS or path.stat().st_size > LARGEST:
            return False
        settings = read_settings(path)
    except (InputError, OSError):
        return False
    return any(resolve(path, settings, entry) for _, entries in split_entries(settings) for entry in entries)


def split_entries(settings: dict[Any, Any]) -> Iterator[tuple[str, list[Any]]]:
    """The splits that settings name, each with its folders, lists or pictures."""
    for name in KNOWN_SPLITS:
        if entries := settings.get(name):
            yield name, entries if isinstance(entries, list) else [entries]


def resolve(file: Path, settings: dict[Any, Any], entry: Any) -> Path | None:
    """What an entry names, where that is there.

    It begins in the folder that `path` names, else in that of the file. Of a path that leads nowhere, as one of another
    machine, the last parts are tried from the file's folder on, as long as they name the same split.
    """
    if not isinstance(entry, str) or "\0" in entry:
        return None
    given = PurePosixPath(entry.replace("\\", "/"))
    for base in bases(file, settings):
        if is_there(base / given, folders=True):
            return base / given
    of_split = [file.parent / end for end in _ends(given) if split_of(end).split == split_of(given).split]
    return next((place for place in of_split if is_there(place, folders=True)), None)


def bases(file: Path, settings: dict[Any, Any]) -> list[Path]:
    """The folders in which the paths of a file of settings may begin; of a `path` that leads nowhere the last parts."""
    said = settings.get("path")
    if not isinstance(said, str) or "\0" in said:
        return [file.parent]
    place = PurePosixPath(said.replace("\\", "/"))
    ends = [file.parent / end for end in _ends(place)]
    places = file.parent / place, Path(place), file.parent, *ends
    return [base for base in places if is_there(base, folders=True)]


def _ends(path: PurePosixPath) -> list[PurePosixPath]:
    """The last parts of a path, the longest first."""
    parts = [part for part in path.parts if part not in ("..", "/")]
    return [PurePosixPath(*parts[first:]) for first in range(len(parts))]
