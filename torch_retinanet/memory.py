"""Memory of this process: what a training step frees is kept for the next one.

The C library of Linux gives large blocks back to the system at once, and takes them again in the next step. The system
fills each with zeros, which takes up to a fifth of a step on a CPU.
"""

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Settings of `mallopt` in glibc's malloc.h."""

LARGEST = 2**30
"""Bytes of the largest block that is kept."""


def keep_freed_memory() -> bool:
    """Keep what is freed, from now on and in the whole process; gives whether it can, which only glibc can.

    A process then has the most memory that it ever had, and somewhat more where sizes of pictures vary.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no such function; no such library, as on Windows
        return False
    return bool(mallopt(MMAP_THRESHOLD, LARGEST) and mallopt(TRIM_THRESHOLD, 2**31 - 1))
