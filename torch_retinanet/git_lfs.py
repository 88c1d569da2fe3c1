"""Pointers that Git LFS leaves in place of large files (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md)."""

from pathlib import Path

from torch_retinanet.errors import InputError

MARK = b"version https://git-lfs.github.com/spec/"
"""How a pointer begins."""

POINTER = "a Git LFS pointer in place of the file itself, which `git lfs pull` in its repository fetches"


def is_pointer(path: str | Path) -> bool:
    """Whether a file is a pointer, and not what it points to."""
    try:
        with Path(path).open("rb") as file:
            return file.read(len(MARK)) == MARK
    except OSError:
        return False


def read_content(path: Path) -> bytes:
    """The bytes of a file that is no pointer.

    Raises:
        InputError: for a pointer.
        OSError: for a file that cannot be read.
    """
    content = path.read_bytes()
    if content.startswith(MARK):
        raise InputError(f"{path}: is {POINTER}")
    return content
