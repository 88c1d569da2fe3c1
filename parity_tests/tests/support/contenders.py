"""Contenders that compute nothing, for tests of `torch_retinanet.benchmark`."""

import os

from torch_retinanet.benchmark.contenders import Contender, Run
from torch_retinanet.benchmark.task import Task


def _busy(times: int) -> Run:
    """Adds up numbers, `times` as many as another."""
    return lambda: sum(range(200_000 * times))


def _refuses(task: Task) -> Run:
    raise ValueError(f"a picture of {task.height} pixels\nis too high")


def _dies(task: Task) -> Run:
    os._exit(1)


CONTENDERS = [
    Contender(name="one", needs=[], prepare=lambda task: _busy(1)),
    Contender(name="ten", needs=[], prepare=lambda task: _busy(10)),
    Contender(name="unable", needs=[], prepare=lambda task: None),
    Contender(name="refuses", needs=[], prepare=_refuses),
    Contender(name="dies", needs=[], prepare=_dies),
    Contender(name="missing", needs=["no_such_package"], prepare=lambda task: _busy(1)),
]
