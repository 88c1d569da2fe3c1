"""Memory that is not used any more: not looked for where there is none, and given back where there is."""

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collecting() -> Iterator[None]:
    """While frameworks are loaded: they make 700,000 objects that stay, and looking through them takes a third longer.

    What is there in the end is not looked through again, however often the collector runs: once they are loaded it is
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


def give_memory_back() -> None:
    """Let go of what only holds itself, as optimisers of Keras do, and of what the C library has kept for later."""
    gc.collect()
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)
