"""Which picture is drawn when: a pure function of seed and number, so that a run can go on from any step."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from torch_retinanet.data.dataset import SampleKey


@dataclass(frozen=True, kw_only=True)
class EpochSampler:
    """The batches of a run: every picture is drawn once in each epoch, in an order of its own.

    Attributes:
        pictures: how many there are.
        batch: draws in a batch.
        accumulate: batches that each process has in a step.
        seed: of the order.
        process, processes: which process of how many this is.
    """

    pictures: int
    batch: int
    accumulate: int = 1
    seed: int = 0
    process: int = 0
    processes: int = 1

    @property
    def per_step(self) -> int:
        """Pictures in a step, those of all processes together."""
        return self.batch * self.accumulate * self.processes

    def steps(self, epochs: int) -> int:
        """Steps in which every picture is drawn `epochs` times, the last step filled up."""
        return -(-self.pictures * epochs // self.per_step)

    def batches(self, first: int, end: int) -> Iterator[list[SampleKey]]:
        """The batches of this process from step `first`, counted from 0, up to but without step `end`."""
        each = self.accumulate * self.processes
        for number in range(first * each + self.process, end * each, self.processes):
            yield [self._draw(number * self.batch + i) for i in range(self.batch)]

    def _draw(self, number: int) -> SampleKey:
        epoch, place = divmod(number, self.pictures)
        return SampleKey(number, int(_order(self.seed, epoch, self.pictures)[place]))


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, pictures: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(pictures)
