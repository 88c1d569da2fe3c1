"""A Keras model as a side: itself, eager, in one precision while it runs."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from inspect import signature
from typing import Any

import keras

from parity_tests.rule.record import Array
from parity_tests.sides.capture import Capture
from parity_tests.sides.keras_names import layers_by_path, variables_by_path
from parity_tests.sides.keras_precision import KerasTensors, precision
from parity_tests.sides.model_side import ModelSide, Optimised, has_one_argument
from parity_tests.sides.own_taps import OwnTaps
from parity_tests.sides.side import MakeOptimizer
from parity_tests.sides.sources import sources

BESIDE_INPUTS = ("training", "mask", "taps")
"""Arguments by which Keras hands on more than inputs, and by which a model hands out its taps."""


class KerasSide(ModelSide):
    """A model on any backend; what is assigned to it, it has while it runs here alone.

    Args:
        taps: by tap the path of a layer; with `own` the name of a tap of the model's.
        without_activation: paths of layers whose results are captured before their activations.
    """

    method = "call"
    tensors: KerasTensors

    def __init__(
        self,
        model: keras.Model,
        taps: Mapping[str, str] | None,
        dtype: str,
        own: OwnTaps | None = None,
        without_activation: Collection[str] = (),
    ) -> None:
        self._model, self.dtype, self.own = model, dtype, own
        self.tensors = keras_tensors(dtype, model.variables)
        self.own_names = None if taps is None else {path: tap for tap, path in taps.items()}
        paths, layers = {} if own else dict(taps or {}), layers_by_path(model)
        self.modules = {tap: layers[path] for tap, path in paths.items()}
        self._activated = {tap for tap, path in paths.items() if path in without_activation}
        self.sources = sources({"": model, **layers}, paths)
        self._variables = self.named(model)
        self._assigned: dict[str, Array] = {}

    @property
    def model(self) -> keras.Model:
        """What runs."""
        return self._model

    def named(self, model: keras.Model) -> dict[str, Any]:
        """The model's variables by name."""
        return variables_by_path(model)

    def values(self) -> dict[str, Array]:
        return {name: self.tensors.array(variable._value) for name, variable in self._variables.items()}

    def assign(self, parameters: Mapping[str, Array]) -> None:
        for name, value in parameters.items():
            assert tuple(self._variables[name].shape) == value.shape, name
        self._assigned |= parameters

    def run(self, inputs: Sequence[Any], *, training: bool, **taps: Any) -> Any:
        is_functional = hasattr(self._model, "_inputs")
        takes_list = len(inputs) > 1 and (is_functional or has_one_argument(self._model.call, *BESIDE_INPUTS))
        return self._model(*([list(inputs)] if takes_list else inputs), training=training, **taps)

    def trainable(self, module: Any) -> dict[str, Any]:
        chosen = {id(variable) for variable in (self._model if module is None else module).trainable_variables}
        return {name: self.tensors.handle(v) for name, v in self._variables.items() if id(v) in chosen}

    def _stand_in(self, capture: Capture, tap: str, module: Any) -> Any:
        activation = module.activation if tap in self._activated else _as_it_is
        call = _without_activation(module) if tap in self._activated else module.call

        def stand_in(*args: Any, **kwargs: Any) -> Any:
            masks = {name: kwargs.pop(name) for name in [*kwargs] if name in _masks(call)}
            return activation(capture.watched(tap, partial(call, **masks), self.trainable(module))(*args, **kwargs))

        return stand_in

    @contextmanager
    def running(self, *, training: bool) -> Iterator[None]:
        """The model with what was assigned to it; statistics that training moves count as assigned."""
        with precision(self._model, self.tensors, self.dtype):
            for name, value in self._assigned.items():
                self._variables[name].assign(value)
            yield
            if training:
                trained = {id(variable) for variable in self._model.trainable_variables}
                moved = {name for name, variable in self._variables.items() if id(variable) not in trained}
                self._assigned |= {name: value for name, value in self.values().items() if name in moved}

    @contextmanager
    def optimised(self, make: MakeOptimizer) -> Iterator[Optimised]:
        with self.running(training=False):
            named = {name: self._variables[name] for name in self.trainable(None)}
            optimizer = make(list(named.values()))
            optimizer.build(list(named.values()))

            def step(gradients: Mapping[str, Any]) -> None:
                optimizer.apply(list(gradients.values()), [named[name] for name in gradients])

            yield Optimised(self, step)


def _masks(call: Callable[..., Any]) -> set[str]:
    """The arguments for masks, which Keras hands on beside its tensors, and which torch's modules do not take."""
    names = signature(call).parameters
    return {"mask", *(f"{name}_mask" for name in names)}


def _as_it_is(result: Any) -> Any:
    return result


def _without_activation(layer: Any) -> Callable[..., Any]:
    """What a layer calls, without its activation at the end."""
    call, activation = layer.call, layer.activation

    def bare(*args: Any, **kwargs: Any) -> Any:
        object.__setattr__(layer, "activation", None)
        try:
            return call(*args, **kwargs)
        finally:
            object.__setattr__(layer, "activation", activation)

    return bare


def keras_tensors(dtype: str, variables: Sequence[Any]) -> KerasTensors:
    """What is known of the tensors of the backend that Keras runs on."""
    if keras.config.backend() == "jax":
        from parity_tests.sides.jax_tensors import JaxTensors

        return JaxTensors(dtype, variables)
    if keras.config.backend() == "torch":
        from parity_tests.sides.torch_tensors import TorchTensors

        return TorchTensors(dtype)
    from parity_tests.sides.tensorflow_tensors import TensorflowTensors

    return TensorflowTensors(dtype)
