"""Weights of a torch module that are made of others, as `weight_norm` and `spectral_norm` make them, taken plain."""

from typing import Any

from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.spectral_norm import SpectralNorm, remove_spectral_norm
from torch.nn.utils.weight_norm import WeightNorm, remove_weight_norm

from parity_tests.sides.torch_side import copied

REMOVED = {WeightNorm: remove_weight_norm, SpectralNorm: remove_spectral_norm}
"""Hooks by which older modules make their weights, and what leaves the weight."""


def made_weights(module: nn.Module) -> frozenset[str]:
    """The weights that are made of others, by what they are called once they are plain."""
    found = set[str]()
    for path, inner in module.named_modules():
        names = [*_parametrized(inner), *(hook.name for hook in _hooks(inner))]
        found |= {f"{path}.{name}".lstrip(".") for name in names}
    return frozenset(found)


def plain(module: nn.Module) -> nn.Module:
    """A copy that has the weights that are made, as they are in inference mode, in place of what they are made of."""
    changed = copied(module).eval()
    for inner in changed.modules():
        if names := _parametrized(inner):
            made = {name: getattr(inner, name).detach().clone() for name in names}
            inner.__class__ = parametrize.type_before_parametrizations(inner)  # the copy has the class of the original
            del inner.parametrizations
            for name, value in made.items():
                inner.register_parameter(name, nn.Parameter(value))
        for hook in _hooks(inner):
            REMOVED[type(hook)](inner, hook.name)
    return changed


def _parametrized(module: nn.Module) -> list[str]:
    found: Any = getattr(module, "parametrizations", {})
    return list(found) if parametrize.is_parametrized(module) else []


def _hooks(module: nn.Module) -> list[WeightNorm | SpectralNorm]:
    return [hook for hook in module._forward_pre_hooks.values() if isinstance(hook, WeightNorm | SpectralNorm)]
