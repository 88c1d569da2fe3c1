"""Where a YOLO data set has its pictures, labels, splits and names."""

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from torch_retinanet.data.annotations import Problem
from torch_retinanet.data.class_names import YAML, read_class_names, read_yaml, yaml_names
from torch_retinanet.data.picture_folder import Found, PictureFolder, given_folder, is_there, pictures_in
from torch_retinanet.data.text import read_lines
from torch_retinanet.errors import InputError

SPLITS = "train", "val", "test"
"""The splits that a YAML names."""

NAMES = "classes.txt", "obj.names", "labels/classes.txt", "predefined_classes.txt"


class LabelledPicture(NamedTuple):
    """A picture, and the file of its labels."""

    found: Found
    labels: Path


class Layout:
    """The folder of a YOLO data set.

    Args:
        path: the folder, or the YAML in it.

    Raises:
        InputError: for a YAML that is not whole.
        OSError: for a folder that cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.root = path if path.is_dir() else path.parent
        self.yaml = path if path.is_file() else find_yaml(path)
        self.settings = read_yaml(self.yaml) if self.yaml else {}
        self.problems: list[Problem] = []
        self.splits = self._splits()

    def names(self) -> dict[int, str] | None:
        """The names of the classes by their numbers, if any file has them."""
        if self.yaml and "names" in self.settings:
            return yaml_names(self.yaml, self.settings)
        file = next((self.root / name for name in NAMES if (self.root / name).is_file()), None)
        return dict(enumerate(read_class_names(file))) if file else None

    def key_points(self) -> int | None:
        """How many numbers the key points of an object have, where the YAML says it."""
        shape = self.settings.get("kpt_shape")
        try:
            return math.prod(map(int, shape)) if isinstance(shape, list) and len(shape) == 2 else None
        except (TypeError, ValueError):
            return None

    def pairs(self, split: str | None, images: Path | None) -> list[LabelledPicture]:
        """The pictures of a split, or all, each once.

        Raises:
            InputError: for an unknown split.
        """
        if split is not None and split not in self.splits:
            raise InputError(f"split: {split!r} must be one of {', '.join(self.splits) or 'none'} in {self.root}")
        if images is not None:
            folder = given_folder(images / (split or "")).folder
            return list(self._in_folder(folder, self.root / "labels" / (split or "")))
        places = self.splits[split] if split else self._all()
        pairs = [pair for place in places for pair in self._at(place)]
        return list({pair.found.path or pair.found.what: pair for pair in pairs}.values())

    def _all(self) -> list[Path]:
        """Folders or lists of all pictures: of the splits that the YAML names, or the whole of `images`."""
        if (self.root / "images").is_dir() and not any(self.settings.get(name) for name in self.splits):
            return [self.root / "images"]
        return [place for places in self.splits.values() for place in places] or [self.root]

    def _splits(self) -> dict[str, list[Path]]:
        """Folders of pictures, or lists of them, by the names of the splits."""
        splits: dict[str, list[Path]] = {}
        for name in SPLITS:
            entries = self.settings.get(name) or []
            places = [self._place(entry) for entry in (entries if isinstance(entries, list) else [entries])]
            if places and None not in places:
                splits[name] = [place for place in places if place]
        taken = {place for places in splits.values() for place in places}
        for folder in [*_folders(self.root / "images"), *(f / "images" for f in _folders(self.root))]:
            name = folder.name if folder.name != "images" else folder.parent.name
            if folder not in taken and folder.is_dir():
                splits.setdefault(name, [folder])
        self._note_missing(splits)
        return splits

    def _note_missing(self, splits: dict[str, list[Path]]) -> None:
        for name in SPLITS:
            if self.yaml and self.settings.get(name) and name not in splits:
                entry = self.settings[name]  # of lists in lists YAML's aliases can make more than memory holds
                shown = repr(entry) if isinstance(entry, str) else f"a {type(entry).__name__}"
                what = f"split that leads nowhere in the folder: {name}: {shown}"
                self.problems.append(Problem(self.yaml, "", what, "the split is left out", data_loss=True))

    def _place(self, entry: Any) -> Path | None:
        """What an entry of the YAML names, where that is in the folder; `../` in front is not followed."""
        base = self.settings.get("path")
        if not isinstance(entry, str):
            return None
        for text in (f"{base if isinstance(base, str) else ''}/{entry}", entry):
            parts = PurePosixPath(text.replace("\\", "/")).parts
            while parts and parts[0] == "..":
                parts = parts[1:]
            inside = parts and not parts[0].startswith("/") and ".." not in parts and "\0" not in text
            if inside and is_there(place := self.root.joinpath(*parts), folders=True):
                return place
        return None

    def _at(self, place: Path) -> Iterator[LabelledPicture]:
        if place.is_dir():
            return self._in_folder(place, self._labels_of(place))
        return self._in_list(place)

    def _in_folder(self, place: Path, labels: Path) -> Iterator[LabelledPicture]:
        folder = PictureFolder(place)
        for path in _walk(place):
            relative = path.relative_to(place)
            yield LabelledPicture(folder.find(str(relative)), (labels / relative).with_suffix(".txt"))

    def _in_list(self, file: Path) -> Iterator[LabelledPicture]:
        folder = PictureFolder(file.parent)
        for line in read_lines(file, self.problems):
            found = folder.find(line.text)
            if found.path is None:
                lost = Problem(file, f"line {line.number}", found.what, "the picture is left out", data_loss=True)
                self.problems.append(lost)
            else:
                labels = self._labels_of(found.path.parent) / found.path.name
                yield LabelledPicture(found, labels.with_suffix(".txt"))

    def _labels_of(self, folder: Path) -> Path:
        """The folder of the labels: `labels` where the pictures are in `images`."""
        parts = list(folder.relative_to(self.root).parts)
        if "images" not in parts:
            return folder
        last = len(parts) - 1 - parts[::-1].index("images")
        return self.root.joinpath(*parts[:last], "labels", *parts[last + 1 :])


def is_yolo(folder: Path) -> bool:
    """Whether a folder is laid out as YOLO has it."""
    places = [folder, *_folders(folder)]
    apart = any((place / "images").is_dir() and (place / "labels").is_dir() for place in places)
    named = find_yaml(folder) is not None and any((place / "images").is_dir() for place in places)
    return apart or named or (any((folder / name).is_file() for name in NAMES) and bool(pictures_in(folder)))


def find_yaml(folder: Path) -> Path | None:
    """The YAML of a data set: `data.yaml`, or the only one."""
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in YAML)
    named = [path for path in found if path.stem == "data"]
    return named[0] if named else found[0] if len(found) == 1 else None


def _walk(folder: Path) -> Sequence[Path]:
    return [path for root, _, _ in sorted(os.walk(folder)) for path in pictures_in(Path(root))]


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
