"""Pictures that annotations list twice."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from torch_retinanet.data.annotations import Annotations, Ints, Problem


def join_repeated(annotations: Annotations) -> Annotations:
    """Each picture once: what a file lists twice has the boxes of both, and of two files for it the second is lost."""
    first: dict[Path, int] = {}
    firsts = [first.setdefault(path, i) for i, path in enumerate(annotations.pictures)]
    repeated = [i for i, other in enumerate(firsts) if i != other]
    if not repeated:
        return annotations
    lost = [i for i in repeated if annotations.files[i] != annotations.files[firsts[i]]]
    problems = [_problem(annotations, i, firsts[i], lost=i in set(lost)) for i in repeated]
    problems += [_conflict(annotations, i, firsts[i]) for i in repeated if _differ(annotations.sizes[[i, firsts[i]]])]
    targets = np.array(firsts, dtype=np.int64)
    targets[lost] = lost
    kept = np.ones(len(firsts), dtype=bool)
    kept[repeated] = False
    joined = replace(_regrouped(annotations, targets), problems=[*annotations.problems, *problems])
    return joined.select(pictures=kept)


def _problem(annotations: Annotations, index: int, first: int, *, lost: bool) -> Problem:
    file, name = annotations.files[index], annotations.pictures[index].name
    if not lost:
        return Problem(file, "", f"picture listed twice: {name!r}", "it is one picture, with the boxes of both", lost)
    count = annotations.offsets[index + 1] - annotations.offsets[index]
    what = f"picture of another file too: {name!r}, of {annotations.files[first].name!r}, boxes lost with it: {count}"
    return Problem(file, "", what, "the second file is left out", lost)


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
