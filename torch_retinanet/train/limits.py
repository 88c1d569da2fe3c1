"""The most that settings may ask for, with the data and the machine at hand: a run must end, and fit into memory."""

import os

import numpy as np

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.data.annotations import Annotations
from torch_retinanet.errors import InputError
from torch_retinanet.preprocess import resized_size
from torch_retinanet.train.config import TrainConfig

MOST_STEPS = 10**9
"""At a thousand steps a second they take 11 days."""

WORKERS_A_PROCESSOR = 16
"""Processes that read pictures, for each processor."""

GIB = 2**30


def check_limits(config: TrainConfig, annotations: Annotations, model: RetinaNetConfig, steps: int) -> None:
    """Refuse settings with which a run on these data could not end, or a step not fit into memory.

    Args:
        config: the settings.
        annotations: screened, so that the sizes are those of the pictures.
        model: whose sizes pictures get.
        steps: those of the run, as `steps` says or as they follow from `epochs`.

    Raises:
        InputError: naming the setting, and what it comes to.
    """
    if steps > MOST_STEPS:
        asked = (
            f"steps: {steps}" if config.steps else f"epochs: {config.epochs} of {len(annotations.pictures)} pictures"
        )
        raise InputError(f"{asked} must be at most {MOST_STEPS:,} steps")
    processors = os.cpu_count() or 1
    if config.workers > (most := WORKERS_A_PROCESSOR * processors):
        raise InputError(
            f"workers: {config.workers} must be at most {most}, as this machine has {processors} processors"
        )
    needed, there = _bytes_of_a_step(config, annotations, model), _memory()
    if needed > there:
        together = f"{config.batch * config.accumulate} pictures in a step need {needed / GIB:,.0f} GiB"
        name = "batch" if config.batch >= config.accumulate else "accumulate"
        value, rule = getattr(config, name), f"and this machine has {there / GIB:,.0f} GiB of memory"
        raise InputError(f"{name}: {value} must be smaller: {together} by themselves, {rule}")


def _bytes_of_a_step(config: TrainConfig, annotations: Annotations, model: RetinaNetConfig) -> float:
    """Those of the pictures alone: of all batches as they are read, and of one as the network takes it."""
    height, width = np.median(annotations.sizes, axis=0).tolist()
    resized = resized_size((int(height), int(width)), model).pixels
    read = float(annotations.sizes.prod(axis=1).mean()) * config.accumulate
    taken = float(resized[0] * resized[1]) * np.dtype(np.float32).itemsize
    return config.batch * model.in_channels * (read + taken)


def _memory() -> float:
    """Bytes of memory of this machine; without limit where the system does not say it."""
    if not hasattr(os, "sysconf"):
        return float("inf")
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
