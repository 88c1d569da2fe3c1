"""One run of a model, captured: what goes into and out of its taps, fed or not, forward and back.

A model is tapped in two ways. A stand-in takes the place of the method of a submodule; or the model itself takes a
mapping `taps=`, writes each intermediate result there, and goes on with what it reads back. Both give the same `Calls`.
Nothing here knows a framework; what it must know of tensors, `Tensors` tells it.
"""

from collections import Counter, UserDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from parity_tests.rule.errors import UsageError
from parity_tests.rule.record import Array
from parity_tests.sides.side import ROOT, Call, Calls, Coarse, call_name
from parity_tests.sides.sources import writing_line
from parity_tests.sides.trees import check_results, is_number, leaves, replaced

Mark = Callable[[Any], Any]
"""Takes a tensor by which a gradient is wanted, and gives the one that the run goes on with."""


class Ends(NamedTuple):
    """Where a way back starts: tensors, and the gradients by them."""

    tensors: list[Any]
    gradients: list[Any]


class Gradients(NamedTuple):
    """What a way back has found; zeros where nothing depends on it.

    Attributes:
        marked: by each marked tensor in order, `None` by one that holds no floating-point numbers.
        parameters: by parameter.
    """

    marked: list[Array | None]
    parameters: dict[str, Array]


class Tensors(Protocol):
    """What a capture must know of the tensors of a framework.

    Attributes:
        coarse: how many operations have computed in fewer digits than the run has, as far as that is seen.
    """

    coarse: int

    def is_tensor(self, value: Any) -> bool:
        """Whether a value is a tensor of this framework."""

    def array(self, tensor: Any) -> Array:
        """A copy of its values."""

    def tensor(self, values: Array) -> Any:
        """A tensor of these values; floating-point numbers in the precision of the run."""

    def running(self) -> AbstractContextManager[None]:
        """What holds while a model runs."""

    def differentiate(self, run: Callable[[Mark], Ends], parameters: Mapping[str, Any]) -> Gradients:
        """Run forward and back; `run` may be called more than once, and starts anew each time."""


