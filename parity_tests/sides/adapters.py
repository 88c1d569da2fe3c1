"""What a user hands over: a torch module, a Keras model or a function, and which of its modules are tapped.

Needs numpy alone; torch or Keras is loaded where a side is opened, and the user has loaded it before.
"""

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path
from typing import Any, ClassVar

from parity_tests.rule.errors import UsageError, install_hint
from parity_tests.rule.record import Array
from parity_tests.sides.adapter import Adapter, Returned, apart, shown_when_run, with_output
from parity_tests.sides.layouts import Layout
from parity_tests.sides.own_taps import OwnTaps
from parity_tests.sides.side import Side, TrainableSide


@dataclass(frozen=True)
class TorchModule(Adapter):
    """A torch module.

    Attributes:
        module: stays as it is; a copy of it runs, on the CPU.
        taps: which submodules are compared: paths as `get_submodule` takes them by names of your own; without it every
            submodule that has parameters, by its path; `OwnTaps()` where `forward` takes `taps=`.
        layout: where it has the channels of its maps, arrays of four axes or more.
        forms: by path what of the results of recurrent modules is compared; it is found out beside a Keras model.
        made: as in `Adapter`, found out beside a model that has plain weights.
    """

    module: Any
    taps: Mapping[str, str] | OwnTaps | None = None
    layout: Layout = "channels_first"
    forms: Mapping[str, Returned] = field(default_factory=dict)
    made: Collection[str] = ()
    has_modules: ClassVar[bool] = True

    @property
    def words(self) -> str:
        return f"{type(self.module).__name__} (torch)"

    def check(self, argument: str) -> None:
        _check_kind(argument, self.module, "torch", "nn.Module", "a torch module")

    def tap_paths(self, argument: str, inputs: Sequence[Array]) -> dict[str, str]:
        from parity_tests.sides.torch_side import check_path, owners

        if isinstance(self.taps, OwnTaps):
            return shown_when_run(argument, self, inputs)
        taps = {apart(path): path for path in owners(self.module)} if self.taps is None else self.taps
        paths = {tap: check_path(f"{argument} taps", self.module, path) for tap, path in taps.items()}
        return with_output(argument, paths)

    def wholes(self) -> dict[str, bool]:
        from parity_tests.sides.torch_side import wholes

        return wholes(self.module)

    def bare(self, paths: Collection[str]) -> set[str]:
        from parity_tests.sides.torch_side import inner, is_bare

        return set() if self.writes_taps else {path for path in paths if is_bare(inner(self.module, path))}

    def steps_last(self, paths: Collection[str]) -> dict[str, bool]:
        from parity_tests.sides.torch_side import has_steps_last

        found = {} if self.writes_taps else {p: has_steps_last(self.module.get_submodule(p)) for p in paths}
        return {path: is_last for path, is_last in found.items() if is_last is not None}

    def channels_last(self, paths: Collection[str]) -> dict[str, bool] | None:
        from parity_tests.sides.torch_side import has_channels_last, inner

        if self.writes_taps:
            return None
        found = {path: has_channels_last(inner(self.module, path)) for path in paths}
        return {path: is_last for path, is_last in found.items() if is_last is not None}

    def recurrent(self, paths: Collection[str]) -> set[str]:
        from parity_tests.sides.torch_side import inner, is_recurrent

        return set() if self.writes_taps else {path for path in paths if is_recurrent(inner(self.module, path))}

    def returning(self, forms: Mapping[str, Returned]) -> "TorchModule":
        return replace(self, forms={**self.forms, **forms})

    def open(self, dtype: str, taps: Mapping[str, str] | None) -> TrainableSide:
        from parity_tests.sides.torch_side import TorchSide

        own = self.taps if isinstance(self.taps, OwnTaps) else None
        return TorchSide(self.module, taps, dtype, own, self.forms)

    def assign(self, values: Mapping[str, Array]) -> None:
        from parity_tests.sides.torch_side import assign

        assign(self.module, values)


