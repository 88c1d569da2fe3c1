"""Pictures that look alike: in training and in a split that tests it, or copies with other objects."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from torch_retinanet.boxes import box_iou
from torch_retinanet.data.alike import ALIKE, Likeness, is_copy, looks_of, most_alike
from torch_retinanet.data.annotations import Annotations, Bools, Floats, Ints, Problem
from torch_retinanet.data.formats.splits import TESTING, TRAINING, VALIDATION

ROLES = TRAINING, VALIDATION, TESTING
"""Names of splits that should share nothing, in the order in which pictures count for one."""

NO_ROLE = -1

COPY = 0.999
"""The correlation from which on a picture may be a copy of another."""

AGREE = 0.5
"""The IoU from which on two boxes of a class are one object on a picture and its copy."""

NOT_NEW = "a test with it is taken for one on new pictures"
ONE_IS_WRONG = "both are taken for right"


def note_alike(annotations: Annotations, splits: Mapping[str, set[Path]]) -> Annotations:
    """Screened annotations whose problems tell of pictures that splits share, and of copies with other objects.

    Every picture is read once more, in small. The comparison takes time with the square of their number: some minutes
    for 100,000 on two cores, less than it takes to decode them.

    Args:
        annotations: of all splits.
        splits: the pictures of each split by its name; only training, validation and test are compared.
    """
    looks = looks_of(annotations.pictures)
    names = _names(annotations, splits)
    alike = most_alike(looks, _roles(names), ALIKE)
    copies = most_alike(looks, np.arange(len(looks)), COPY)
    notes = [*_in_several(annotations, names), *_across(annotations, alike, names), *_conflicts(annotations, copies)]
    return replace(annotations, problems=[*annotations.problems, *notes])


def _names(annotations: Annotations, splits: Mapping[str, set[Path]]) -> list[list[str]]:
    """Of each picture the splits with a role that it is in, training first."""
    known = [(role.index(name.lower()), name) for role in ROLES for name in splits if name.lower() in role]
    return [[name for _, name in known if path in splits[name]] for path in annotations.pictures]


def _roles(names: list[list[str]]) -> Ints:
    """The role (P,) of each picture by the first of its splits."""
    roles = {name: number for number, role in enumerate(ROLES) for name in role}
    return np.array([roles[of_one[0].lower()] if of_one else NO_ROLE for of_one in names], dtype=np.int64)


def _in_several(annotations: Annotations, names: list[list[str]]) -> Iterator[Problem]:
    for path, of_one in zip(annotations.pictures, names, strict=True):
        if len(of_one) > 1:
            yield _note(path, f"picture of several splits: {' and '.join(of_one)}", NOT_NEW)


def _across(annotations: Annotations, alike: list[Likeness], names: list[list[str]]) -> Iterator[Problem]:
    for one in alike:
        path, other = annotations.pictures[one.picture], annotations.pictures[one.other]
        of_one, of_other = names[one.picture][0], names[one.other][0]
        what = f"looks like a picture of another split: this of {of_one}, {other.name!r} of {of_other}"
        yield _note(path, f"{what}, correlation {one.correlation:.3f}", NOT_NEW)


def _conflicts(annotations: Annotations, copies: list[Likeness]) -> Iterator[Problem]:
    for one in copies:
        found, other = _agreeing(annotations, one.picture, one.other), _agreeing(annotations, one.other, one.picture)
        path, original = annotations.pictures[one.picture], annotations.pictures[one.other]
        if not (found.all() and other.all()) and is_copy(path, original):
            counts = f"{int(found.sum())} of its {len(found)} objects agree with the {len(other)} there"
            yield _note(path, f"copy with other objects: of {original.name!r}; {counts}", ONE_IS_WRONG)


def _agreeing(annotations: Annotations, index: int, other: int) -> Bools:
    """Which objects of a picture have one of their class and place on another, whatever its size."""
    (boxes, labels), (others, other_labels) = _objects(annotations, index), _objects(annotations, other)
    same = box_iou(torch.from_numpy(boxes), torch.from_numpy(others)).numpy() >= AGREE
    agreeing: Bools = (same & (labels[:, None] == other_labels)).any(axis=1)
    return agreeing


def _objects(annotations: Annotations, index: int) -> tuple[Floats, Ints]:
    """Boxes as shares of their picture, and labels."""
    objects = annotations.objects(index)
    shares = objects.boxes / annotations.sizes[index][[1, 0, 1, 0]]
    return shares[~objects.ignored], objects.labels[~objects.ignored]


def _note(path: Path, finding: str, action: str) -> Problem:
    return Problem(path, "", finding, action, data_loss=False, assumption=True)
