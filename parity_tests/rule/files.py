"""Files and folders that are written whole or not at all: beside their place, then renamed. Needs nothing."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A path to write a file or a folder to, renamed to `path` at the end and removed where writing fails.

    Raises:
        OSError: where `path` cannot be written, naming it and why.
    """
    target = path.resolve()
    try:
        folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=".", suffix=".part"))
    except OSError as error:
        raise OSError(f"{path}: cannot be written, {error.strerror}") from None
    try:
        beside = folder / target.name
        yield beside
        beside.chmod(_mode(beside))
        if beside.is_dir() and target.is_dir():
            _exchange(beside, target, folder / "replaced")
        else:
            beside.rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _exchange(new: Path, target: Path, old: Path) -> None:
    """Put a folder in the place of another, which comes back where that fails."""
    target.rename(old)
    try:
        new.rename(target)
    except OSError:
        old.rename(target)
        raise


def _mode(path: Path) -> int:
    mask = os.umask(0)
    os.umask(mask)
    return (0o777 if path.is_dir() else 0o666) & ~mask
