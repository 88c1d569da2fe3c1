"""Where the pictures of a data set lie, by the names that its annotations give them; never outside their folder."""

import os
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath
from typing import NamedTuple

from torch_retinanet.data.annotations import Problem
from torch_retinanet.errors import InputError

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".mpo", ".jp2", ".avif"),
    *(".ppm", ".pgm", ".pbm", ".pnm"),
)
"""How the names of pictures end, in small letters."""

LONGEST_NAME = 255
"""Letters that the name of a file may have."""

SAMPLE = 100
"""Names by which the folder is found."""


class Found(NamedTuple):
    """A picture that annotations name.

    Attributes:
        path: the file, which may be missing; `None` where the name must not be followed.
        what: what is wrong with the name, if anything.
    """

    path: Path | None
    what: str = ""


class PictureFolder:
    """A folder of pictures, with folders of its own. Names and links that lead out of it are not followed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._root = folder, folder.resolve()
        self._links: dict[Path, dict[str, bool]] = {}
        self._inside: dict[Path, bool] = {}
        self._bare: dict[str, str] = {}

    def find(self, name: str) -> Found:
        """The picture of a name, with slashes of either kind; of an absolute path its bare name, where it is here."""
        parts = PureWindowsPath(name)
        if not name.strip() or "\0" in name or max(map(len, parts.parts), default=0) > LONGEST_NAME:
            return Found(None, f"no file name: {name[:LONGEST_NAME]!r}")
        if name in self._entries(self.folder):
            relative = Path(name)
        elif parts.anchor:
            return self._by_bare_name(parts.name, name)
        else:
            relative = Path(*parts.parts)
        if self._leads_out(relative):
            return Found(None, f"path out of the folder of the pictures: {name!r}")
        return Found(self.folder / relative)

    def has(self, name: str) -> bool:
        """Whether the picture of a name is there."""
        path = self.find(name).path
        return path is not None and is_there(path)

    def with_stem(self, stem: str, within: Path | None = None) -> list[Path]:
        """The pictures of a name without suffix, in the folder or in one within."""
        folder = within or self.folder
        entries = self._entries(folder)
        names = [stem + variant for suffix in SUFFIXES for variant in (suffix, suffix.upper())]
        return [folder / name for name in names if name in entries and not self._leads_out_of(folder, name)]

    def _by_bare_name(self, bare: str, name: str) -> Found:
        if bare not in self._entries(self.folder) or self._leads_out(Path(bare)):
            return Found(None, f"absolute path: {name!r}")
        if self._bare.setdefault(bare, name) != name:
            return Found(None, f"absolute paths of one name: {name!r} and {self._bare[bare]!r}")
        return Found(self.folder / bare, f"absolute path: {name!r}, of which the bare name lies in the folder")

    def _leads_out(self, relative: Path) -> bool:
        return self._leads_out_of((self.folder / relative).parent, relative.name) or ".." in relative.parts

    def _leads_out_of(self, folder: Path, name: str) -> bool:
        if folder not in self._inside:
            self._inside[folder] = self._holds(folder)
        return not self._inside[folder] or (self._entries(folder).get(name, False) and not self._holds(folder / name))

    def _holds(self, path: Path) -> bool:
        try:
            return path.resolve().is_relative_to(self._root)
        except (OSError, RuntimeError, ValueError):  # a name too long, links in a circle
            return False

    def _entries(self, folder: Path) -> dict[str, bool]:
        """What lies in a folder, and whether it is a link."""
        if folder not in self._links:
            try:
                with os.scandir(folder) as entries:
                    self._links[folder] = {entry.name: entry.is_symlink() for entry in entries}
            except (OSError, ValueError):
                self._links[folder] = {}
        return self._links[folder]

    def unlisted(self, pictures: Sequence[Path], file: Path) -> list[Problem]:
        """One note on all pictures that lie beside those of `file`, and that it does not name."""
        named = set(pictures)
        folders = {picture.parent for picture in pictures}
        others = sorted(path for folder in folders for path in pictures_in(folder) if path not in named)
        if not others:
            return []
        what = f"pictures that no annotation names: {len(others)}, as {others[0].name!r}"
        return [Problem(file, "", what, "they are left out", data_loss=False)]


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder by their suffixes, in the order of their names."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    except OSError:
        return []


def find_folder(names: Sequence[str], candidates: Sequence[Path], images: Path | None) -> PictureFolder:
    """The folder `images`, or that of the candidates which has most of the names, the first of equals.

    Raises:
        InputError: where `images` is no folder.
    """
    if images is not None:
        return given_folder(images)
    sample = names[:: max(1, len(names) // SAMPLE)]
    folders = [PictureFolder(candidate) for candidate in candidates if candidate.is_dir()]
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
