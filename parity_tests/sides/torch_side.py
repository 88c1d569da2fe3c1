"""A torch module as a side: a copy of it on the CPU, in one precision, in inference mode."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from parity_tests.rule.errors import InputError
from parity_tests.rule.record import Array
from parity_tests.sides.capture import Differentiate
from parity_tests.sides.names import unknown
from parity_tests.sides.tapped_side import TappedSide

DTYPES = {"float32": torch.float32, "float64": torch.float64}


class TorchSide(TappedSide):
    """A copy of a module with taps at the paths of some of its submodules, as `get_submodule` takes them."""

    method = "forward"

    def __init__(self, module: nn.Module, taps: Mapping[str, str], dtype: str) -> None:
        self.dtype = dtype
        self.module = copy.deepcopy(module).to(device="cpu", dtype=DTYPES[dtype]).eval()
        self.modules = {tap: self.module.get_submodule(path) for tap, path in taps.items()}
        self._names = {id(parameter): name for name, parameter in self.module.named_parameters()}

    def parameters(self) -> dict[str, Array]:
        return {name: self.array(tensor) for name, tensor in floating(self.module).items()}

    def assign(self, values: Mapping[str, Array]) -> None:
        assign(self.module, values)

    def run(self, inputs: Sequence[Any]) -> Any:
        return self.module(*inputs)

    def trainable(self, module: Any) -> dict[str, Any]:
        parameters = (self.module if module is None else module).parameters()
        return {self._names[id(p)]: p for p in parameters if p.requires_grad}

    def is_tensor(self, value: Any) -> bool:
        return isinstance(value, Tensor)

    def array(self, tensor: Tensor) -> Array:
        values: Array = tensor.detach().numpy().copy()
        return values

    def tensor(self, values: Array) -> Tensor:
        tensor = torch.from_numpy(np.array(values))
        return tensor.to(DTYPES[self.dtype]) if tensor.is_floating_point() else tensor

    def unshared(self, tensor: Tensor) -> Tensor:
        return tensor.clone()

    @contextmanager
    def recording(self, inputs: Sequence[Tensor]) -> Iterator[Differentiate]:
        for tensor in inputs:
            tensor.requires_grad_(tensor.is_floating_point())
        with torch.enable_grad():
            yield _differentiate


def _differentiate(targets: Sequence[Tensor], upstream: Sequence[Tensor], sources: Sequence[Tensor]) -> list[Any]:
    started = [(target, gradient) for target, gradient in zip(targets, upstream, strict=True) if target.requires_grad]
    reached = [source for source in sources if source.requires_grad]
    if not started or not reached:
        return [None] * len(sources)
    outputs, gradients = zip(*started, strict=True)
    found = iter(torch.autograd.grad(outputs, reached, gradients, allow_unused=True))
    return [next(found) if source.requires_grad else None for source in sources]


def floating(module: nn.Module) -> dict[str, Tensor]:
    """Parameters by name, and the buffers that are saved with them, those that are floating-point numbers."""
    saved = module.state_dict().keys()
    named = dict([*module.named_parameters(), *((name, b) for name, b in module.named_buffers() if name in saved)])
    return {name: tensor for name, tensor in named.items() if tensor.is_floating_point()}


def assign(module: nn.Module, values: Mapping[str, Array]) -> None:
    """Take values over into the parameters of these names; asserts that shapes fit."""
    named = floating(module)
    with torch.no_grad():
        for name, value in values.items():
            assert named[name].shape == value.shape, name
            named[name].copy_(torch.from_numpy(np.array(value)))


def submodules(module: nn.Module) -> dict[str, nn.Module]:
    """All submodules by path."""
    return {path: submodule for path, submodule in module.named_modules() if path}


def check_path(argument: str, module: nn.Module, path: str) -> str:
    """The path of a submodule itself.

    Raises:
        InputError: where the module has no such submodule.
    """
    paths = submodules(module)
    if path not in paths:
        raise InputError(f"{argument}: {path!r} is no submodule of {type(module).__name__}; {unknown(path, paths)}")
    return path


def owners(module: nn.Module) -> list[str]:
    """Paths of the submodules that have floating-point parameters or buffers of their own."""
    named = floating(module)
    return [path for path in submodules(module) if any(name.rpartition(".")[0] == path for name in named)]
