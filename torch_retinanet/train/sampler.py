"""Which picture is drawn when: a pure function of seed and number, so that a run can go on from any step.

Tiles come in runs of one picture, which is decoded once for a run: the tiles of each picture are shuffled and cut into
runs of `RUN`; runs are shuffled; and the tiles of `TOGETHER` runs that follow one another are shuffled once more.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.dataset import SampleKey

RUN, TOGETHER = 16, 4
"""Tiles of a picture that are drawn near one another, and how many such runs are mixed."""

Order = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class EpochSampler:
    """The batches of a run: an epoch draws its pictures in an order of its own.

    Attributes:
        pictures: how many there are.
        drawn: those of an epoch by their numbers, some more than once; by default each is drawn once.
        files: the number of the file that each is a tile of; empty where they are whole pictures.
        batch: draws in a batch.
        accumulate: batches that each process has in a step.
        seed: of the order.
        process, processes: which process of how many this is.
    """

    pictures: int
    batch: int
    drawn: Sequence[int] = ()
    files: Sequence[int] = ()
    accumulate: int = 1
    seed: int = 0
    process: int = 0
    processes: int = 1

    @property
    def per_epoch(self) -> int:
        """Pictures in an epoch."""
        return len(self.drawn) or self.pictures

    @property
    def per_step(self) -> int:
        """Pictures in a step, those of all processes together."""
        return self.batch * self.accumulate * self.processes

    def steps(self, epochs: int) -> int:
        """Steps of so many epochs, the last step filled up."""
        return -(-self.per_epoch * epochs // self.per_step)

    def batches(self, first: int, end: int) -> Iterator[list[SampleKey]]:
        """The batches of this process from step `first`, counted from 0, up to but without step `end`."""
        each, order_of = self.accumulate * self.processes, lru_cache(maxsize=2)(self._of_epoch)
        for number in range(first * each + self.process, end * each, self.processes):
            batch = [self._draw(number * self.batch + i, order_of) for i in range(self.batch)]
            near = tuple(draw.picture for draw in batch) if self.files else ()
            yield [draw._replace(near=near) for draw in batch]

    def _draw(self, number: int, order_of: Callable[[int], Order]) -> SampleKey:
        epoch, place = divmod(number, self.per_epoch)
        return SampleKey(number, int(order_of(epoch)[place]))

    def _of_epoch(self, epoch: int) -> Order:
        """The pictures of an epoch."""
        order = _order(self.seed, epoch, self.per_epoch)
        order = np.asarray(self.drawn, dtype=np.int64)[order] if self.drawn else order
        if not self.files:
            return order
        return _in_runs(order, np.asarray(self.files)[order], np.random.default_rng([self.seed, epoch, RUN]))


def file_numbers(annotations: Annotations) -> list[int]:
    """The number of the file of each tile; nothing where pictures are whole."""
    numbers = {path: number for number, path in enumerate(dict.fromkeys(annotations.pictures))}
    return [numbers[path] for path in annotations.pictures] if annotations.windows else []


def _in_runs(order: Order, files: Order, rng: np.random.Generator) -> Order:
    """Draws with those of a file in runs, given shuffled with the file of each."""
    by_file = np.argsort(files, kind="stable")
    _, starts, counts = np.unique(files[by_file], return_index=True, return_counts=True)
    within = np.arange(len(order)) - np.repeat(starts, counts)
    run = np.cumsum(within % RUN == 0) - 1
    window = rng.permutation(run[-1] + 1)[run] // TOGETHER
    return order[by_file][np.lexsort((rng.random(len(order)), window))]


def balanced_draws(annotations: Annotations, rare: float, seed: int) -> list[int]:
    """The pictures of an epoch by their numbers: those that have a rare class more often.

    A class is rare that fewer than a share `rare` of all pictures have. A picture is drawn sqrt(rare / share) times for
    its rarest class, rounded up or down at random, and once at least (Gupta et al. 2019, LVIS, appendix B.2).
    """
    count, objects = len(annotations.pictures), ~annotations.ignored
    pairs = np.unique(np.stack([annotations.owners()[objects], annotations.labels[objects]], axis=1), axis=0)
    shares = np.bincount(pairs[:, 1], minlength=len(annotations.classes)) / count
    times = np.ones(count)
    np.maximum.at(times, pairs[:, 0], np.sqrt(rare / shares[pairs[:, 1]]))
    whole = np.floor(times + np.random.default_rng(seed).random(count)).astype(np.int64)
    drawn: list[int] = np.repeat(np.arange(count), whole).tolist()
    return drawn


def _order(seed: int, epoch: int, pictures: int) -> Order:
    return np.random.default_rng([seed, epoch]).permutation(pictures)
