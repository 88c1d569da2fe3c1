"""How a module is made again elsewhere: as an expression of its framework, or from a model that can be imported."""

import ast
from contextlib import suppress
from typing import Any, NamedTuple

from parity_tests.sides.adapter import Adapter
from parity_tests.sides.adapters import KerasModel, TorchModule

UNKNOWN = "..."
"""What stands for a module of which nothing says how it is made."""


class Made(NamedTuple):
    """An expression that makes a module, and what is to be imported for it."""

    expression: str
    imports: str = ""


def made_of(adapter: Adapter, path: str) -> Made:
    """A layer of the framework itself as it says it is made; else one of the user's model, as far as that is known."""
    unknown = Made(f"{UNKNOWN}  # {path} of your own model")
    if isinstance(adapter, KerasModel):
        return _keras_layer(adapter.model, path) or unknown
    assert isinstance(adapter, TorchModule)
    return _torch_module(adapter.module.get_submodule(path)) or _of_class(adapter.module, path) or unknown


def _torch_module(module: Any) -> Made | None:
    """A module of torch itself whose words on itself make one with the same parameters."""
    from torch import nn

    try:
        call: Any = ast.parse(repr(module), mode="eval").body
        settings = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
        made = getattr(nn, call.func.id)(*map(ast.literal_eval, call.args), **settings)
    except (SyntaxError, ValueError, AttributeError, TypeError, RuntimeError):  # it does not say how it was made
        return None
    shapes = [{name: value.shape for name, value in each.state_dict().items()} for each in (made, module)]
    return Made(f"nn.{module!r}") if type(made) is type(module) and shapes[0] == shapes[1] else None


def _keras_layer(model: Any, path: str) -> Made | None:
    """A layer of Keras itself by its configuration."""
    import keras

    from parity_tests.sides.keras_names import layers_by_path

    layer = layers_by_path(model)[path]
    if not type(layer).__module__.startswith("keras.") or layer._layers:  # whose variables have paths below it
        return None
    config = {name: value for name, value in layer.get_config().items() if name != "dtype"}
    kind = type(layer).__name__
    with suppress(ValueError, SyntaxError):  # a setting that is no plain value
        if hasattr(keras.layers, kind) and ast.literal_eval(repr(config)) == config:
            return Made(f"keras.layers.{kind}.from_config({config!r})")
    return None


def _of_class(model: Any, path: str) -> Made | None:
    """The module of a model whose class can be imported and takes no arguments."""
    kind = type(model)
    try:
        found = kind().get_submodule(path).state_dict()
    except Exception:  # whatever a class of the user's raises, one that takes arguments among them
        return None
    importable = kind.__module__ != "__main__" and kind.__qualname__.isidentifier()
    if not importable or found.keys() != model.get_submodule(path).state_dict().keys():
        return None
    imports = f"from {kind.__module__} import {kind.__name__}"
    return Made(f"{kind.__name__}().get_submodule({path!r})", imports)
