"""Where a YOLO data set has its pictures, labels, splits and names."""

import math
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from torch_retinanet.data.annotations import Problem
from torch_retinanet.data.class_names import read_class_names, yaml_names
from torch_retinanet.data.formats.search import spread
from torch_retinanet.data.formats.splits import KNOWN_SPLITS, split_of
from torch_retinanet.data.formats.text_kind import TextKind, text_kind
from torch_retinanet.data.formats.yolo_settings import (
    DARKNET,
    SETTINGS,
    bases,
    is_settings,
    read_settings,
    resolve,
    split_entries,
)
from torch_retinanet.data.picture_folder import SUFFIXES, Found, PictureFolder, given_folder, is_picture, is_there
from torch_retinanet.data.picture_names import PictureNames
from torch_retinanet.data.text import read_lines
from torch_retinanet.data.tree import Tree, is_leftover
from torch_retinanet.errors import InputError

NAMES = "classes.txt", "obj.names", "labels/classes.txt", "predefined_classes.txt", "_darknet.labels"
"""Files of the names of classes, in the folder itself or anywhere below, as any file with the suffix `NAMED_AS` is."""

NAMED_AS = ".names"

PICTURE_FOLDERS = "images", "jpegimages"
"""Folders of pictures whose labels lie in `labels`, in small letters."""

SETTINGS_IN_A_FOLDER = 20
"""Files of one folder that are looked into for settings."""


class LabelledPicture(NamedTuple):
    """A picture, and the file of its labels."""

    found: Found
    labels: Path


