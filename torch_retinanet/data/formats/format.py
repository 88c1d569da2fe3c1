"""What is known of a format of annotations, and what a reader is asked for."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.box_layouts import BoxLayout


class Request(NamedTuple):
    """What is to be read.

    Attributes:
        names: those of a file of classes.
        boxes: what the four numbers of a box mean, where the caller says it.
        labelled_only: whether pictures without a label file are left out.
    """

    path: Path
    split: str | None
    images: Path | None
    classes: Path | None
    names: Sequence[str] | None
    boxes: BoxLayout | None = None
    labelled_only: bool = False


class Format(NamedTuple):
    """A format: the suffixes of its files, whether a folder is laid out so, its splits, what reads it, and whether a
    file of such a suffix is of it, by what is in it."""

    name: str
    suffixes: tuple[str, ...]
    is_folder: Callable[[Path], bool]
    splits: Callable[[Path], Sequence[str]]
    read: Callable[[Request], Annotations]
    fits: Callable[[Path], bool] = Path.is_file