@dataclass(frozen=True)
class KerasModel(Adapter):
    """A Keras model or layer on any backend, functional, sequential or a class of your own, that has its weights.

    Attributes:
        model: runs itself, eager, and is afterwards as it was.
        taps: which layers are compared: names or paths (`backbone/conv1`, `blocks.0.conv`) by names of your own;
            without it every layer that has variables, by its path with dots; `OwnTaps()` where `call` takes `taps=`.
        layout: where it has the channels of its maps, arrays of four axes or more.
        without_activation: paths of layers whose results are compared before their own activations; it is found out
            beside a torch module.
    """

    model: Any
    taps: Mapping[str, str] | OwnTaps | None = None
    layout: Layout = "channels_last"
    without_activation: frozenset[str] = frozenset()
    has_modules: ClassVar[bool] = True

    @property
    def words(self) -> str:
        return f"{self.model.name} (Keras)"

    def check(self, argument: str) -> None:
        _check_kind(argument, self.model, "keras", "Layer", "a Keras model or layer")
        if not self.model.built:
            raise UsageError(f"{argument}: {self.model.name} has no weights yet, and must have been called once")

    def tap_paths(self, argument: str, inputs: Sequence[Array]) -> dict[str, str]:
        from parity_tests.sides.keras_names import layers_by_path, own_variables, path_of

        if isinstance(self.taps, OwnTaps):
            return shown_when_run(argument, self, inputs)
        if self.taps is None:
            layers = layers_by_path(self.model)
            paths = {apart(path.replace("/", ".")): path for path, layer in layers.items() if own_variables(layer)}
        else:
            paths = {tap: path_of(f"{argument} taps", self.model, path) for tap, path in self.taps.items()}
        return with_output(argument, paths)

    def wholes(self) -> dict[str, bool]:
        from parity_tests.sides.keras_names import wholes

        return wholes(self.model)

    def activated(self, paths: Collection[str]) -> set[str]:
        from parity_tests.sides.keras_names import activated

        return set() if self.writes_taps else activated(self.model) & {*paths}

    def results_first(self) -> set[str]:
        from parity_tests.sides.keras_names import results_first

        return results_first(self.model)

    def steps_last(self, paths: Collection[str]) -> dict[str, bool]:
        from parity_tests.sides.keras_steps import steps_last

        found = {} if self.writes_taps else steps_last(self.model)
        return {path: found[path] for path in paths if path in found}

    def channels_last(self, paths: Collection[str]) -> dict[str, bool] | None:
        from parity_tests.sides.keras_names import with_channels_last

        return None if self.writes_taps else dict.fromkeys(with_channels_last(self.model) & {*paths}, True)

    def returns(self, paths: Collection[str]) -> dict[str, Returned]:
        from parity_tests.sides.keras_names import returned

        return {} if self.writes_taps else returned(self.model, paths)

    def before_activations(self, paths: Collection[str]) -> "KerasModel":
        return replace(self, without_activation=self.without_activation | {*paths})

    def open(self, dtype: str, taps: Mapping[str, str] | None) -> TrainableSide:
        from parity_tests.sides.keras_side import KerasSide

        own = self.taps if isinstance(self.taps, OwnTaps) else None
        return KerasSide(self.model, taps, dtype, own, self.without_activation)

    def assign(self, values: Mapping[str, Array]) -> None:
        from parity_tests.sides.keras_names import variables_by_path

        variables = variables_by_path(self.model)
        for name, value in values.items():
            variables[name].assign(value)


@dataclass(frozen=True)
class JaxFunction(Adapter):
    """A function of JAX: `function(params, *inputs)` gives one array, several, or a dictionary, whose keys are taps.

    What happens within cannot be fed: it is compared as a whole, forward and back.

    Attributes:
        function: is called with arrays of JAX.
        params: arrays in dictionaries and tuples; a parameter's name is its path, `dense/kernel`.
        layout: where it has the channels of its maps, arrays of four axes or more.
    """

    function: Callable[..., Any]
    params: Any
    layout: Layout = "channels_last"

    @property
    def words(self) -> str:
        return f"{_name_of(self.function)} (JAX)"

    def check(self, argument: str) -> None:
        _check_function(argument, self.function)

    def open(self, dtype: str, taps: Mapping[str, str] | None) -> Side:
        from parity_tests.sides.jax_side import JaxSide

        return JaxSide(self.function, self.params, taps, dtype)

    def assign(self, values: Mapping[str, Array]) -> None:
        raise UsageError(f"model: {self.words} has parameters of the caller's, which stay as they are")


