"""Where the pictures of a data set lie, by the names that its annotations give them; never outside their folder."""

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path, PureWindowsPath
from typing import NamedTuple

from torch_retinanet.data.picture_names import PictureNames
from torch_retinanet.data.tree import Tree, is_leftover
from torch_retinanet.errors import InputError

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".mpo", ".jp2", ".avif"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".heic", ".heif"),
)
"""How the names of pictures end, in small letters."""

LONGEST_NAME = 255
"""Letters that the name of a file may have."""

SAMPLE = 100
"""Names by which the folder is found."""

OF_ANNOTATIONS = re.compile("annot|label|xml|json|txt")
"""What the name of a folder has, in small letters, that is one of annotations."""

SHOWN = 3
"""Pictures of one name that a message lists."""


class Found(NamedTuple):
    """A picture that annotations name.

    Attributes:
        path: the file, which may be missing; `None` where the name must not be followed.
        what: what is wrong with the name, if anything.
    """

    path: Path | None
    what: str = ""


class PictureFolder:
    """A folder of pictures, with folders of its own. Names do not lead out of it; links that lie in it are followed.

    Args:
        folder: the folder that names begin in.
        around: where pictures are looked for by their bare names, beside the folder itself.
    """

    def __init__(self, folder: Path, around: Path | None = None) -> None:
        self.folder, self._around = folder, around
        self._files: dict[Path, set[str]] = {}
        self._bare: dict[Path, str] = {}
        self._exact: set[Path] = set()

    def find(self, name: str) -> Found:
        """The picture of a name, with slashes of either kind; where none lies there, the only one of its bare name."""
        if not name.strip() or "\0" in name:
            return Found(None, f"no file name: {name[:LONGEST_NAME]!r}")
        parts = PureWindowsPath(name)
        relative = Path(name) if name in self._entries(self.folder) else Path(*parts.parts)
        inside = not parts.anchor and ".." not in parts.parts
        if inside and self._lies(relative):
            self._exact.add(self.folder / relative)
            return Found(self.folder / relative)
        if found := self._by_bare_name(name):
            return found
        if max(map(len, parts.parts), default=0) > LONGEST_NAME:
            return Found(None, f"no file name: {name[:LONGEST_NAME]!r}")
        if not inside:
            where = "absolute path" if parts.anchor else "path out of the folder of the pictures"
            return Found(None, f"{where}: {name!r}")
        return Found(self.folder / relative)

    def has(self, name: str) -> bool:
        """Whether the picture of a name is there, at its place."""
        parts = PureWindowsPath(name)
        if not name.strip() or "\0" in name or parts.anchor or ".." in parts.parts:
            return False
        return name in self._entries(self.folder) or self._lies(Path(*parts.parts))

    def with_stem(self, stem: str, within: Path | None = None) -> list[Path]:
        """The pictures of a name without suffix, in the folder or in one within."""
        folder = within or self.folder
        entries = self._entries(folder)
        names = [stem + variant for suffix in SUFFIXES for variant in (suffix, suffix.upper())]
        return [folder / name for name in names if name in entries]

    @cached_property
    def names(self) -> PictureNames:
        """All pictures of the folder and around it, or else beside a folder of annotations that it lies in."""
        places = [self.folder] if self._around is None else [self.folder, self._around]
        pictures = [path for place in places for path in pictures_below(place)]
        if not pictures and self._around is not None and (above := above_annotations(self._around)):
            pictures = pictures_below(above)
        return PictureNames(pictures)

    def _by_bare_name(self, name: str) -> Found | None:
        fitting = self.names.fitting(name)
        if not fitting:
            return None
        if len(fitting) > 1:
            shown = ", ".join(self._seen(path) for path in fitting[:SHOWN])
            return Found(None, f"several pictures of one name: {name!r} may be {shown}")
        if (other := self._bare.setdefault(fitting[0], name)) != name:
            return Found(None, f"two names of one picture: {name!r} and {other!r}")
        if fitting[0] in self._exact:
            return Found(None, f"two names of one picture: {name!r} and its own, {self._seen(fitting[0])}")
        return Found(fitting[0], f"picture found by its bare name: {name!r} is {self._seen(fitting[0])}")

    def _seen(self, path: Path) -> str:
        return repr(str(path.relative_to(self.folder) if path.is_relative_to(self.folder) else path))

    def _lies(self, relative: Path) -> bool:
        path = self.folder / relative
        return path.name in self._entries(path.parent)

    def _entries(self, folder: Path) -> set[str]:
        if folder not in self._files:
            try:
                self._files[folder] = {path.name for path in folder.iterdir()}
            except (OSError, ValueError):
                self._files[folder] = set()
        return self._files[folder]

    def unlisted(self, pictures: Sequence[Path]) -> list[Path]:
        """The pictures that lie beside those of a file, and that it does not name."""
        named = set(pictures)
        folders = {picture.parent for picture in pictures}
        return sorted(path for folder in folders for path in pictures_in(folder) if path not in named)


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder by their suffixes, in the order of their names."""
    try:
        return sorted(path for path in folder.iterdir() if is_picture(path))
    except OSError:
        return []


def above_annotations(folder: Path) -> Path | None:
    """The folder that holds this one, or the one above it, where that is called as one of annotations."""
    whole = folder.absolute()
    named = (one for one in (whole, whole.parent) if OF_ANNOTATIONS.search(one.name.lower()))
    return next((one.parent for one in named), None)


def pictures_below(folder: Path) -> list[Path]:
    """The pictures of a folder and of those within it."""
    return [path for path in Tree(folder).files() if is_picture(path)]


def is_picture(path: Path) -> bool:
    """Whether the name of a file is that of a picture, and of none that an operating system left behind."""
    return path.suffix.lower() in SUFFIXES and not is_leftover(path.name)


def find_folder(names: Sequence[str], candidates: Sequence[Path], images: Path | None) -> PictureFolder:
    """The folder `images`, or that of the candidates which has most of the names, the first of equals.

    Raises:
        InputError: where `images` is no folder.
    """
    if images is not None:
        return given_folder(images)
    sample = names[:: max(1, len(names) // SAMPLE)]
    there = [candidate for candidate in candidates if candidate.is_dir()]
    folders = [PictureFolder(candidate, there[0]) for candidate in there]
    return max(folders, key=lambda folder: sum(folder.has(name) for name in sample))


def given_folder(images: Path) -> PictureFolder:
    """The folder that the caller names.

    Raises:
        InputError: where it is none.
    """
    if not images.is_dir():
        raise InputError(f"images: {images} must be a folder")
    return PictureFolder(images)


def beside(file: Path) -> list[Path]:
    """Where the pictures of one file of annotations lie by custom: beside it, in `images` or a folder of its name, or
    one level up."""
    names = ("", "images", file.stem, file.stem.rpartition("_")[2])
    return [folder / name for folder in (file.parent, file.parent.parent) for name in names]


def is_there(path: Path, *, folders: bool = False) -> bool:
    """Whether there is a file, or a folder if they count too; not where a name is none that the file system knows."""
    try:
        return path.is_file() or (folders and path.is_dir())
    except (OSError, ValueError):
        return False
