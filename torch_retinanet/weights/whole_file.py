"""Writing a file whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """A path in the same folder to write to, renamed to `path` at the end and removed where writing fails.

    A link is followed: what it points to is replaced.

    Raises:
        OSError: where `path` cannot be written, naming it and why.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path}: is a folder, and must be a file")
    target = path.resolve()
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".part")
    except OSError as error:
        raise OSError(f"{path}: cannot be written, {error.strerror}") from None
    os.close(handle)
    beside = Path(name)
    try:
        yield beside
        beside.chmod(0o666 & ~_umask())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
