"""Which categories of a COCO file are classes, and what these are called.

A category that is only the supercategory of others is none: Roboflow writes one with id 0, which no box has. It would
never be seen, and the head would have an output for it. As for pycocotools a category is an id, and its name is for
people: two ids of one name are two classes, and each has its id in its name, `car (1)` and `car (7)`, so that files,
splits and models tell them apart by name.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from torch_retinanet.data.annotations import Annotations, Problem
from torch_retinanet.data.coco_values import whole_number_of

NAMED = 3
"""Classes of one name that a note lists."""


class _Categories(msgspec.Struct):
    categories: list[Any]


class _Category(NamedTuple):
    id: int
    name: str
    above: str


def as_classes(annotations: Annotations, path: Path) -> Annotations:
    """The annotations of a file with names that are each of one class, and without classes that are only headings."""
    headings = _headings(_categories(path))
    return _without(_named_apart(annotations, path, headings), path, headings)


def _named_apart(annotations: Annotations, path: Path, headings: set[int]) -> Annotations:
    """With the id in names that are of several categories; of one beside headings of its name only in theirs."""
    named = list(zip(annotations.class_ids, annotations.classes, strict=True))
    times = Counter(annotations.classes)
    times_beside = Counter(name for class_id, name in named if class_id not in headings)
    apart = [times[name] > 1 and (class_id in headings or times_beside[name] > 1) for class_id, name in named]
    classes = [f"{name} ({one})" if is_apart else name for (one, name), is_apart in zip(named, apart, strict=True)]
    several: dict[str, list[str]] = {}
    for (_, name), new in zip(named, classes, strict=True):
        if times_beside[name] > 1:
            several.setdefault(name, []).append(new)
    notes = [_note_of_several(path, name, new) for name, new in several.items()]
    return replace(annotations, classes=classes, problems=[*annotations.problems, *notes])


def _note_of_several(path: Path, name: str, classes: Sequence[str]) -> Problem:
    what, named = f"name of {len(classes)} categories: {name!r}", ", ".join(classes[:NAMED])
    more = f" and {len(classes) - NAMED} more" if len(classes) > NAMED else ""
    return Problem(path, "categories", what, f"each is a class: {named}{more}", data_loss=False)


def _without(annotations: Annotations, path: Path, headings: set[int]) -> Annotations:
    """Without the headings that no box has."""
    used = set(np.unique(annotations.labels).tolist())
    kept = [label for label, one in enumerate(annotations.class_ids) if label in used or one not in headings]
    if not kept or len(kept) == len(annotations.classes):
        return annotations
    new = np.full(len(annotations.classes) + 1, -1)
    new[kept] = np.arange(len(kept))
    notes = [_note(path, annotations.classes[label]) for label in np.flatnonzero(new[:-1] < 0).tolist()]
    return replace(
        annotations,
        classes=[annotations.classes[label] for label in kept],
        class_ids=[annotations.class_ids[label] for label in kept],
        labels=new[annotations.labels],
        problems=[*annotations.problems, *notes],
    )


def _note(path: Path, name: str) -> Problem:
    what = f"class without boxes that is the supercategory of others: {name!r}"
    return Problem(path, "categories", what, "it is no class", data_loss=False)


def _headings(categories: Sequence[_Category]) -> set[int]:
    """The ids of those that another one names as its supercategory."""
    above = {one.above for one in categories}
    above_others = {one.above for one in categories if one.above != one.name}
    return {one.id for one in categories if one.name in above_others or (one.above != one.name and one.name in above)}


def _categories(path: Path) -> list[_Category]:
    """The categories that have an id and a name; the reader tells of others."""
    try:
        entries = msgspec.json.decode(path.read_bytes(), type=_Categories).categories
    except (ValueError, RecursionError):  # as of a file in UTF-16
        return []
    return [category for one in entries if (category := _category(one)) is not None]


def _category(entry: Any) -> _Category | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        return None
    try:
        return _Category(whole_number_of(entry.get("id")), entry["name"], str(entry.get("supercategory")))
    except ValueError:
        return None
