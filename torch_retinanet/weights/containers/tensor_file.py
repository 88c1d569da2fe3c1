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
        table: where these lie in it, by the names of tables, outermost first.
        other: where other tables of tensors lie in it, as a moving average.
        module: what its names begin with, where the network lay in a module: `net.`.
        wrapped: what it calls a tensor whose name is given without that.
        beside: tensors of the same table that lay in no part of that module.
    """

    source: str
    tensors: Mapping[str, Tensor]
    path: Path | None = None
    class_names: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    table: tuple[str, ...] = ()
    other: tuple[tuple[str, ...], ...] = ()
    module: str = ""
    wrapped: Mapping[str, str] = field(default_factory=dict)
    beside: tuple[str, ...] = ()
