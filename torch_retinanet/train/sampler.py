"""Which picture is drawn when: a pure function of seed and number, so that a run can go on from any step."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.dataset import SampleKey


@dataclass(frozen=True, kw_only=True)
class EpochSampler:
    """The batches of a run: an epoch draws its pictures in an order of its own.

    Attributes:
        pictures: how many there are.
        drawn: those of an epoch by their numbers, some more than once; by default each is drawn once.
        batch: draws in a batch.
        accumulate: batches that each process has in a step.
        seed: of the order.
        process, processes: which process of how many this is.
    """

    pictures: int
    batch: int
    drawn: Sequence[int] = ()
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
        each = self.accumulate * self.processes
        for number in range(first * each + self.process, end * each, self.processes):
            yield [self._draw(number * self.batch + i) for i in range(self.batch)]

    def _draw(self, number: int) -> SampleKey:
        epoch, place = divmod(number, self.per_epoch)
        drawn = int(_order(self.seed, epoch, self.per_epoch)[place])
        return SampleKey(number, self.drawn[drawn] if self.drawn else drawn)


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


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, pictures: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(pictures)
