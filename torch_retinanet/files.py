"""Writing a file whole or not at all."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from torch_retinanet.errors import InputError

NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EBADF)
"""What systems say where a folder cannot be locked."""

HALVES = ".*.part"
"""How the folders in which files are being written are called."""


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A path to write to, renamed to `path` at the end and removed where writing fails.

    It lies in a folder of its own beside `path`, which also holds whatever a library writes on its way there. A link is
    followed: what it points to is replaced.

    Raises:
        OSError: where `path` cannot be written, naming it and why.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path}: is a folder, and must be a file")
    target = path.resolve()
    try:
        folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=".", suffix=".part"))
    except OSError as error:
        raise OSError(f"{path}: cannot be written, {error.strerror}") from None
    beside = folder / target.name
    try:
        yield beside
        beside.chmod(0o666 & ~_umask())
        beside.replace(target)
    except SafetensorError as error:
        raise OSError(f"{path}: cannot be written, {error}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Within it no other process writes to a folder that does the same; the system ends it with the process.

    Where the system has no such locks, as on Windows and on some network drives, nothing is refused.

    Raises:
        InputError: where another one does.
    """
    if os.name != "posix":
        yield
        return
    lock = os.open(folder, os.O_RDONLY)
    _HELD.add(lock)
    try:
        _lock(lock, folder)
        yield
    finally:
        if lock in _HELD:
            _HELD.remove(lock)
            os.close(lock)


def remove_halves(folder: Path) -> None:
    """Remove what a process that was ended was writing in a folder and those within."""
    for path in folder.rglob(HALVES):
        shutil.rmtree(path, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _lock(descriptor: int, folder: Path) -> None:
    import fcntl  # which Windows does not have

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(f"{folder}: another process writes to it; wait for its end, or take another folder") from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise


_HELD: set[int] = set()
"""Descriptors of locked folders."""


def _let_go() -> None:
    """A process that was forked, as to read pictures, may outlive the one that writes, and must not hold its lock."""
    while _HELD:
        os.close(_HELD.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
