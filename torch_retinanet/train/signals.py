"""Ends a run between two steps, where nothing is half done, when it is asked to."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether somebody asked for the end: Ctrl-C, or the system. A second Ctrl-C ends at once."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self, number: int, frame: FrameType | None) -> None:
        """Take note of a signal."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@contextmanager
def stopping() -> Iterator[Stop]:
    """Signals are noted meanwhile, and as they were afterwards."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # Python gives signals to the main thread alone
        return
    before = [signal.signal(number, stop.ask) for number in SIGNALS]
    try:
        yield stop
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            signal.signal(number, handler)


def leave_signals_to_the_run(worker: int) -> None:
    """For processes that read pictures: the run ends them."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
