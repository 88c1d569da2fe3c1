"""Pickles of numpy arrays in plain tables, as detectron2's model zoo has; what else a pickle names is refused.

A pickle names what it calls. This reader knows the few names that arrays of numpy 1 and 2 need, and puts its own
functions in their place, made anew for each file: nothing of numpy, and nothing else, is called by a file.
"""

import math
import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from torch_retinanet.errors import InputError
from torch_retinanet.weights.containers.state_dict import MOST_TABLES, tensor_file, write_torch
from torch_retinanet.weights.containers.tensor_file import TensorFile

AUTHOR = "torch_retinanet"
"""By `__author__` detectron2 knows a pickle that it need not convert."""

NUMBERS = {f"{kind}{size}" for kind in "iuf" for size in (1, 2, 4, 8)} - {"f1"} | {"b1"}
"""The codes of dtypes that are read: whole and floating numbers, and truth values."""

BROKEN = (
    *(pickle.UnpicklingError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError),
    *(OverflowError, MemoryError, RecursionError, ImportError),
)
"""What reading a damaged pickle raises."""


class RefusedError(Exception):
    """A pickle names what is no array and no plain container."""


class HeldDtype:
    """A dtype as a pickle describes it: its code, then the order of bytes."""

    def __init__(self, code: Any) -> None:
        self.code, self.order = str(code), "<"

    def __setstate__(self, state: Any) -> None:
        self.order = str(state[1])

    def made(self) -> "np.dtype[Any]":
        """The dtype of numpy."""
        if self.code.lstrip("<>|=") not in NUMBERS or self.order not in "<>|=":
            raise RefusedError(f"an array of dtype {self.code}")
        order: Any = self.order
        made: np.dtype[Any] = np.dtype(self.code).newbyteorder(order)
        return made


class HeldArray:
    """An array as a pickle describes it, its numbers as bytes."""

    def __init__(self, data: Any = b"", dtype: Any = None, shape: Any = (0,), *, fortran: bool = False) -> None:
        self.data, self.dtype, self.shape, self.fortran = data, dtype, shape, fortran

    def __setstate__(self, state: Any) -> None:
        self.shape, self.dtype, self.fortran, self.data = state[-4:]

    def made(self) -> Tensor:
        """The array as a tensor."""
        if not isinstance(self.dtype, HeldDtype):
            raise ValueError("an array without a dtype")
        dtype = self.dtype.made()
        data = self.data.encode("latin1") if isinstance(self.data, str) else self.data
        shape = tuple(self.shape)
        if not isinstance(data, (bytes, bytearray)) or len(data) != math.prod(shape) * dtype.itemsize:
            raise ValueError("an array of another size than its shape")
        array = np.frombuffer(data, dtype).reshape(shape, order="F" if self.fortran else "C")
        return torch.from_numpy(array.astype(dtype.newbyteorder("="), order="C"))


def known_names() -> dict[tuple[str, str], Callable[..., Any]]:
    """What stands in for each name that a pickle of arrays has; anew, as a pickle can set attributes of it."""

    def reconstruct(*given: Any) -> HeldArray:
        return HeldArray()

    def frombuffer(data: Any, dtype: Any, shape: Any, order: Any) -> HeldArray:
        return HeldArray(data, dtype, shape, fortran=order == "F")

    def dtype(code: Any, *flags: Any) -> HeldDtype:
        return HeldDtype(code)

    def encode(text: str, encoding: str = "latin1") -> bytes:
        return text.encode("latin1")

    def kind(*given: Any) -> None:
        raise RefusedError("numpy.ndarray, called")

    def empty_bytes() -> bytes:
        return b""

    found: dict[tuple[str, str], Callable[..., Any]] = {("numpy", "ndarray"): kind, ("numpy", "dtype"): dtype}
    for room in ("numpy.core", "numpy._core"):
        found |= {(f"{room}.multiarray", "_reconstruct"): reconstruct, (f"{room}.numeric", "_frombuffer"): frombuffer}
    found |= {("codecs", "encode"): encode, ("_codecs", "encode"): encode, ("collections", "OrderedDict"): OrderedDict}
    return found | {("builtins", "bytes"): empty_bytes, ("__builtin__", "bytes"): empty_bytes}


class ArrayUnpickler(pickle.Unpickler):
    """Reads a pickle whose names are all known."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, encoding="latin1")  # the zoo's oldest files are of Python 2
        self.known = known_names()

    def find_class(self, module: str, name: str) -> Any:
        """What stands in for a name."""
        if (module, name) not in self.known:
            raise RefusedError(f"{module}.{name}")
        return self.known[module, name]


def read_numpy_pickle(path: Path) -> TensorFile:
    """The arrays of a pickle as tensors; nothing in it is run.

    Raises:
        InputError: for a file that is not whole, names something else, or holds no state dict.
    """
    try:
        with path.open("rb") as file:
            held = _with_tensors(ArrayUnpickler(file).load())
    except RefusedError as error:
        raise InputError(f"{path}: names {error}, and only arrays in plain tables are read from a pickle") from None
    except BROKEN as error:
        raise InputError(f"{path}: not a whole pickle of arrays ({type(error).__name__})") from None
    return tensor_file(path, held)


def write_by_suffix(path: Path, held: Mapping[str, Any]) -> None:
    """A table with a state dict as detectron2 writes it: a pickle of arrays for `.pkl`, or a file of torch."""
    if path.suffix != ".pkl":
        return write_torch(path, held)
    arrays = {name: tensor.float().numpy() for name, tensor in held["model"].items()}
    with path.open("wb") as file:
        pickle.dump({"model": arrays, "__author__": AUTHOR}, file, protocol=4)


def _with_tensors(held: Any, depth: int = MOST_TABLES) -> Any:
    if isinstance(held, HeldArray):
        return held.made()
    if isinstance(held, dict) and depth:
        return {name: _with_tensors(value, depth - 1) for name, value in held.items()}
    return held