class Capture:
    """What one run of a model leaves.

    Attributes:
        is_tensor: whether a value is a tensor of the model's framework.
        calls: what happened, as arrays, in the order in which the calls ended.
        marks: call and place of each marked tensor, in order.
        ends: where taps of the model's own are given gradients.
    """

    def __init__(self, tensors: Tensors, fed: Calls | None, *, mark: Mark | None = None, back: bool = False) -> None:
        self._tensors, self._fed_calls, self._mark, self._back = tensors, fed or {}, mark, back
        self.is_tensor = tensors.is_tensor
        self.calls: dict[str, Call] = {}
        self.marks: list[tuple[str, Any]] = []
        self.ends = Ends([], [])
        self._counts: Counter[str] = Counter()
        self._started = self._seen = tensors.coarse  # before the run, and in calls that have ended
        self._written: dict[str, int] = {}  # what it was when a model wrote each tap of its own

    def marked(self, call: str, place: Any, tensor: Any) -> Any:
        """A tensor to go on with, whose gradient is kept under this name where gradients are wanted."""
        if self._mark is None:
            return tensor
        self.marks.append((call, place))
        return self._mark(tensor)

    def watched(self, tap: str, function: Callable[..., Any], parameters: Mapping[str, Any]) -> Callable[..., Any]:
        """A function that does the same and is captured under the name of a tap."""

        def stand_in(*args: Any, **kwargs: Any) -> Any:
            name, before, seen = self._next(tap), self._tensors.coarse, self._seen
            self._seen = before  # what lies in it starts from what it is given
            if name in self._fed_calls:
                result = self._fed(name, function, parameters, (args, kwargs))
            else:
                result = self._kept(name, function, (args, kwargs))
            after = self._tensors.coarse
            between = after > self._seen if tap == ROOT else before > seen
            self._seen = seen + after - before
            coarse = Coarse(after > before, between, after > self._started)
            self.calls[name] = replace(self.calls[name], coarse=coarse)
            return result

        return stand_in

    def written(self, tap: str, value: Any) -> Any:
        """Capture what a model writes into a tap of its own, and give what stands there from then on."""
        name = self._next(tap)
        self._written[name] = self._tensors.coarse
        so_far = self._written[name] > self._started  # which tap it led to is not known
        self.calls[name] = Call(outputs={"": self._tensors.array(value)}, coarse=Coarse(so_far, before=so_far))
        given = self._fed_calls.get(name, Call())
        gradient = given.output_gradients.get("")
        if self._back and gradient is not None and gradient.shape == tuple(value.shape):
            self.ends.tensors.append(value)
            self.ends.gradients.append(self._tensors.tensor(gradient))
        return self.marked(name, "", self._tensors.tensor(given.outputs[""]) if "" in given.outputs else value)

    def settle(self, written: Mapping[str, Any]) -> None:
        """Take what is left of written taps for what was written, where a later module has changed it in place."""
        for name, tensor in written.items():
            given, call = self._fed_calls.get(name, Call()), self.calls[name]
            fed = "" in given.outputs
            handed_on = self._tensors.array(self._tensors.tensor(given.outputs[""])) if fed else call.outputs[""]
            left = self._tensors.array(tensor)
            if not np.array_equal(left, handed_on, equal_nan=True):
                self.calls[name] = replace(call, outputs={"": left})

    def with_gradients(self, found: Sequence[Array | None]) -> dict[str, Call]:
        """The calls with the gradients by what was marked."""
        by_place = [(call, place, g) for (call, place), g in zip(self.marks, found, strict=True) if g is not None]
        return {
            name: replace(
                call,
                output_gradients={p: g for of, p, g in by_place if of == name and isinstance(p, str)},
                input_gradients={p: g for of, p, g in by_place if of == name and call.inputs and isinstance(p, int)},
                coarse=self._coarse_from(name, call),
            )
            for name, call in self.calls.items()
        }

    def _coarse_from(self, name: str, call: Call) -> Coarse:
        """What counts for the gradient by a call: for a tap of the model's own, what was computed after it."""
        if name not in self._written:
            return call.coarse
        return call.coarse._replace(within=self._tensors.coarse > self._written[name])

    def tensors_of(self, result: Any) -> dict[str, Any]:
        """The tensors of a result by place."""
        return {place: value for place, value in self._places(result).items() if self.is_tensor(value)}

    def _next(self, tap: str) -> str:
        self._counts[tap] += 1
        return call_name(tap, self._counts[tap])

    def _kept(self, name: str, function: Callable[..., Any], arguments: Any) -> Any:
        inputs = self._arrays(arguments)
        result = function(*arguments[0], **arguments[1])
        check_results(result, self.is_tensor, name)
        self.calls[name] = Call(inputs=inputs, outputs=self._results(result))
        return self._with(result, (self.marked(name, place, t) for place, t in self.tensors_of(result).items()))

    def _fed(self, name: str, function: Callable[..., Any], parameters: Mapping[str, Any], arguments: Any) -> Any:
        arriving, given, counts = self._arrays(arguments), self._fed_calls[name], Counter(self._counts)
        chosen = given.inputs if len(given.inputs) == len(arriving) else arriving
        made: list[Any] = []

        def run(mark: Mark) -> Ends:
            self._counts = Counter(counts)
            args, kwargs = self._with(arguments, (mark(self._tensors.tensor(values)) for values in chosen))
            result = function(*args, **kwargs)
            made[:] = result, self._results(result)
            return self._ends(result, given)

        call = self._call_back(run, parameters) if self._back and given.output_gradients else Call()
        if not made:
            run(lambda tensor: tensor)
        result, outputs = made
        self.calls[name] = replace(call, inputs=arriving, outputs=outputs)
        handed_on = given.outputs if outputs.keys() == given.outputs.keys() else outputs
        return self._with(result, (self._tensors.tensor(handed_on[place]) for place in self.tensors_of(result)))

    def _call_back(self, run: Callable[[Mark], Ends], parameters: Mapping[str, Any]) -> Call:
        """The gradients by what a module was fed, and by its parameters."""
        found = self._tensors.differentiate(run, parameters)
        by_input = {i: gradient for i, gradient in enumerate(found.marked) if gradient is not None}
        return Call(input_gradients=by_input, parameter_gradients=found.parameters)

    def _ends(self, result: Any, given: Call) -> Ends:
        """The results that a gradient is given for, where it fits."""
        found = self.tensors_of(result)
        fitting = {p: g for p, g in given.output_gradients.items() if p in found and tuple(found[p].shape) == g.shape}
        return Ends([found[place] for place in fitting], [self._tensors.tensor(g) for g in fitting.values()])

    def _results(self, result: Any) -> dict[str, Array]:
        """Its tensors and numbers as arrays by place."""
        array, is_tensor = self._tensors.array, self.is_tensor
        return {p: array(v) if is_tensor(v) else np.asarray(v, float) for p, v in self._places(result).items()}

    def _places(self, result: Any) -> dict[str, Any]:
        return leaves(result, lambda value: self.is_tensor(value) or is_number(value))

    def _arrays(self, arguments: Any) -> list[Array]:
        return [self._tensors.array(tensor) for tensor in leaves(arguments, self.is_tensor).values()]

    def _with(self, tree: Any, by: Iterator[Any]) -> Any:
        return replaced(tree, self.is_tensor, by)


