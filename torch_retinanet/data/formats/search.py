"""The data sets in a folder: annotations are found by what is in them, wherever they lie, and grouped by splits."""

from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from torch_retinanet.data.formats.format import Format
from torch_retinanet.data.formats.json_kind import kind_or_none
from torch_retinanet.data.formats.splits import TRAINING, SplitName, first_of, split_of
from torch_retinanet.data.tree import Tree
from torch_retinanet.git_lfs import is_pointer

LARGEST, FIRST = 16, 8
"""Files of a suffix in one folder that are looked into: the largest, and the first by name."""

MANY_PICTURES = ".json", ".csv"
"""Suffixes of files that hold the annotations of many pictures, which readers of a file a picture do not miss."""

LOOKS, PAGE, MOST_PAGES = 20_000, 4096, 16
"""Looks into the files of a tree: a file takes one for each page of bytes, and no more than so many."""


class SplitPart(NamedTuple):
    """A file or folder that a reader takes, and the split that its path names, if any."""

    path: Path
    split: str


@dataclass(frozen=True)
class DataSet:
    """Annotations that belong together."""

    format: Format
    parts: Sequence[SplitPart]

    @cached_property
    def own_splits(self) -> list[str]:
        """The names of the splits that its only part says, for which a large file is read once."""
        return list(self.format.splits(self.parts[0].path)) if len(self.parts) == 1 else []

    @property
    def splits(self) -> list[str]:
        """The names of its splits: those that its only part says, or else those of its paths."""
        return self.own_splits or list(dict.fromkeys(part.split for part in self.parts if part.split))


def find_data_sets(tree: Tree, formats: Sequence[Format], without: Path | None = None) -> list[DataSet]:
    """The data sets in a folder, the likeliest first.

    That is one with a split for training, then the one nearest to the root, then the largest file.

    Args:
        tree: of the folder.
        formats: that are known.
        without: a file that holds names of classes.
    """
    found = [
        DataSet(known, [SplitPart(path, split_of(path.relative_to(tree.root)).split) for path in paths])
        for known in formats
        if known.find is not None
        for paths in known.find(tree)
    ]
    for known, paths in _by_format(tree, formats, without).items():
        found += [DataSet(formats[known], parts) for parts in _families(paths, tree.root)]
    return sorted(found, key=lambda one: _rank(one, tree.root))


def sampled(files: Sequence[Path]) -> list[Path]:
    """Of many files those that most likely hold annotations: the largest and the first."""
    if len(files) <= LARGEST + FIRST:
        return list(files)
    largest = sorted(files, key=_size, reverse=True)[:LARGEST]
    return list(dict.fromkeys([*largest, *files[:FIRST]]))


