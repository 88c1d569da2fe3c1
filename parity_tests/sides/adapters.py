"""What a user hands over: a torch module, a Keras model or a function, and which of its modules are tapped.

Needs numpy alone; torch or Keras is loaded where a side is opened, and the user has loaded it before.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from parity_tests.rule.errors import InputError
from parity_tests.rule.record import Array
from parity_tests.sides.layouts import Layout
from parity_tests.sides.side import Side


class Adapter(Protocol):
    """One of the two sides of a comparison, before a precision is chosen."""

    @property
    def layout(self) -> Layout:
        """Where it has the channels of its maps."""

    @property
    def has_modules(self) -> bool:
        """Whether its modules can be fed and run back one by one."""

    @property
    def words(self) -> str:
        """What it is, in words."""

    def tap_paths(self, argument: str) -> dict[str, str]:
        """The paths of its tapped modules by tap; `argument` is what a refusal calls it."""

    def open(self, dtype: str, taps: Mapping[str, str]) -> Side:
        """The side in one precision, tapped at these paths."""

    def modules(self) -> Mapping[str, Any]:
        """All modules by path, the model itself under an empty one."""

    def assign(self, values: Mapping[str, Array]) -> None:
        """Change parameters of the user's own model, for good."""


@dataclass(frozen=True)
class TorchModule:
    """A torch module.

    Attributes:
        module: stays as it is; a copy of it runs, on the CPU and in inference mode.
        taps: which submodules are compared: paths as `get_submodule` takes them by names of your own; without it every
            submodule that has parameters, by its path.
        layout: where it has the channels of its maps, arrays of four axes or more.
    """

    module: Any
    taps: Mapping[str, str] | None = None
    layout: Layout = "channels_first"
    has_modules: ClassVar[bool] = True

    @property
    def words(self) -> str:
        return f"{type(self.module).__name__} (torch)"

    def tap_paths(self, argument: str) -> dict[str, str]:
        from parity_tests.sides.torch_side import check_path, owners

        if self.taps is None:
            return {path: path for path in owners(self.module)}
        return {tap: check_path(argument, self.module, path) for tap, path in self.taps.items()}

    def open(self, dtype: str, taps: Mapping[str, str]) -> Side:
        from parity_tests.sides.torch_side import TorchSide

        return TorchSide(self.module, taps, dtype)

    def modules(self) -> Mapping[str, Any]:
        return dict(self.module.named_modules())

    def assign(self, values: Mapping[str, Array]) -> None:
        from parity_tests.sides.torch_side import assign

        assign(self.module, values)


@dataclass(frozen=True)
class KerasModel:
    """A Keras model on the TensorFlow backend, functional, sequential or a class of your own, that has its weights.

    Attributes:
        model: runs itself, eager and in inference mode, and is afterwards as it was.
        taps: which layers are compared: names or paths (`backbone/conv1`, `blocks.0.conv`) by names of your own;
            without it every layer that has variables, by its path with dots.
        layout: where it has the channels of its maps, arrays of four axes or more.
    """

    model: Any
    taps: Mapping[str, str] | None = None
    layout: Layout = "channels_last"
    has_modules: ClassVar[bool] = True

    @property
    def words(self) -> str:
        return f"{self.model.name} (Keras)"

    def tap_paths(self, argument: str) -> dict[str, str]:
        from parity_tests.sides.keras_names import layers_by_path, own_variables, path_of

        self._check(argument)
        if self.taps is None:
            layers = layers_by_path(self.model)
            return {path.replace("/", "."): path for path, layer in layers.items() if own_variables(layer)}
        return {tap: path_of(argument, self.model, path) for tap, path in self.taps.items()}

    def open(self, dtype: str, taps: Mapping[str, str]) -> Side:
        from parity_tests.sides.keras_side import KerasSide

        return KerasSide(self.model, taps, dtype)

    def modules(self) -> Mapping[str, Any]:
        from parity_tests.sides.keras_names import layers_by_path

        return {"": self.model, **layers_by_path(self.model)}

    def assign(self, values: Mapping[str, Array]) -> None:
        from parity_tests.sides.keras_names import variables_by_path

        variables = variables_by_path(self.model)
        for name, value in values.items():
            variables[name].assign(value)

    def _check(self, argument: str) -> None:
        backend = sys.modules["keras"].config.backend()
        if backend != "tensorflow":
            raise InputError(f"{argument}: Keras runs on {backend!r}, and must run on tensorflow to be compared")
        if not self.model.built:
            raise InputError(f"{argument}: {self.model.name} has no weights yet, and must have been called once")


@dataclass(frozen=True)
class Function:
    """A function: arrays in, and out one array, several, or a dictionary of them, whose keys are taps.

    What happens within cannot be seen: it is compared as a whole, without parameters and gradients.

    Attributes:
        function: is called with numpy arrays in the precision of the run, and must compute in it.
        layout: where it has the channels of its maps, arrays of four axes or more.
    """

    function: Callable[..., Any]
    layout: Layout = "channels_last"
    has_modules: ClassVar[bool] = False

    @property
    def words(self) -> str:
        return f"{getattr(self.function, '__name__', type(self.function).__name__)} (function)"

    def tap_paths(self, argument: str) -> dict[str, str]:
        return {}

    def open(self, dtype: str, taps: Mapping[str, str]) -> Side:
        from parity_tests.sides.function_side import FunctionSide

        return FunctionSide(self.function, dtype)

    def modules(self) -> Mapping[str, Any]:
        return {}

    def assign(self, values: Mapping[str, Array]) -> None:
        assert not values, "a function has no parameters"


def adapted(argument: str, model: Any) -> Adapter:
    """The adapter itself, or the one for a bare module, model or function.

    Raises:
        InputError: for anything else.
    """
    if isinstance(model, (TorchModule, KerasModel, Function)):
        return model
    if (torch := sys.modules.get("torch")) and isinstance(model, torch.nn.Module):
        return TorchModule(model)
    if (keras := sys.modules.get("keras")) and isinstance(model, keras.Model):
        return KerasModel(model)
    if callable(model):
        return Function(model)
    raise InputError(f"{argument}: {type(model).__name__} must be a torch module, a Keras model or a function")
