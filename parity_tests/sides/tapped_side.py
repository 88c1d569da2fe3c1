"""What a side with modules does, in words of either framework: run watched, forward and back."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

from parity_tests.rule.record import Array
from parity_tests.sides.capture import Differentiate, Watch
from parity_tests.sides.side import ROOT, Backward, Call, Calls, Loss


class TappedSide(ABC):
    """A model in one precision, and the modules of it that are tapped.

    Attributes:
        method: the name of the method by which a module is run.
        modules: the tapped modules by tap.
        dtype: `float64` or `float32`.
    """

    method: str
    modules: Mapping[str, Any]
    dtype: str

    @abstractmethod
    def run(self, inputs: Sequence[Any]) -> Any:
        """What the model makes of tensors."""

    @abstractmethod
    def trainable(self, module: Any) -> dict[str, Any]:
        """The parameters of a module, or with `None` of the model, that have gradients, by their names in the model."""

    @abstractmethod
    def is_tensor(self, value: Any) -> bool:
        """Whether a value is a tensor of this framework."""

    @abstractmethod
    def array(self, tensor: Any) -> Array:
        """A copy of its values."""

    @abstractmethod
    def tensor(self, values: Array) -> Any:
        """A tensor of these values; floating-point numbers in the precision of the run."""

    @abstractmethod
    def recording(self, inputs: Sequence[Any]) -> AbstractContextManager[Differentiate]:
        """Record what is computed, from `inputs` and parameters on, for one call of what it gives."""

    def unshared(self, tensor: Any) -> Any:
        """The same values, which may be changed in place without changing `tensor`."""
        return tensor

    def in_precision(self) -> AbstractContextManager[None]:
        """What holds while the model runs."""
        return nullcontext()

    def forward(self, inputs: Sequence[Array], given: Calls | None = None) -> Calls:
        return self._watch(inputs, given, backward=False)

    def backward_of_each(self, inputs: Sequence[Array], given: Calls) -> Calls:
        return self._watch(inputs, given, backward=True)

    def backward(self, inputs: Sequence[Array], loss: Loss | Mapping[str, Array]) -> Backward:
        watch = Watch(self, None)
        with self.in_precision():
            tensors, parameters = [self.tensor(values) for values in inputs], self.trainable(None)
            with self._tapped(watch), self.recording(tensors) as differentiate:
                result = watch.watched(ROOT, self._run, {})(*tensors)
                value = loss(result) if callable(loss) else None
                targets, upstream = self._start(watch, value, {} if callable(loss) else loss)
                outputs = [tensor for call in watch.tensors.values() for tensor in call.values()]
                found = iter(differentiate(targets, upstream, [*tensors, *outputs, *parameters.values()]))
            by_input = {i: self._read(next(found), tensor) for i, tensor in enumerate(tensors)}
            calls = self._with_gradients(watch, found, by_input)
            by_parameter = {name: self._read(next(found), tensor) for name, tensor in parameters.items()}
        return Backward(
            calls=calls,
            loss=None if value is None else self.array(value).reshape(1),
            gradients={name: gradient for name, gradient in by_parameter.items() if gradient is not None},
        )

    def _watch(self, inputs: Sequence[Array], given: Calls | None, *, backward: bool) -> Calls:
        watch = Watch(self, given, backward=backward)
        with self.in_precision(), self._tapped(watch):
            watch.watched(ROOT, self._run, {})(*(self.tensor(values) for values in inputs))
        return watch.calls

    def _run(self, *tensors: Any) -> Any:
        return self.run([self.unshared(tensor) for tensor in tensors])

    def _start(self, watch: Watch, value: Any, seeds: Mapping[str, Array]) -> tuple[list[Any], list[Any]]:
        """Where the way back starts: targets and the gradients by them."""
        if value is not None:
            return [value], [self.tensor(self.array(value) * 0 + 1)]
        outputs = watch.tensors[ROOT]
        return [outputs[place] for place in seeds], [self.tensor(seed) for seed in seeds.values()]

    def _with_gradients(self, watch: Watch, found: Iterator[Any], by_input: Mapping[int, Array | None]) -> Calls:
        calls = {}
        for name, call in watch.calls.items():
            by_output = {place: self._read(next(found), tensor) for place, tensor in watch.tensors[name].items()}
            calls[name] = Call(
                inputs=call.inputs,
                outputs=call.outputs,
                output_gradients={place: gradient for place, gradient in by_output.items() if gradient is not None},
                input_gradients={i: g for i, g in by_input.items() if g is not None} if name == ROOT else {},
            )
        return calls

    def _read(self, gradient: Any, of: Any) -> Array | None:
        """A gradient as an array; zeros for a tensor of numbers that the loss does not depend on."""
        if gradient is not None:
            return self.array(gradient)
        values = self.array(of)
        return values * 0 if values.dtype.kind == "f" else None

    @contextmanager
    def _tapped(self, watch: Watch) -> Iterator[None]:
        """The method of each tapped module with a stand-in that is watched."""
        with ExitStack() as restored:
            for tap, module in self.modules.items():
                method: Callable[..., Any] = getattr(module, self.method)
                restored.callback(_restore, module, self.method, vars(module).get(self.method))
                stand_in = watch.watched(tap, method, self.trainable(module))
                object.__setattr__(module, self.method, stand_in)
            yield


def _restore(module: Any, method: str, before: Callable[..., Any] | None) -> None:
    """The method that the module had of its own, or again that of its class."""
    if before is None:
        object.__delattr__(module, method)
    else:
        object.__setattr__(module, method, before)
