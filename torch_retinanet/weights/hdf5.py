"""HDF5 files: written, and read though they may be damaged. h5py is imported here alone, with the first such file."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from torch_retinanet.errors import InputError

if TYPE_CHECKING:
    import h5py


def numbered(name: str, position: int) -> str:
    """Keras 3's name of a layer of a class by its position: `conv2d`, `conv2d_1`, `conv2d_2`."""
    return f"{name}_{position}" if position else name


def shape_of(dataset: h5py.Dataset) -> tuple[int, ...]:
    """The shape of a dataset; `()` for one without any values."""
    return dataset.shape or ()


def datasets_in(file: h5py.File) -> dict[str, h5py.Dataset]:
    """All datasets of a file by path."""
    import h5py

    found: dict[str, h5py.Dataset] = {}
    file.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
    return found


def read_variable(path: Path, dataset: h5py.Dataset) -> Tensor:
    """A dataset of floating numbers, in the machine's byte order.

    Raises:
        InputError: for another type of values.
    """
    if dataset.external or dataset.is_virtual:
        raise InputError(f"{path}: {dataset.name} keeps its values in another file, which is not opened")
    if dataset.dtype.kind != "f" or dataset.dtype.itemsize not in (2, 4, 8):
        raise InputError(f"{path}: {dataset.name} has dtype {dataset.dtype}, and must be floating")
    return torch.from_numpy(np.asarray(dataset[()], dataset.dtype.newbyteorder("=")))


def within(path: Path, group: h5py.Group, place: str) -> h5py.Group | h5py.Dataset:
    """What stands at a place `a/b/c` in a group, without following a link out of the file.

    Raises:
        InputError: for a link to another file, which must not be opened.
        KeyError: where nothing stands there.
    """
    import h5py

    found: h5py.Group | h5py.Dataset = group
    for part in place.split("/"):
        if isinstance(found.get(part, getlink=True), h5py.ExternalLink):
            raise InputError(f"{path}: {part} is kept in another file, which is not opened")
        found = found[part]
    return found


def holds(group: h5py.Group, place: str) -> bool:
    """Whether something stands at a place `a/b/c` in a group; a link to another file does, and is not followed."""
    import h5py

    first, _, rest = place.strip("/").partition("/")
    link = group.get(first, getlink=True)
    if link is None or not rest or isinstance(link, h5py.ExternalLink):
        return link is not None
    inner = group.get(first)
    return isinstance(inner, h5py.Group) and holds(inner, rest)


@contextmanager
def opened(path: Path, content: io.BytesIO | None = None) -> Iterator[h5py.File]:
    """The HDF5 file at `path`, or the one that was found within it.

    Raises:
        InputError: where it is not whole; h5py says so in several ways, at opening or at reading.
    """
    import h5py

    try:
        with h5py.File(content or path, "r") as file:
            yield file
    except InputError:
        raise
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, AttributeError, MemoryError) as error:
        raise InputError(f"{path}: not a whole HDF5 file ({error})") from None


def written(path: Path | io.BytesIO) -> h5py.File:
    """A new HDF5 file, to be written in a `with` statement."""
    import h5py

    return h5py.File(path, "w")


def write_names(group: h5py.Group, attribute: str, names: Sequence[str]) -> None:
    """Write names as an attribute, as Keras 2 has them: an empty list is one of numbers."""
    import h5py

    group.attrs[attribute] = np.array(names, dtype=h5py.string_dtype()) if names else np.array([], dtype=np.float64)
