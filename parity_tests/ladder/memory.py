"""Memory that is not used any more: not looked for where there is none, and given back where there is."""

import ctypes
import gc
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GROWN = 2**27
"""Bytes by which a process must have grown before it is looked for what can be given back."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""Parameters of glibc's `mallopt`: its malloc.h has these numbers."""

STATM = Path("/proc/self/statm")
"""Where Linux says how many pages a process holds."""


@contextmanager
def without_collecting() -> Iterator[None]:
    """While frameworks are loaded: they make 700,000 objects that stay, and looking through them takes a third longer.

    What is there in the end is not looked through again, however often the builder runs: once they are loaded it is
    left alone, as what was there by then might be garbage.
    """
    if "keras" in sys.modules:
        yield
        return
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


def keep_for_reuse() -> None:
    """Have glibc keep what is freed for whoever asks next, on whatever thread, until it is given back.

    Models in training ask for the same again at each step: of the notebook's rungs that train it took 0.4 GiB of 4.2
    and 3% of the CPU time away. This is of the whole process: it is for a command, and not for a library.
    """
    if setting := getattr(ctypes.CDLL(None), "mallopt", None):
        setting(M_ARENA_MAX, 1)
        setting(M_MMAP_THRESHOLD, 2**25)
        setting(M_TRIM_THRESHOLD, 2**31 - 1)


class Room:
    """Gives memory back where a process has grown: looking for it takes longer than comparing two small models."""

    def __init__(self) -> None:
        self._before = memory_held()

    def make(self) -> None:
        """Let go of what only holds itself, as optimisers of Keras do, and of what the C library has kept for later."""
        held = memory_held()
        if held and held < self._before + GROWN:
            return
        gc.collect()
        if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
            trim(0)
        self._before = memory_held()


def memory_held() -> int:
    """The bytes that this process holds now; 0 where the system does not say."""
    if not STATM.exists():
        return 0
    return int(STATM.read_text().split()[1]) * resource.getpagesize()
