"""`.keras` archives of Keras 3: the weights in one, and the text that says what its model is; nothing in it is run.

Source: keras/src/saving/saving_lib.py.
"""

from __future__ import annotations

import io
import json
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch_retinanet.errors import InputError
from torch_retinanet.weights.hdf5 import written

if TYPE_CHECKING:
    import h5py

WEIGHTS_MEMBER = "model.weights.h5"
"""The weights within an archive."""

CONFIG_MEMBER = "config.json"
"""What the model in it is."""

DAMAGES = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError),
    *(NotImplementedError, RuntimeError),
)
"""What zipfile raises of an archive that is not whole; of a place before its beginning, an error of the system."""

LARGEST_CONFIG = 2**20
"""Bytes of it; some 500 to 4000 are used."""


def config_in(path: Path) -> bytes:
    """The text that says what the model in an archive is; an empty table where there is none.

    Raises:
        InputError: for an archive that is not whole, and a text that is too long.
    """
    with _opened(path) as archive:
        if CONFIG_MEMBER not in archive.namelist():
            return b"{}"
        if archive.getinfo(CONFIG_MEMBER).file_size > LARGEST_CONFIG:
            raise InputError(f"{path}: {CONFIG_MEMBER} in it must have {LARGEST_CONFIG} bytes at most")
        return archive.read(CONFIG_MEMBER)


def weights_in(path: Path) -> io.BytesIO:
    """The HDF5 file of the weights in an archive.

    Raises:
        InputError: for an archive that is not whole, or claims to hold more than it has.
    """
    with _opened(path) as archive:
        member = archive.getinfo(WEIGHTS_MEMBER)
        if member.file_size > 4 * path.stat().st_size:
            raise InputError(f"{path}: {WEIGHTS_MEMBER} claims {member.file_size} bytes, more than the archive has")
        return io.BytesIO(archive.read(member))


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    with path.open("rb") as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                yield archive
        except InputError:
            raise
        except KeyError:
            raise InputError(f"{path}: the archive has no {WEIGHTS_MEMBER}") from None
        except DAMAGES as error:
            raise InputError(f"{path}: not a whole .keras archive ({error})") from None


def write_archive(
    path: Path, config: Mapping[str, Any], metadata: Mapping[str, Any], write: Callable[[h5py.File], None]
) -> None:
    """An archive with this config and metadata, whose weights `write` writes."""
    buffer = io.BytesIO()
    with written(buffer) as file:
        write(file)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps(metadata))
        archive.writestr(CONFIG_MEMBER, json.dumps(config))
        archive.writestr(WEIGHTS_MEMBER, buffer.getbuffer())
