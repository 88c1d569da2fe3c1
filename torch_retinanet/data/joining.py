"""Annotations of several files put together: pictures one after another, and classes as one list."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from torch_retinanet.data.annotations import Annotations, Ints
from torch_retinanet.data.builder import NO_CLASS, rank_of_name
from torch_retinanet.errors import InputError


def join(parts: Sequence[Annotations]) -> Annotations:
    """The pictures of all, in labels of the union of their classes; the parts are of one format.

    Ids of pictures stay where no two parts use one, and ids of classes where each class has one.

    Raises:
        InputError: where the numbers of boxes mean different things in two parts.
    """
    if len({part.layout for part in parts}) > 1:
        layouts = ", ".join(f"{part.layout} in {part.files[0]}" for part in parts if part.files)
        raise InputError(f"boxes: must mean the same in all files, and are {layouts}; read the files one by one")
    classes = union_of_classes(parts)
    parts = [with_classes(part, classes) for part in parts]
    ids = [picture_id for part in parts for picture_id in part.picture_ids]
    lengths = [np.diff(part.offsets) for part in parts]
    return replace(
        parts[0],
        pictures=[picture for part in parts for picture in part.pictures],
        files=[file for part in parts for file in part.files],
        problems=[problem for part in parts for problem in part.problems],
        unlisted=in_none({path for part in parts for path in part.unlisted}, parts),
        boxes=np.concatenate([part.boxes for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        ignored=np.concatenate([part.ignored for part in parts]),
        areas=np.concatenate([part.areas for part in parts]),
        sizes=np.concatenate([part.sizes for part in parts]),
        places=np.concatenate([part.places for part in parts]),
        as_stored=np.concatenate([part.as_stored for part in parts]),
        offsets=np.concatenate([[0], np.cumsum(np.concatenate(lengths), dtype=np.int64)]),
        windows=[window for part in parts for window in part.windows],
        picture_ids=ids if len(set(ids)) == len(ids) else [],
    )


def in_none(pictures: Iterable[Path], parts: Iterable[Annotations]) -> list[Path]:
    """Those of some pictures that no part has, sorted: one file may name what another does not."""
    return sorted(set(pictures).difference(*(part.pictures for part in parts)))


def union_of_classes(parts: Sequence[Annotations]) -> dict[str, int]:
    """The classes of all parts with their ids, -1 where they have none that is the same in every part.

    Classes with ids stand in their order. Others stand as in the first part if that has them all, else as names do.
    """
    names = list(dict.fromkeys(name for part in parts for name in part.classes))
    ids = _ids(parts)
    if len(ids) == len(names) and len(set(ids.values())) == len(names):
        return {name: ids[name] for name in sorted(names, key=ids.__getitem__)}
    if len(names) > len(parts[0].classes) and not any(part.class_ids for part in parts):
        names = sorted(names, key=rank_of_name)
    return dict.fromkeys(names, NO_CLASS)


def with_classes(annotations: Annotations, classes: Mapping[str, int]) -> Annotations:
    """Annotations in the labels of a list of classes that has all of theirs."""
    labels = {name: label for label, name in enumerate(classes)}
    new: Ints = np.array([*(labels[name] for name in annotations.classes), NO_CLASS], dtype=np.int64)
    ids = list(classes.values()) if NO_CLASS not in classes.values() else []
    return replace(annotations, labels=new[annotations.labels], classes=list(classes), class_ids=ids)


def _ids(parts: Sequence[Annotations]) -> dict[str, int]:
    """The ids of the classes that have one and the same in all parts."""
    pairs = {pair for part in parts for pair in zip(part.classes, part.class_ids, strict=False)}
    times = Counter(name for name, _ in pairs)
    return {name: class_id for name, class_id in pairs if times[name] == 1}
