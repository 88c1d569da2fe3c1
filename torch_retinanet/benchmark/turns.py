"""Contenders in turn: each waits in its process while another one computes."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch_retinanet.benchmark.task import Task

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
"""Variables that say to libraries how many threads they may have."""


ALIKE = {"OMP_WAIT_POLICY": "PASSIVE", "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
"""Other variables of all: threads that wait must not spin beside the one whose turn it is."""


@dataclass
class Seconds:
    """What the turns of one contender took.

    Attributes:
        contender: its name.
        cpu: seconds of CPU of each turn.
        wall: seconds on the clock of each turn.
        memory: the most bytes that its process had beyond those of its start.
        failed: why it did not do the task, if so.
    """

    contender: str
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    memory: int = 0
    failed: str = ""


@dataclass(frozen=True)
class Ratio:
    """The median of one contender's turns divided by those of another beside them, and the least and the most."""

    median: float
    least: float
    most: float


def ratio(own: Sequence[float], other: Sequence[float]) -> Ratio:
    """Of turns that were taken beside each other."""
    ratios = sorted(mine / theirs for mine, theirs in zip(own, other, strict=True))
    return Ratio(statistics.median(ratios), ratios[0], ratios[-1])


def take_turns(task: Task, contenders: Mapping[str, str], *, threads: int, rounds: int) -> Iterator[Seconds]:
    """What each contender that does the task took, `rounds` times in turn after a first time; yielded at the end.

    Args:
        task: what is done.
        contenders: who does it, by name, each with the module of its list.
        threads: of each process.
        rounds: turns of each.
    """
    with ExitStack() as stack:
        processes = {name: stack.enter_context(_process(module, name, threads)) for name, module in contenders.items()}
        found, able = {}, {}
        for name, process in processes.items():
            ready = _answer(process, task.as_dict())
            if not ready.get("able", True):
                continue
            found[name] = Seconds(name, failed=ready.get("failed", ""))
            if "able" in ready:
                able[name] = process
        for _ in range(rounds):
            for name, process in able.items():
                _add(found[name], _answer(process, "go"))
    yield from found.values()


@contextmanager
def _process(module: str, name: str, threads: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "torch_retinanet.benchmark.worker", module, name]
    environment = os.environ | dict.fromkeys(THREADS, str(threads)) | ALIKE
    with subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _answer(process: subprocess.Popen[str], said: Any) -> Mapping[str, Any]:
    """What a process answers to a line."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(said) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
    except BrokenPipeError:
        line = ""
    answer: Mapping[str, Any] = json.loads(line) if line else {"failed": "its process ended"}
    return answer


def _add(seconds: Seconds, answer: Mapping[str, Any]) -> None:
    if "failed" in answer:
        seconds.failed = answer["failed"]
        return
    seconds.cpu.append(answer["cpu"])
    seconds.wall.append(answer["wall"])
    seconds.memory = answer["memory"]
