"""Several presets climbed beside each other, each in a process of its own with its share of the cores.

One process after the other would leave half of two cores idle, and one process for all would keep the memory of each.
"""

import os
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait

from parity_tests.ladder.climb import ClimbProgress
from parity_tests.ladder.provenance import THREADS
from parity_tests.rule.result import PresetResult

HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""With large arrays a seventh of the CPU time goes into small pages of memory, which glibc asks for by default."""

Climb = Callable[[Namespace, str, Callable[[ClimbProgress], None]], PresetResult]
"""What climbs the ladder of one preset, and tells how far it has come."""


def climb_in_processes(
    climb: Climb, options: Namespace, presets: Sequence[str], report: Callable[[ClimbProgress], None]
) -> list[PresetResult]:
    """What `climb` gives for each preset, in order.

    Raises:
        Exception: what the first process raised that failed; the others are ended.
    """
    climbed: dict[str, PresetResult] = {}
    with _processes(climb, options, presets) as waiting:
        while waiting:
            for connection in wait(list(waiting)):
                assert isinstance(connection, Connection)
                message = _receive(connection, waiting[connection])
                if isinstance(message, Exception):
                    raise message
                if isinstance(message, ClimbProgress):
                    report(message)
                else:
                    climbed[message.preset] = message
                    del waiting[connection]
    return [climbed[preset] for preset in presets]


@contextmanager
def _processes(climb: Climb, options: Namespace, presets: Sequence[str]) -> Iterator[dict[Connection, str]]:
    """Started processes by the connection to each; all are ended in the end."""
    context = get_context("spawn")
    started = []
    connections: dict[Connection, str] = {}
    try:
        with started_with(threads(max(1, (os.cpu_count() or 1) // len(presets))) | HUGE_PAGES):
            for preset in presets:
                here, there = context.Pipe(duplex=False)
                process = context.Process(target=_work, args=(climb, options, preset, there), daemon=True)
                process.start()
                there.close()
                started.append(process)
                connections[here] = preset
        yield connections
    finally:
        for process in started:
            process.terminate()
            process.join()


def _work(climb: Climb, options: Namespace, preset: str, there: Connection) -> None:
    """What runs in a process: its messages are how far it has come, then all records, or what it failed of."""
    try:
        there.send(climb(options, preset, there.send))
    except KeyboardInterrupt:
        return
    except Exception as error:  # whatever it is, the command must hear of it
        there.send(error)


def _receive(connection: Connection, preset: str) -> ClimbProgress | PresetResult | Exception:
    try:
        message: ClimbProgress | PresetResult | Exception = connection.recv()
    except EOFError:
        raise OSError(f"the process of preset {preset} was killed, probably out of memory; run it alone") from None
    return message


def threads(count: int) -> dict[str, str]:
    """What gives a process so many threads."""
    return dict.fromkeys(THREADS, str(count))


@contextmanager
def started_with(variables: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for what is started meanwhile, where the user has not set them."""
    ours = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            del os.environ[name]
