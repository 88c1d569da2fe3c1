"""Tensors of torch, of a torch module or of Keras on torch, as a capture knows them."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from parity_tests.rule.record import Array
from parity_tests.sides.capture import Ends, Gradients, Mark, are_whole

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}
"""Precisions; numpy has no bfloat16, and is given its numbers in float32."""


ROUNDED = {functional.hardsigmoid}
"""Functions that take a float32 number for a sixth on the way back, whatever they compute in."""


class TorchTensors:
    """Tensors on the CPU in one precision."""

    def __init__(self, dtype: str) -> None:
        self.dtype, self.coarse, self.goes_back = DTYPES[dtype], 0, False

    def is_tensor(self, value: Any) -> bool:
        return isinstance(value, Tensor)

    def array(self, tensor: Tensor) -> Array:
        known = tensor.float() if tensor.dtype is torch.bfloat16 else tensor
        values: Array = known.detach().cpu().numpy().copy()
        return values

    def tensor(self, values: Array) -> Tensor:
        coarse = self.coarse
        plain = values.flags.writeable and all(stride >= 0 for stride in values.strides)
        given = torch.from_numpy(values if plain else np.array(values))
        tensor = given.contiguous()
        tensor = tensor.clone() if tensor is given else tensor  # a map of 1x1 keeps its strides, by which torch chooses
        made = tensor.to(self.dtype) if tensor.is_floating_point() else tensor
        self.coarse = coarse  # what is made here does not count
        return made

    def differentiate(self, run: Callable[[Mark], Ends], parameters: Mapping[str, Any]) -> Gradients:
        nodes: list[Tensor] = []

        def mark(tensor: Tensor) -> Tensor:
            floating = tensor.is_floating_point()
            node = tensor.view_as(tensor) if tensor.requires_grad else tensor.detach().requires_grad_(floating)
            nodes.append(node)
            return node.clone()  # which the model may change in place

        with torch.enable_grad(), patch.object(self, "goes_back", new=True):
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
        """Dropout draws the same numbers in each run, and the user's generator stays as it is.

        In float64 every operation is looked at. What `torch.compile` has wrapped runs as it is written.
        """
        compiled = "torch._dynamo" in sys.modules  # which is slow to load
        eager = torch.compiler.set_stance("force_eager") if compiled else nullcontext()
        watch = _Watch(self) if self.dtype is torch.float64 else nullcontext()
        with torch.random.fork_rng(devices=[]), eager, watch:
            torch.manual_seed(0)
            yield


class _Watch(TorchFunctionMode):
    """Counts what computes in fewer digits than float64."""

    def __init__(self, tensors: TorchTensors) -> None:
        super().__init__()
        self._tensors = tensors

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        results = result if isinstance(result, (list, tuple)) else [result]
        self._tensors.coarse += any(map(_is_coarse, results)) or (function in ROUNDED and self._tensors.goes_back)
        return result


def _is_coarse(value: Any) -> bool:
    """Whether an operation gave numbers of fewer digits than float64, and not whole ones, which are the same in any."""
    if not isinstance(value, Tensor) or not (value.is_floating_point() or value.is_complex()):
        return False
    digits = value.dtype.itemsize // (2 if value.is_complex() else 1)
    return digits < 8 and not are_whole(value.detach().resolve_conj().to("cpu", torch.complex128).numpy())


def _gradients(ends: Ends, sources: list[Tensor]) -> list[Tensor]:
    """Zeros by what nothing depends on."""
    started = [(end, gradient) for end, gradient in zip(*ends, strict=True) if end.requires_grad]
    if not started or not sources:
        return [torch.zeros_like(source) for source in sources]
    outputs, upstream = zip(*started, strict=True)
    return list(torch.autograd.grad(outputs, sources, upstream, allow_unused=True, materialize_grads=True))
