"""Writing a file whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

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


def remove_halves(folder: Path) -> None:
    """Remove what a process that was ended was writing in a folder and those within."""
    for path in folder.rglob(HALVES):
        shutil.rmtree(path, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
