"""What is found in a file of another program: tensors by its names, and what else it says."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor


@dataclass(frozen=True)
class TensorFile:
    """Tensors in torch's layout, by the names of the program that wrote them.

    Attributes:
        source: what sentences call it: the path of the file, or the name of published weights.
        tensors: by name.
        path: the file, where there is one.
        class_names: of the classes, where the file says them.
    """

    source: str
    tensors: Mapping[str, Tensor]
    path: Path | None = None
    class_names: tuple[str, ...] = ()
