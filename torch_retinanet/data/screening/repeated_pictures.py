"""Pictures that annotations list twice."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from torch_retinanet.data.annotations import Annotations, Ints, Problem
from torch_retinanet.data.builder import NO_CLASS


def join_repeated(annotations: Annotations) -> Annotations:
    """Each picture once, with the boxes of all its entries.

    A file may list a picture twice. Of a second file it is not known whether it means other objects or the same ones,
    so the regions of its boxes are ignored.
    """
    first: dict[Path, int] = {}
    firsts = [first.setdefault(path, i) for i, path in enumerate(annotations.pictures)]
    repeated = [i for i, other in enumerate(firsts) if i != other]
    if not repeated:
        return annotations
    others = {i for i in repeated if annotations.files[i] != annotations.files[firsts[i]]}
    problems = [_problem(annotations, i, firsts[i], other_file=i in others) for i in repeated]
    problems += [_conflict(annotations, i, firsts[i]) for i in repeated if _differ(annotations.sizes[[i, firsts[i]]])]
    kept = np.ones(len(firsts), dtype=bool)
    kept[repeated] = False
    known = _ignored_in(annotations, others)
    joined = replace(_regrouped(known, np.array(firsts, dtype=np.int64)), problems=[*annotations.problems, *problems])
    return joined.select(pictures=kept)


def _problem(annotations: Annotations, index: int, first: int, *, other_file: bool) -> Problem:
    file, name = annotations.files[index], annotations.pictures[index].name
    if not other_file:
        then = "it is one picture, with the boxes of both"
        return Problem(file, "", f"picture listed twice: {name!r}", then, data_loss=False)
    count = annotations.offsets[index + 1] - annotations.offsets[index]
    what = f"picture of another file too: {name!r}, of {str(annotations.files[first])!r}, boxes: {count}"
    return Problem(file, "", what, "the regions of the second file's boxes are ignored", data_loss=True)


def _ignored_in(annotations: Annotations, pictures: set[int]) -> Annotations:
    """Annotations in which the boxes of some pictures mark no objects, but regions that are ignored."""
    of_them = np.isin(annotations.owners(), list(pictures))
    return replace(
        annotations,
        ignored=annotations.ignored | of_them,
        labels=np.where(of_them, NO_CLASS, annotations.labels),
    )


def _differ(sizes: Ints) -> bool:
    return bool((sizes > 0).all() and (sizes[0] != sizes[1]).any())


def _conflict(annotations: Annotations, index: int, first: int) -> Problem:
    sizes = " and ".join(f"{width}x{height}" for height, width in annotations.sizes[[first, index]].tolist())
    what = f"one picture with several sizes: {annotations.pictures[index].name!r} with {sizes}"
    then = "it may stand for several pictures of one name; the picture itself says its size"
    return Problem(annotations.files[index], "", what, then, data_loss=False)


def _regrouped(annotations: Annotations, targets: Ints) -> Annotations:
    """The boxes of each picture moved to the picture `targets` (P,) says."""
    owners = targets[annotations.owners()]
    order = np.argsort(owners, kind="stable")
    counts = np.bincount(owners, minlength=len(targets))
    return replace(
        annotations,
        offsets=np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]),
        boxes=annotations.boxes[order],
        labels=annotations.labels[order],
        ignored=annotations.ignored[order],
        areas=annotations.areas[order],
        places=annotations.places[order],
    )