class Layout:
    """The folder of a YOLO data set.

    Args:
        path: the folder, or the YAML or Darknet's `.data` that describes it.

    Raises:
        InputError: for a YAML that is not whole.
        OSError: for a folder that cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.file = path if path.is_file() else find_settings(path)
        self.settings = read_settings(self.file) if self.file else {}
        self.root = bases(self.file, self.settings)[0] if self.file else path
        self.problems: list[Problem] = []
        self._tree = Tree(self.root)
        self.splits = self._said() or self._listed() or self._by_folders()

    @cached_property
    def _texts(self) -> PictureNames:
        return PictureNames(file for files in self._tree.with_suffix(".txt").values() for file in files)

    def names(self) -> dict[int, str] | None:
        """The names of the classes by their numbers, if any file has them."""
        if self.file and self.file.suffix.lower() in DARKNET:
            named = resolve(self.file, {}, self.settings.get("names"))
            if named and named.resolve().is_relative_to(self.file.parent.resolve()):  # names do not lead out of it
                return dict(enumerate(read_class_names(named)))
        if self.file and "names" in self.settings:
            return yaml_names(self.file, self.settings)
        file = next((self.root / name for name in NAMES if (self.root / name).is_file()), None)
        file = file or next((one for one in self._tree.files() if one.name in NAMES or one.suffix == NAMED_AS), None)
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
            place = images / (split or "")
            return list(self._in_folder(place if place.is_dir() else given_folder(images).folder))
        places = self.splits[split] if split else self._all()
        pairs = [pair for place in places for pair in self._at(place)]
        return list({pair.found.path or pair.found.what: pair for pair in pairs}.values())

    def _all(self) -> list[Path]:
        """Folders or lists of all pictures: of the splits that a file names, or the whole folder."""
        if self.file and any(split_entries(self.settings)):
            return [place for places in self.splits.values() for place in places]
        return [self.root]

    def _said(self) -> dict[str, list[Path]]:
        """Folders of pictures, or lists of them, by the splits that the settings name."""
        splits: dict[str, list[Path]] = {}
        for name, entries in split_entries(self.settings) if self.file else ():
            places = [self.file and resolve(self.file, self.settings, entry) for entry in entries]
            there = [place for place in places if place] or self._by_folders().get(name, [])
            if there:
                splits[name] = there
            if len(there) < len(entries):
                self._note_missing(name, entries[places.index(None)])
        return splits

    def _listed(self) -> dict[str, list[Path]]:
        """Lists of pictures called as a split, as `train.txt`, that lie in the folder itself."""
        texts = self._tree.by_suffix.get(self.root, {}).get(".txt", ())
        lists = {split: [file] for file in texts if (split := file.stem.lower()) in KNOWN_SPLITS and _is_list(file)}
        return lists if len(lists) > 1 else {}

    def _by_folders(self) -> dict[str, list[Path]]:
        """The folders that have pictures and are called as a split, by its name."""
        splits: dict[str, list[Path]] = defaultdict(list)
        for folder, files in self._tree.folders.items():
            name = split_of(folder.relative_to(self.root) / "a").split
            inside = any(folder.is_relative_to(place) for place in splits[name]) if name in splits else False
            if name and not inside and any(map(is_picture, files)):
                splits[name].append(folder)
        return dict(splits)

    def _note_missing(self, name: str, entry: object) -> None:
        # of lists in lists YAML's aliases can make more than memory holds
        shown = repr(entry) if isinstance(entry, str) else f"a {type(entry).__name__}"
        what = f"split that leads nowhere: {name}: {shown}"
        self.problems.append(Problem(self.file or self.root, "", what, "it is left out", data_loss=True))

    def _at(self, place: Path) -> Iterator[LabelledPicture]:
        if place.is_dir():
            return self._in_folder(place)
        if is_picture(place):
            return iter([self._pair(Found(place))])
        return self._in_list(place)

    def _in_folder(self, place: Path) -> Iterator[LabelledPicture]:
        tree = self._tree.below(place) if place in self._tree.folders else Tree(place)
        return (self._pair(Found(path)) for path in tree.files() if is_picture(path))

    def _in_list(self, file: Path) -> Iterator[LabelledPicture]:
        folder = PictureFolder(file.parent, self.root)
        for line in read_lines(file, self.problems):
            found = folder.find(line.text)
            if found.path is None:
                lost = Problem(file, f"line {line.number}", found.what, "the picture is left out", data_loss=True)
                self.problems.append(lost)
            else:
                yield self._pair(found)

    def _pair(self, found: Found) -> LabelledPicture:
        """A picture with its labels: in `labels` for `images`, beside it, or wherever a text of its name lies."""
        picture = found.path or self.root
        apart, beside = _in_labels(picture), picture.with_suffix(".txt")
        for labels in (apart, beside, apart and whole_named(apart, picture), whole_named(beside, picture)):
            if labels and is_there(labels):
                return LabelledPicture(found, labels)
        nearest = next(
            (of for stem in (picture.stem, picture.name) if (of := self._texts.of_stem(stem, picture.parent.parts))), []
        )
        inside = apart is not None and apart.is_relative_to(self.root)
        return LabelledPicture(found, nearest[0] if len(nearest) == 1 else apart if apart and inside else beside)


def find_yolo(tree: Tree) -> list[list[Path]]:
    """The data sets of YOLO in a tree: each that a file of settings describes, or else all texts beside pictures."""
    texts = [file for files in tree.with_suffix(".txt").values() for file in spread(files)]
    settings = [file for files in tree.with_suffix(*SETTINGS).values() for file in files[:SETTINGS_IN_A_FOLDER]]
    if described := [file for file in settings if is_settings(file)]:
        return [[file] for file in described] if any(_is_of_yolo(text, tree) for text in texts) else []
    of_yolo = [text for text in texts if _is_of_yolo(text, tree)]
    if not of_yolo:
        return []
    pictures = {
        name for files in tree.with_suffix(*SUFFIXES).values() for path in files for name in (path.stem, path.name)
    }
    return [[tree.root]] if any(text.stem in pictures for text in of_yolo) else []


def whole_named(labels: Path, picture: Path) -> Path:
    """Labels that are called after the whole name of a picture, as `b.jpg.txt`."""
    return labels.with_name(f"{picture.name}.txt")


def find_settings(folder: Path) -> Path | None:
    """The file that describes a data set: `data.yaml`, the first that names splits that are there, or the only one."""
    alike = (path for path in folder.iterdir() if path.suffix.lower() in SETTINGS)
    found = sorted(path for path in alike if not is_leftover(path.name))
    named = [path for path in found if path.stem == "data"]
    whole = [path for path in found if not named and is_settings(path)]
    return next(iter(named or whole or (found if len(found) == 1 else [])), None)


def _is_of_yolo(text: Path, tree: Tree) -> bool:
    return tree.once(text_kind, text) is TextKind.YOLO


def _is_list(text: Path) -> bool:
    """Whether the first line of a text is the name of a picture."""
    with suppress(InputError, OSError):
        first = next(read_lines(text, []), None)
        return first is not None and is_picture(Path(first.text))
    return False


def _in_labels(picture: Path) -> Path | None:
    """The file of labels of a picture in a folder `images`: the same path in `labels`."""
    parts = list(picture.parent.parts)
    places = [place for place, part in enumerate(parts) if part.lower() in PICTURE_FOLDERS]
    if not places:
        return None
    labels = Path(*parts[: places[-1]], "labels", *parts[places[-1] + 1 :])
    return (labels / picture.name).with_suffix(".txt")
