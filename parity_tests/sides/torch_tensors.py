"""Tensors of torch, of a torch module or of Keras on torch, as a capture knows them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from parity_tests.rule.record import Array
from parity_tests.sides.capture import Ends, Gradients, Mark

DTYPES = {"float32": torch.float32, "float64": torch.float64}


class TorchTensors:
    """Tensors on the CPU in one precision."""

    def __init__(self, dtype: str) -> None:
        self.dtype = DTYPES[dtype]

    def is_tensor(self, value: Any) -> bool:
        return isinstance(value, Tensor)

    def array(self, tensor: Tensor) -> Array:
        values: Array = tensor.detach().cpu().numpy().copy()
        return values

    def tensor(self, values: Array) -> Tensor:
        plain = values.flags.writeable and all(stride >= 0 for stride in values.strides)
        given = torch.from_numpy(values if plain else np.array(values))
        tensor = given.contiguous()
        tensor = tensor.clone() if tensor is given else tensor  # a map of 1x1 keeps its strides, by which torch chooses
        return tensor.to(self.dtype) if tensor.is_floating_point() else tensor

    def differentiate(self, run: Callable[[Mark], Ends], parameters: Mapping[str, Any]) -> Gradients:
        nodes: list[Tensor] = []

        def mark(tensor: Tensor) -> Tensor:
            floating = tensor.is_floating_point()
            node = tensor.view_as(tensor) if tensor.requires_grad else tensor.detach().requires_grad_(floating)
            nodes.append(node)
            return node.clone()  # which the model may change in place

        with torch.enable_grad():
            ends = run(mark)
        found = _gradients(ends, [*(node for node in nodes if node.requires_grad), *parameters.values()])[::-1]
        marked = [self.array(found.pop()) if node.requires_grad else None for node in nodes]  # each is let go as it is
        return Gradients(marked, {name: self.array(found.pop()) for name in parameters})

    def held(self, value: Tensor, *, trainable: bool) -> nn.Parameter:
        """What a variable of Keras holds: a copy of a value in the precision of the run."""
        copied = value.detach().clone()
        return nn.Parameter(copied.to(self.dtype) if copied.is_floating_point() else copied, requires_grad=trainable)

    def handle(self, variable: Any) -> Any:
        """By what `differentiate` takes a variable of Keras."""
        return variable._value

    @contextmanager
    def running(self) -> Iterator[None]:
        """Dropout draws the same numbers in each run, and the user's generator stays as it is."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            yield


def _gradients(ends: Ends, sources: list[Tensor]) -> list[Tensor]:
    """Zeros by what nothing depends on."""
    started = [(end, gradient) for end, gradient in zip(*ends, strict=True) if end.requires_grad]
    if not started or not sources:
        return [torch.zeros_like(source) for source in sources]
    outputs, upstream = zip(*started, strict=True)
    return list(torch.autograd.grad(outputs, sources, upstream, allow_unused=True, materialize_grads=True))