class WrittenTaps(UserDict[str, Any]):
    """What a model with taps of its own is handed: what it reads back is what a capture makes of what it wrote.

    Not a dict, because Keras copies the dicts that are passed to a layer, and with them what is written there.

    Args:
        capture: the run.
        names: under which name each tap is captured, and which taps are; without it all, under their own.

    Attributes:
        captured: what stands in each captured tap, by the name under which it is captured.
        lines: where each is written.
    """

    def __init__(self, capture: Capture, names: Mapping[str, str] | None) -> None:
        super().__init__()
        self._capture, self._names = capture, names
        self.captured: dict[str, Any] = {}
        self.lines: dict[str, str] = {}

    def __setitem__(self, tap: str, value: Any) -> None:
        name = tap if self._names is None else self._names.get(tap)
        if name is not None and self._capture.is_tensor(value):
            self.lines[name] = writing_line(tap)
            value = self.captured[name] = self._capture.written(name, value)
        super().__setitem__(tap, value)

    def check(self) -> None:
        """Refuse what was written and is no tensor.

        Raises:
            UsageError: naming the tap.
        """
        for tap, value in self.data.items():
            if not self._capture.is_tensor(value):
                raise UsageError(f"taps: {tap!r} is a {type(value).__name__}, and the model must write a tensor there")


@contextmanager
def methods_replaced(modules: Mapping[str, Any], method: str, by: Callable[[str, Any], Any]) -> Iterator[None]:
    """The method of each module with a stand-in: what `by` makes of a tap and its module."""
    with ExitStack() as restored:
        for tap, module in modules.items():
            restored.callback(_restore, module, method, vars(module).get(method))
            object.__setattr__(module, method, by(tap, module))
        yield


def are_whole(values: Array) -> bool:
    """Whether all numbers that are finite are whole: the same in any precision."""
    finite = values[np.isfinite(values)]
    return bool(np.array_equal(finite, np.rint(finite)))


def _restore(module: Any, method: str, before: Callable[..., Any] | None) -> None:
    """The method that the module had of its own, or again that of its class."""
    if before is None:
        object.__delattr__(module, method)
    else:
        object.__setattr__(module, method, before)
