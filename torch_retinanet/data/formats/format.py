"""What is known of a format of annotations, and what a reader is asked for."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.box_layouts import BoxLayout
from torch_retinanet.data.formats.json_kind import JsonKind
from torch_retinanet.data.tree import Tree


class Request(NamedTuple):
    """What is to be read.

    Attributes:
        names: those of a file of classes.
        boxes: what the four numbers of a box mean, where the caller says it.
        labelled_only: whether pictures without a label file are left out.
        root: the folder that the path was found in.
    """

    path: Path
    split: str | None
    images: Path | None
    classes: Path | None
    names: Sequence[str] | None
    boxes: BoxLayout | None = None
    labelled_only: bool = False
    root: Path | None = None


class Format(NamedTuple):
    """A format of annotations.

    Attributes:
        name: what messages call it.
        suffixes: those of its files, in small letters.
        is_folder: whether a folder is read as a whole, since a picture has a file of its own there.
        splits: those that a file or folder says by itself, as a list of pictures does.
        read: what reads a file or folder.
        fits: whether a file of such a suffix is of it, by what is in it.
        kind: the kind of JSON that it is, where `fits` asks for that alone.
        find: the data sets in a tree, each as the files or folders that `read` takes, where these are not simply the
            files that `fits`, or their folders.
    """

    name: str
    suffixes: tuple[str, ...]
    is_folder: Callable[[Path], bool]
    splits: Callable[[Path], Sequence[str]]
    read: Callable[[Request], Annotations]
    fits: Callable[[Path], bool] = Path.is_file
    find: Callable[[Tree], Sequence[Sequence[Path]]] | None = None
    kind: JsonKind | None = None