@dataclass(frozen=True)
class OnnxModel(Adapter):
    """An ONNX model, run by onnxruntime on the CPU; forward alone.

    Where onnxruntime has no float64 kernel, as for convolutions, the evaluator of the onnx package runs that precision.

    Attributes:
        model: a file, or its bytes.
        taps: which tensors are compared: their names in the graph by names of your own; without it, by module that has
            parameters (`conv` for `conv.weight`), what the last node makes that takes one of them.
        layout: where it has the channels of its maps, arrays of four axes or more.
    """

    model: str | Path | bytes
    taps: Mapping[str, str] | None = None
    layout: Layout = "channels_first"
    has_modules: ClassVar[bool] = True
    has_gradients: ClassVar[bool] = False
    may_be_folded: ClassVar[bool] = True

    @property
    def sees_inputs(self) -> bool:
        return False

    @property
    def words(self) -> str:
        return f"{'model' if isinstance(self.model, bytes) else Path(self.model).name} (ONNX)"

    def check(self, argument: str) -> None:
        if self.writes_taps:
            raise UsageError(f"{argument} taps: {self.words} writes none itself; give its tensors' names by your own")
        self._read()  # which refuses a file that cannot be read

    def tap_paths(self, argument: str, inputs: Sequence[Array]) -> dict[str, str]:
        from parity_tests.sides.onnx_graph import check_tensor, taps_of

        model = self._read()
        taps = taps_of(model) if self.taps is None else self.taps
        paths = {tap: check_tensor(f"{argument} taps", model, name) for tap, name in taps.items()}
        return with_output(argument, paths)

    def bare(self, paths: Collection[str]) -> set[str]:
        return {*paths} if self.taps is None else set()

    def open(self, dtype: str, taps: Mapping[str, str] | None) -> Side:
        from parity_tests.sides.onnx_side import OnnxSide

        return OnnxSide(self._read(), taps or {}, dtype)

    def assign(self, values: Mapping[str, Array]) -> None:
        raise UsageError(f"model: {self.words} is a file, and its weights stay as they are")

    def _read(self) -> Any:
        try:
            from parity_tests.sides.onnx_graph import read
        except ModuleNotFoundError as error:
            raise UsageError(f"model: {self.words} needs {error.name}; {install_hint('onnx')} brings it") from None
        return read(self.model)


@dataclass(frozen=True)
class Function(Adapter):
    """A function: arrays in, and out one array, several, or a dictionary of them, whose keys are taps.

    What happens within cannot be seen: it is compared as a whole, without parameters and gradients.

    Attributes:
        function: is called with numpy arrays in the precision of the run, and must compute in it.
        layout: where it has the channels of its maps, arrays of four axes or more.
    """

    function: Callable[..., Any]
    layout: Layout = "channels_last"
    has_parameters: ClassVar[bool] = False
    has_gradients: ClassVar[bool] = False

    @property
    def words(self) -> str:
        return f"{_name_of(self.function)} (function)"

    def check(self, argument: str) -> None:
        _check_function(argument, self.function)

    def open(self, dtype: str, taps: Mapping[str, str] | None) -> Side:
        from parity_tests.sides.function_side import FunctionSide

        return FunctionSide(self.function, taps, dtype)

    def assign(self, values: Mapping[str, Array]) -> None:
        assert not values, "a function has no parameters"


def adapted(argument: str, model: Any) -> Adapter:
    """The adapter itself, or the one for a bare module, model or function.

    Raises:
        UsageError: for anything else.
    """
    adapter = model if isinstance(model, Adapter) else _adapter_for(argument, model)
    adapter.check(argument)
    return adapter


def _adapter_for(argument: str, model: Any) -> Adapter:
    if (keras := sys.modules.get("keras")) and isinstance(model, keras.Layer):  # on torch it is a torch module, too
        return KerasModel(model)
    if (torch := sys.modules.get("torch")) and isinstance(model, torch.nn.Module):
        return TorchModule(model)
    if callable(model):
        return Function(model)
    raise UsageError(f"{argument}: {type(model).__name__} must be a torch module, a Keras model or a function")


def _name_of(function: Any) -> str:
    name: str = getattr(function, "__name__", type(function).__name__)
    return name


def _check_function(argument: str, function: Any) -> None:
    if not callable(function):
        raise UsageError(f"{argument}: {type(function).__name__} must be a function")


def _check_kind(argument: str, model: Any, package: str, kind: str, words: str) -> None:
    """Refuse a model of another kind; its own package is loaded, as whoever made one has loaded it."""
    loaded = sys.modules.get(package)
    if loaded is None or not isinstance(model, attrgetter(kind)(loaded)):
        raise UsageError(f"{argument}: {type(model).__name__} must be {words}")
