"""Reading HDF5 files that may be damaged."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from torch_retinanet.errors import InputError


def shape_of(dataset: h5py.Dataset) -> tuple[int, ...]:
    """The shape of a dataset; `()` for one without any values."""
    return dataset.shape or ()


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


@contextmanager
def opened(path: Path, content: io.BytesIO | None = None) -> Iterator[h5py.File]:
    """The HDF5 file at `path`, or the one that was found within it.

    Raises:
        InputError: where it is not whole; h5py says so in several ways, at opening or at reading.
    """
    try:
        with h5py.File(content or path, "r") as file:
            yield file
    except InputError:
        raise
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, AttributeError, MemoryError) as error:
        raise InputError(f"{path}: not a whole HDF5 file ({error})") from None
