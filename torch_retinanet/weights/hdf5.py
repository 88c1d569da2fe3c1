"""Opening HDF5 files that may be damaged."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from torch_retinanet.errors import InputError


@contextmanager
def opened(path: Path, content: io.BytesIO | None = None) -> Iterator[h5py.File]:
    """The HDF5 file at `path`, or the one that was found within it.

    Raises:
        InputError: where it is not whole; h5py says so in several ways, at opening or at reading.
    """
    try:
        with h5py.File(content or path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError) as error:
        raise InputError(f"{path}: not a whole HDF5 file ({error})") from None
