"""Layers and variables of a Keras model by path: attributes where layers are attributes, else names of layers."""

import re
from collections.abc import Collection
from typing import Any

import keras

from parity_tests.rule.errors import UsageError
from parity_tests.sides.adapter import Returned
from parity_tests.sides.names import canonical, unknown


def layers_by_path(model: keras.Model) -> dict[str, Any]:
    """All layers below the model: `conv1`, `backbone/conv1`, `blocks/0/conv`; one that is shared by its first path."""
    found: dict[int, tuple[str, Any]] = {}
    _visit(model, "", found)
    return {path: layer for path, layer in found.values() if path}


def variables_by_path(model: keras.Model) -> dict[str, Any]:
    """All variables that are floating-point numbers: `backbone/conv1/kernel`.

    Raises:
        UsageError: for two variables of one path.
    """
    named: dict[str, Any] = {}
    for path, layer in {"": model, **layers_by_path(model)}.items():
        for variable in own_variables(layer):
            name = f"{path}/{variable.name}".lstrip("/")
            if named.setdefault(name, variable) is not variable:
                raise UsageError(f"model: two variables of {model.name} are called {name}, and names must be unique")
    return named


def own_variables(layer: Any) -> list[Any]:
    """The variables of a layer that are not those of a layer within it, and are floating-point numbers."""
    within = {id(variable) for inner in layer._layers for variable in inner.variables}
    own = [variable for variable in layer.variables if id(variable) not in within]
    return [variable for variable in own if "float" in variable.dtype]


def wholes(model: keras.Model) -> dict[str, bool]:
    """Recurrent layers and attention by path, of which torch gives more; and what is spread over steps, alike."""
    kinds = ("RNN", "Bidirectional", "MultiHeadAttention", "GroupQueryAttention", "TimeDistributed")
    classes = tuple(getattr(keras.layers, kind) for kind in kinds)
    found = {path: layer for path, layer in layers_by_path(model).items() if isinstance(layer, classes)}
    return {path: isinstance(layer, keras.layers.TimeDistributed) for path, layer in found.items()}


def activated(model: keras.Model) -> set[str]:
    """The paths of layers of sums of products that end in an activation of their own."""
    kinds = ("Dense", "EinsumDense", "DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D")
    convolutions = [f"Conv{n}D{kind}" for n in (1, 2, 3) for kind in ("", "Transpose")]
    classes = tuple(getattr(keras.layers, kind) for kind in (*kinds, *convolutions))
    layers = ((path, layer) for path, layer in layers_by_path(model).items() if isinstance(layer, classes))
    return {path for path, layer in layers if layer.activation not in (None, keras.activations.linear)}


def results_first(model: keras.Model) -> set[str]:
    """The kernels of two axes of `EinsumDense` whose equation has what they make before what they take."""
    layers = ((path, la) for path, la in layers_by_path(model).items() if isinstance(la, keras.layers.EinsumDense))
    parts = ((path, re.split(",|->", layer.equation.replace(" ", ""))) for path, layer in layers)
    return {f"{path}/kernel" for path, (taken, kernel, _) in parts if len(kernel) == 2 and kernel[0] not in taken}


def with_channels_last(model: keras.Model) -> set[str]:
    """The paths of layers that have their channels last, wherever maps have theirs."""
    layers = layers_by_path(model).items()
    kinds = keras.layers.Dense, keras.layers.Embedding
    norms = keras.layers.LayerNormalization, keras.layers.RMSNormalization
    last = {path for path, layer in layers if isinstance(layer, norms) and layer.axis in (-1, [-1])}
    return last | {path for path, layer in layers if isinstance(layer, kinds)}


def returned(model: keras.Model, paths: Collection[str]) -> dict[str, Returned]:
    """What recurrent layers at these paths return; of a model itself, at an empty one, what its outputs say."""
    layers = {"": model, **layers_by_path(model)}
    kinds = (keras.layers.RNN, keras.layers.Bidirectional)
    found = {path: layers[path] for path in paths if isinstance(layers[path], kinds)}
    forms = {path: Returned(layer.return_sequences, layer.return_state) for path, layer in found.items()}
    outputs = getattr(model, "outputs", None)
    if "" in paths and outputs:
        forms[""] = Returned(len(outputs[0].shape) == 3, len(outputs) > 1)
    return forms


def path_of(argument: str, model: keras.Model, wanted: str) -> str:
    """The path of the layer that is meant by a path with slashes or dots, or by the name of one layer alone.

    Raises:
        UsageError: where the model has no such layer, or several of that name.
    """
    paths = layers_by_path(model)
    by_path = [path for path in paths if canonical(path) == canonical(wanted)]
    matching = by_path or [path for path, layer in paths.items() if layer.name == wanted]
    if len(matching) != 1:
        what = f"stands for {' and '.join(matching)}" if matching else f"is no layer of {model.name}"
        raise UsageError(f"{argument}: {wanted!r} {what}; {unknown(wanted, paths)}")
    return matching[0]


def _visit(layer: Any, path: str, found: dict[int, tuple[str, Any]]) -> None:
    if id(layer) in found:
        return
    found[id(layer)] = path, layer
    attributes = _attributes(layer)
    for inner in layer._layers:
        name = attributes.get(id(inner), inner.name)
        _visit(inner, f"{path}/{name}" if path else name, found)


def _attributes(layer: Any) -> dict[int, str]:
    """The first attribute in which each inner layer stands; private lists are Keras' and TensorFlow's own."""
    attributes: dict[int, str] = {}
    for name, value in {**vars(layer), **vars(layer).get("_modules", {})}.items():  # where torch keeps them
        items: dict[str, Any] = {name: value}
        if isinstance(value, dict) and not name.startswith("_"):
            items = {f"{name}/{key}": item for key, item in value.items()}
        elif isinstance(value, (list, tuple)) and not name.startswith("_"):
            items = {f"{name}/{i}": item for i, item in enumerate(value)}
        for place, item in items.items():
            if isinstance(item, keras.Layer):
                attributes.setdefault(id(item), place)
    return attributes
