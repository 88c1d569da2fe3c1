"""What is found in a file of another program: tensors by its names, and what else it says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class TensorFile:
    """Tensors in torch's layout, by the names of the program that wrote them.

    Attributes:
        source: what sentences call it: the path of the file, or the name of published weights.
        tensors: by name.
        path: the file, where there is one.
        class_names: of the classes, where the file says them.
        settings: what else it says, as plain values by name.
        other: the tables of tensors in it that these are not, as a moving average.
        wrapped: what it calls a tensor whose name is given without the module that the network lay in.
    """

    source: str
    tensors: Mapping[str, Tensor]
    path: Path | None = None
    class_names: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    other: tuple[str, ...] = ()
    wrapped: Mapping[str, str] = field(default_factory=dict)