def worth_a_look(files: Iterable[Path], looks: int) -> tuple[list[Path], int]:
    """The first files that so many looks suffice for, and the looks that are left."""
    chosen: list[Path] = []
    for file in files:
        if (looks := looks - 1 - min(_size(file) // PAGE, MOST_PAGES - 1)) < 0:
            return chosen, 0
        chosen.append(file)
    return chosen, looks


def spread(files: Sequence[Path]) -> list[Path]:
    """Of many files of one kind a few, from the first to the last, none of them empty."""
    step = max(1, len(files) // FIRST)
    parts = (files[first : first + step] for first in range(0, len(files), step))
    filled = (next(filter(_size, part), None) for part in parts)
    return [file for file in filled if file is not None]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # as a link that leads nowhere
        return 0


def together(folders: Iterable[Path], root: Path) -> list[Path]:
    """The largest folders that hold these folders and no two splits, whose paths say which split they are."""
    splits = {folder: split_of(folder.relative_to(root) / "a").split for folder in folders}
    below: dict[Path, set[str]] = defaultdict(set)
    for folder, split in splits.items():
        for above in (folder, *folder.parents):
            if above.is_relative_to(root):
                below[above].add(split)
    return sorted({_widest(folder, below, root) for folder in splits})


def _widest(folder: Path, below: dict[Path, set[str]], root: Path) -> Path:
    while folder != root and len(below[folder.parent]) == 1:
        folder = folder.parent
    return folder


def _by_format(tree: Tree, formats: Sequence[Format], without: Path | None) -> dict[int, list[Path]]:
    """The files and folders of each format, by its place among the formats; the nearest are seen first."""
    generic = [place for place, known in enumerate(formats) if known.find is None]
    found: dict[int, list[Path]] = defaultdict(list)
    looks = LOOKS
    for folder, by_suffix in sorted(tree.by_suffix.items(), key=lambda item: len(item[0].parts)):
        for place in generic:
            if not formats[place].suffixes and formats[place].is_folder(folder):
                found[place].append(folder)
        for suffix, alike in by_suffix.items():
            knowing = [place for place in generic if suffix in formats[place].suffixes]
            wanted = sampled(alike) if knowing else []
            chosen, looks = worth_a_look(wanted, looks)
            tree.missed += len(wanted) - len(chosen)
            for file in chosen:
                if without is not None and file.samefile(without):
                    continue
                fitting = _first_fitting(file, formats, knowing)
                if fitting is None and suffix in MANY_PICTURES and is_pointer(file):
                    tree.pointers.append(file)
                if fitting is not None:
                    found[fitting].append(folder if formats[fitting].is_folder(folder) else file)
    order = {folder: number for number, folder in enumerate(tree.by_suffix)}
    return {
        place: sorted(dict.fromkeys(paths), key=lambda path: order.get(path, order.get(path.parent, 0)))
        for place, paths in found.items()
    }


def _first_fitting(file: Path, formats: Sequence[Format], knowing: Sequence[int]) -> int | None:
    """The place of the first of some formats that a file fits; what kind of JSON it is is found out once."""
    kind = kind_or_none(file) if any(formats[place].kind for place in knowing) else None
    for place in knowing:
        wanted = formats[place].kind
        if formats[place].fits(file) if wanted is None else kind is wanted:
            return place
    return None


def _families(paths: Sequence[Path], root: Path) -> list[list[SplitPart]]:
    """What belongs together: all folders with a file a picture, or files whose names differ by the split alone, or of
    one name in folders."""
    folders: list[SplitPart] = []
    families: dict[tuple[str, int], list[SplitPart]] = defaultdict(list)
    for path, named in _named(_without_others(paths), root):
        alike = folders if path.is_dir() else families[named.pattern, len(path.relative_to(root).parts)]
        alike.append(SplitPart(path, named.split))
    return _merged(list(families.values())) + ([folders] if folders else [])


def _named(paths: Sequence[Path], root: Path) -> list[tuple[Path, SplitName]]:
    relative = [path.relative_to(root) for path in paths]
    return [
        (path, split_of(part if path.is_file() else part / "*")) for path, part in zip(paths, relative, strict=True)
    ]


def _without_others(paths: Sequence[Path]) -> list[Path]:
    """Without the key points and captions that COCO has beside the instances of a split."""
    instances = {path.parent for path in paths if path.name.startswith("instances_")}
    return [path for path in paths if path.parent not in instances or path.name.startswith("instances_")]


def _merged(families: list[list[SplitPart]]) -> list[list[SplitPart]]:
    """Families of one folder whose splits are different ones are one data set: `train.csv` and `new_test.csv`."""
    merged: list[list[SplitPart]] = []
    waiting: dict[Path, dict[frozenset[str], list[int]]] = defaultdict(lambda: defaultdict(list))
    for parts in families:
        splits, with_splits = frozenset(part.split for part in parts), waiting[parts[0].path.parent]
        fitting = [of for of, places in with_splits.items() if places and "" not in splits | of and not splits & of]
        if fitting:
            first = min(fitting, key=lambda of: with_splits[of][0])
            index, splits = with_splits[first].pop(0), splits | first
            merged[index] += parts
        else:
            index = len(merged)
            merged.append(parts)
        insort(with_splits[splits], index)
    return merged


def _rank(found: DataSet, root: Path) -> tuple[bool, int, bool, int, str]:
    first = found.parts[0].path
    depth = min(len(part.path.relative_to(root).parts) - part.path.is_file() for part in found.parts)
    size = sum(part.path.stat().st_size for part in found.parts if part.path.is_file())
    return first_of(TRAINING, found.splits) is None, depth, first.is_dir(), -size, str(first)
