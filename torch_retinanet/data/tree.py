"""What lies in a folder and in those within it, looked through to a limited depth and a limited number of files."""

import os
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

DEPTH = 12
"""Folders within one another that are looked into."""

MOST = 1_000_000
"""Files and folders after which the look ends."""

LEFTOVERS = ("__MACOSX", "Thumbs.db", "desktop.ini")
"""Files and folders that operating systems leave behind, beside those whose names begin with a dot."""


def is_leftover(name: str) -> bool:
    """Whether a file or folder is no part of a data set: `._a.jpg`, `.DS_Store`, `.ipynb_checkpoints`, `__MACOSX`."""
    return name.startswith(".") or name in LEFTOVERS


class Tree:
    """The files of a folder and of those within it, without leftovers; links are followed, circles are not.

    Attributes:
        root: the folder.
        whole: whether all of it could be looked through.
        missed: files that may be annotations, and that a search did not look into.
        pointers: of Git LFS, in place of files that may be annotations.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.whole, self.missed = root, True, 0
        self.pointers: list[Path] = []
        self._looks: dict[tuple[Callable[[Path], Any], Path], Any] = {}

    @cached_property
    def folders(self) -> dict[Path, list[Path]]:
        """The files of each folder in the order of their names; a folder stands before those within it."""
        found: dict[Path, list[Path]] = {}
        seen: set[tuple[int, int]] = set()
        waiting, count = [(self.root, 0)], 0
        while waiting:
            folder, depth = waiting.pop()
            within, files = _entries(folder, seen)
            count += len(within) + len(files)
            if count > MOST:
                self.whole = False
                break
            found[folder] = files
            if depth < DEPTH:
                waiting += [(path, depth + 1) for path in reversed(within)]
            elif within:
                self.whole = False
        return found

    @cached_property
    def by_suffix(self) -> dict[Path, dict[str, list[Path]]]:
        """The files of each folder by their suffixes in small letters."""
        found: dict[Path, dict[str, list[Path]]] = {}
        for folder, files in self.folders.items():
            found[folder] = {}
            for file in files:
                found[folder].setdefault(file.suffix.lower(), []).append(file)
        return found

    def with_suffix(self, *suffixes: str) -> dict[Path, list[Path]]:
        """The files of these suffixes in each folder that has any."""
        alike = {
            folder: [file for suffix in suffixes for file in files.get(suffix, ())]
            for folder, files in self.by_suffix.items()
        }
        return {folder: files for folder, files in alike.items() if files}

    def files(self) -> Iterator[Path]:
        """All files, folder by folder."""
        return (file for files in self.folders.values() for file in files)

    def once(self, look: Callable[[Path], T], file: Path) -> T:
        """What a look into a file says; it is looked into once."""
        if (look, file) not in self._looks:
            self._looks[look, file] = look(file)
        found: T = self._looks[look, file]
        return found

    def below(self, folder: Path) -> "Tree":
        """The part of it that lies in one of its folders."""
        part = Tree(folder)
        part.folders = {path: files for path, files in self.folders.items() if path.is_relative_to(folder)}
        return part


def _entries(folder: Path, seen: set[tuple[int, int]]) -> tuple[list[Path], list[Path]]:
    """The folders and the files in a folder; nothing where it was seen before, or cannot be read."""
    folders: list[Path] = []
    files: list[Path] = []
    try:
        status = folder.stat()
        if (status.st_dev, status.st_ino) in seen:
            return [], []
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if not is_leftover(entry.name):
                    (folders if entry.is_dir() else files).append(folder / entry.name)
    except OSError:
        pass
    return folders, files
