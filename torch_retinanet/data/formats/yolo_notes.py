"""What a YOLO data set says that does not go together: the number of its classes, and pictures that are copies."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from torch_retinanet.data.annotations import Problem
from torch_retinanet.data.formats.yolo_layout import Layout
from torch_retinanet.data.text import parse_whole

FEWEST_PARTS = 2
"""Parts of a path by which a picture in a folder of the data set is told to be one of another: a folder and a name."""


def other_number_of_classes(layout: Layout) -> Iterator[Problem]:
    """A note where `nc` of the settings is not how many `names` they have."""
    said, names = layout.settings.get("nc"), layout.settings.get("names")
    if not layout.file or not isinstance(said, str) or not isinstance(names, list | dict):
        return
    with suppress(ValueError):
        if parse_whole(said) == len(names):
            return
    what = f"nc that is not the number of names: {said[:80]!r} with {len(names)}"
    yield Problem(layout.file, "", what, "the names are taken", data_loss=False, assumption=True)


def copies_within(pictures: Sequence[Path], root: Path) -> Iterator[Problem]:
    """One note on the pictures that lie once more, by folder, name and size, in a folder of the data set."""
    parts = {path.relative_to(root).parts: path for path in pictures if path.is_relative_to(root)}
    copies = [
        path
        for names, path in parts.items()
        for first in range(1, len(names) - FEWEST_PARTS + 1)
        if (other := parts.get(names[first:])) and other.stat().st_size == path.stat().st_size
    ]
    if copies:
        what = f"pictures that lie in the data set twice, as if it were copied into itself: {len(set(copies))}"
        then = f"they are taken twice; remove the copy with {str(copies[0].relative_to(root))!r}"
        yield Problem(root, "", what, then, data_loss=False, assumption=True)
