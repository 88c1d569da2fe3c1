"""A data set divided into splits: pictures that belong together stay together, and classes keep their shares."""

from collections.abc import Sequence

import numpy as np

from torch_retinanet.data.annotations import Annotations, Ints


def split_of_each(annotations: Annotations, groups: Ints, shares: Sequence[float], seed: int) -> Ints:
    """The split (P,) of each picture, as an index into `shares`; pictures of one group are in one split.

    Groups are taken in a random order, large ones first. Each goes where most of its pictures and classes are missing.
    A split that has got none takes the last one of the largest split.

    Args:
        annotations: P pictures.
        groups: (P,) the group of each; there are as many groups as splits at least.
        shares: of the pictures, which sum to 1.
        seed: of the order.
    """
    counts = _counts(annotations)
    names, group = np.unique(groups, return_inverse=True)
    of_group = np.zeros((len(names), counts.shape[1]))
    np.add.at(of_group, group, counts)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-of_group[order, 0], kind="stable")]
    totals = np.maximum(counts.sum(axis=0), 1)
    missing = np.outer(shares, totals)
    chosen = np.zeros(len(names), dtype=np.int64)
    for one in order.tolist():
        chosen[one] = int(np.argmax(missing / totals @ (of_group[one] / totals)))
        missing[chosen[one]] -= of_group[one]
    for empty in sorted({*range(len(shares))} - {*chosen.tolist()}):
        of_largest = order[chosen[order] == np.bincount(chosen).argmax()]
        chosen[of_largest[-1]] = empty
    return chosen[group]


def _counts(annotations: Annotations) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """For each picture (P, 1 + K) that it is one, and how many objects of each class it has."""
    counts = np.zeros((len(annotations.pictures), 1 + len(annotations.classes)))
    counts[:, 0] = 1
    objects = ~annotations.ignored
    np.add.at(counts, (annotations.owners()[objects], 1 + annotations.labels[objects]), 1)
    return counts
