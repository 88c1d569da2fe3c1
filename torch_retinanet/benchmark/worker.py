"""One contender in a process of its own, which does its task whenever it is told to.

Started as `python -m torch_retinanet.benchmark.worker MODULE NAME`: the contender of a name in a module's list. It
reads a task as a line of JSON, gets ready, and answers with a line; then each line that it reads is one turn, and the
answer is what the turn took.
"""

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from torch_retinanet.benchmark.task import Task

PLAIN_FAILURES = (ImportError, RuntimeError, ValueError, OSError, NotImplementedError)
"""What a library raises for a task that it cannot do."""

MOST_LETTERS = 300
"""Of what it said that are kept."""


def main(module: str, name: str) -> None:
    """Answer the lines of stdin until it ends; whatever a library prints goes to stderr."""
    answers, sys.stdout = sys.stdout, sys.stderr
    given = json.loads(sys.stdin.readline())
    task = Task(**given | {"files": tuple(given["files"])})
    before = _peak_bytes()

    def answer(**facts: Any) -> None:
        answers.write(json.dumps(facts) + "\n")
        answers.flush()

    try:
        contender = next(one for one in importlib.import_module(module).CONTENDERS if one.name == name)
        run = contender.prepare(task)
        if run is not None:
            run()  # what is compiled, and kept for the next turn, is no part of any
    except PLAIN_FAILURES as error:
        answer(failed=" ".join(f"{type(error).__name__}: {error}".split())[:MOST_LETTERS])
        return
    answer(able=run is not None)
    for _ in sys.stdin if run is not None else ():
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        answer(wall=time.perf_counter() - wall, cpu=time.process_time() - cpu, memory=_peak_bytes() - before)


def _peak_bytes() -> int:
    """The most memory that this process ever had."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) * 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
