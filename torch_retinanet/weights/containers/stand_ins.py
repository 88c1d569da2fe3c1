"""Stand-ins for what a checkpoint of torch holds beside tensors: nothing that its file names is looked up or called.

A pickle names the classes of its objects and the functions that make them. torch refuses names that it does not know.
Here each gets a class of this module in its place, which takes what it is given and keeps none of it.
"""

from collections.abc import Callable, Iterable
from typing import Any, BinaryIO

import torch

FUNCTIONS = frozenset(
    {
        *(f"numpy.{room}.multiarray.{name}" for room in ("core", "_core") for name in ("scalar", "_reconstruct")),
        *("numpy.ndarray", "numpy.dtype", "datetime.date", "datetime.datetime", "datetime.timedelta"),
        *("builtins.frozenset", "builtins.range", "builtins.slice"),
        "builtins.getattr",  # by which mmengine's HistoryBuffer names its methods
    }
)
"""Names in lower case that training scripts save; a file with another one is refused, since it may mean harm."""


class InertObject:
    """What is put in the place of a class or function, and of the object that it would make."""

    def __new__(cls, *given: Any) -> "InertObject":
        """An object of nothing that is given."""
        return super().__new__(cls)

    def __init__(self, *given: Any) -> None:
        """Keeps nothing."""

    def __setstate__(self, state: Any) -> None:
        """Keeps nothing."""


def unknown_names(file: BinaryIO) -> list[str]:
    """What a file names that torch does not know, in order; nothing for a file of torch before 1.6, or of TorchScript.

    The file is read from its beginning, and is there again afterwards.
    """
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(file))
    except ValueError:
        return []
    finally:
        file.seek(0)


def stand_ins(names: Iterable[str]) -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """A class for each name, made anew for each file, that torch takes for what is named: it has that name."""
    parts = (name.rpartition(".") for name in names)
    return [type(name, (InertObject,), {"__module__": module}) for module, _, name in parts]


def name_of(found: InertObject) -> str:
    """What it stands in for, as the file names it."""
    return f"{type(found).__module__}.{type(found).__name__}"


def is_known(name: str) -> bool:
    """Whether a name is one of a class, by its capital, or of what training scripts save."""
    return name in FUNCTIONS or name.rpartition(".")[2].lstrip("_")[:1].isupper()
