"""A torch module as a side: a copy of it on the CPU, in one precision."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from parity_tests.rule.errors import UsageError
from parity_tests.rule.record import Array
from parity_tests.sides.adapter import Returned
from parity_tests.sides.capture import Capture
from parity_tests.sides.model_side import ModelSide, Optimised, has_one_argument
from parity_tests.sides.names import unknown
from parity_tests.sides.own_taps import OwnTaps
from parity_tests.sides.side import MakeOptimizer
from parity_tests.sides.sources import sources
from parity_tests.sides.torch_recurrent import in_form, returning
from parity_tests.sides.torch_tensors import DTYPES, TorchTensors


class TorchSide(ModelSide):
    """A copy of a module.

    Args:
        taps: by tap the path of a submodule, as `get_submodule` takes it; with `own` the name of a tap of the module's.
        forms: what of the results of recurrent modules is captured, by path.
    """

    method = "forward"

    def __init__(
        self,
        module: nn.Module,
        taps: Mapping[str, str] | None,
        dtype: str,
        own: OwnTaps | None = None,
        forms: Mapping[str, Returned] = MappingProxyType({}),
    ) -> None:
        self.dtype, self.own, self.tensors = dtype, own, TorchTensors(dtype)
        self.own_names = None if taps is None else {path: tap for tap, path in taps.items()}
        self.module = copied(module).to(device="cpu", dtype=DTYPES[dtype]).eval()
        self.paths, self.forms = {} if own else dict(taps or {}), forms
        self.modules = {tap: inner(self.module, path) for tap, path in self.paths.items()}
        self._names = {id(parameter): name for name, parameter in self.module.named_parameters()}
        self._counters = {name: b.clone() for name, b in self.module.named_buffers() if not b.is_floating_point()}
        self.sources = sources(dict(self.module.named_modules()), self.paths)

    def values(self) -> dict[str, Array]:
        return {name: self.tensors.array(tensor) for name, tensor in floating(self.module).items()}

    def assign(self, parameters: Mapping[str, Array]) -> None:
        assign(self.module, parameters)
        buffers = dict(self.module.named_buffers())
        for name, counter in self._counters.items():  # of batches, for a cumulative average
            buffers[name].copy_(counter)

    def run(self, inputs: Sequence[Any], *, training: bool, **taps: Any) -> Any:
        takes_list = len(inputs) > 1 and has_one_argument(self.module.forward, "taps")
        result = self.module.train(training)(*([[*inputs]] if takes_list else inputs), **taps)
        root: Any = self.module
        return in_form(root, result, self.forms[""]) if "" in self.forms else result

    def _stand_in(self, capture: Capture, tap: str, module: Any) -> Any:
        if self.paths[tap] not in self.forms:
            return super()._stand_in(capture, tap, module)
        watched = partial(capture.watched, tap, parameters=self.trainable(module))
        return returning(module, module.forward, watched, self.forms[self.paths[tap]])

    def trainable(self, module: Any) -> dict[str, Any]:
        parameters = (self.module if module is None else module).parameters()
        return {self._names[id(p)]: p for p in parameters if p.requires_grad}

    def running(self, *, training: bool) -> AbstractContextManager[None]:
        return self.tensors.running()

    @contextmanager
    def optimised(self, make: MakeOptimizer) -> Iterator[Optimised]:
        twin = TorchSide(self.module, {}, self.dtype)
        named = twin.trainable(None)
        optimizer = make(list(named.values()))

        def step(gradients: Mapping[str, Tensor]) -> None:
            for name, parameter in named.items():
                parameter.grad = gradients.get(name)
            optimizer.step()

        with twin.running(training=True):
            yield Optimised(twin, step)


def copied(module: nn.Module) -> nn.Module:
    """A copy with parameters of its own: TorchScript's would lead their gradients on to the parameters copied."""
    with torch.no_grad():
        copy_of = copy.deepcopy(module)
    for parameter, original in zip(copy_of.parameters(), module.parameters(), strict=True):
        parameter.requires_grad_(original.requires_grad)
    return copy_of


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
    """All submodules by path that Python calls: what a compiled graph of TorchScript consists of, nobody calls."""
    named = [(path, submodule) for path, submodule in module.named_modules()]
    graphs = [path and f"{path}." for path, submodule in named if isinstance(submodule, torch.jit.ScriptModule)]
    within = {path for path, _ in named for graph in graphs if path.startswith(graph) and path != graph}
    return {path: submodule for path, submodule in named if path and path not in within}


def inner(module: nn.Module, path: str) -> nn.Module:
    """The submodule at a path; the module itself at an empty one, for which TorchScript has no answer."""
    return module.get_submodule(path) if path else module


def check_path(argument: str, module: nn.Module, path: str) -> str:
    """The path of a submodule itself.

    Raises:
        UsageError: where the module has no such submodule.
    """
    paths = submodules(module)
    if path not in paths:
        raise UsageError(f"{argument}: {path!r} is no submodule of {type(module).__name__}; {unknown(path, paths)}")
    return path


def owners(module: nn.Module) -> list[str]:
    """Paths of the submodules that have floating-point parameters or buffers of their own, and can be called.

    What lies in attention is not among them: torch computes with its parameters and does not call it.
    """
    modules, holders = submodules(module), {name.rpartition(".")[0] for name in floating(module)}
    own = [path for path in modules if path in holders and _can_be_called(modules[path])]
    return [path for path in own if not any(path.startswith(f"{whole}.") for whole in wholes(module))]


def _can_be_called(module: nn.Module) -> bool:
    """Whether a module has a `forward`: a list of parameters has none."""
    return forward_of(module) is not nn.Module.forward


def forward_of(module: nn.Module) -> Any:
    """The `forward` of its class; `None` of a graph of TorchScript, whose class has none."""
    return None if isinstance(module, torch.jit.ScriptModule) else type(module).forward


def is_bare(module: nn.Module) -> bool:
    """Whether a module is a sum of products, alone or the last of several, with nothing behind it."""
    while isinstance(module, nn.Sequential) and len(module):
        module = module[-1]
    return isinstance(module, nn.Linear | _ConvNd)


def has_steps_last(module: nn.Module) -> bool | None:
    """Whether a module takes steps with their channels last, as torch's own do of which that is known."""
    if not getattr(forward_of(module), "__module__", "").startswith("torch.nn."):
        return None
    kinds = nn.Conv1d | nn.ConvTranspose1d | _NormBase | nn.GroupNorm
    if isinstance(module, kinds) or (isinstance(module, nn.PReLU) and module.num_parameters > 1):
        return False
    return True if has_channels_last(module) else None


def has_channels_last(module: nn.Module) -> bool | None:
    """Whether a module takes and gives its channels last, as torch's own do that know no maps; of others nothing."""
    if isinstance(module, _ConvNd | _NormBase | nn.GroupNorm):
        return False
    forward = forward_of(module)
    if isinstance(module, nn.LayerNorm | nn.RMSNorm):
        own = forward in (nn.LayerNorm.forward, nn.RMSNorm.forward)
        return len(module.normalized_shape) == 1 if own else None
    return True if forward in (nn.Linear.forward, nn.Embedding.forward) else None


def is_recurrent(module: nn.Module) -> bool:
    """Whether a module returns its steps and its states."""
    return isinstance(module, nn.RNNBase)


def wholes(module: nn.Module) -> dict[str, bool]:
    """Recurrent modules and attention by path: Keras' give less."""
    kinds = (nn.RNNBase, nn.MultiheadAttention)
    return {path: False for path, inner in submodules(module).items() if isinstance(inner, kinds)}
