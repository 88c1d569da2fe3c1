"""A model of any framework as a side: run forward, back and in training, with its taps captured."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import partial
from inspect import Parameter, signature
from typing import Any, NamedTuple

import numpy as np

from parity_tests.rule.errors import UsageError
from parity_tests.rule.record import Array
from parity_tests.sides.capture import Capture, Ends, Mark, Tensors, WrittenTaps, methods_replaced
from parity_tests.sides.own_taps import OwnTaps
from parity_tests.sides.side import ROOT, Backward, Calls, Loss, MakeOptimizer
from parity_tests.sides.trees import leaves

POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


class Optimised(NamedTuple):
    """A model with an optimiser of its parameters.

    Attributes:
        side: the model, whose parameters the optimiser changes.
        step: takes one step with the gradients of the parameters that it is given by name.
    """

    side: "ModelSide"
    step: Callable[[Mapping[str, Any]], None]


def has_one_argument(function: Callable[..., Any], *beside: str) -> bool:
    """Whether a model takes all its inputs in one list: it has no argument for a second, and none for any number.

    Args:
        beside: arguments that are for no inputs.
    """
    taken = [argument for name, argument in signature(function).parameters.items() if name not in beside]
    kinds = [argument.kind for argument in taken]
    return Parameter.VAR_POSITIONAL not in kinds and sum(kind in POSITIONAL for kind in kinds) == 1


class ModelSide(ABC):
    """A model in one precision.

    Attributes:
        method: the name of the method by which a module is run.
        tensors: what is known of its tensors.
        modules: the tapped modules by tap.
        own: how the model writes taps of its own; then no module is tapped.
        own_names: under which name each of its own taps is captured; `None` for all, under their own.
        sources: where each tap is made, `file:line`.
    """

    method: str
    tensors: Tensors
    modules: Mapping[str, Any]
    own: OwnTaps | None
    own_names: Mapping[str, str] | None
    sources: dict[str, str]

    @abstractmethod
    def run(self, inputs: Sequence[Any], *, training: bool, **taps: Any) -> Any:
        """What the model makes of tensors; with `taps=` where it writes its own."""

    @abstractmethod
    def trainable(self, module: Any) -> dict[str, Any]:
        """The parameters of a module, or with `None` of the model, that have gradients, by their names in the model."""

    @abstractmethod
    def values(self) -> dict[str, Array]:
        """The parameters, asked for while `running` holds."""

    @abstractmethod
    def running(self, *, training: bool) -> AbstractContextManager[None]:
        """What holds while the model runs."""

    @abstractmethod
    def optimised(self, make: MakeOptimizer) -> AbstractContextManager[Optimised]:
        """The model for a while with an optimiser; what it changes is lost afterwards."""

    def parameters(self) -> dict[str, Array]:
        with self.running(training=False):
            return self.values()

    def forward(self, inputs: Sequence[Array], *, fed: Calls | None = None, training: bool = False) -> Calls:
        with self.running(training=training):
            capture = Capture(self.tensors, fed)
            result, _ = self._captured(capture, inputs, training, refusals=True)
            if self.own and self.own_names is None and fed is None and result is not None:
                self._check_written(result, capture.calls)
        return capture.calls

    def _check_written(self, result: Any, calls: Calls) -> None:
        """Refuse a model that returns what it has written as no tap: nobody would compare it.

        Raises:
            UsageError: where that is so.
        """
        written = [value for call in calls.values() for value in call.outputs.values()]
        for tensor in leaves(result, self.tensors.is_tensor).values():
            value = self.tensors.array(tensor)
            if written and not any(
                np.array_equal(value, other, equal_nan=value.dtype.kind == "f") for other in written
            ):
                raise UsageError("taps: the model returns a value that it writes as no tap; write it as the last one")

    def backward(
        self,
        inputs: Sequence[Array],
        loss: Loss | Mapping[str, Array],
        *,
        fed: Calls | None = None,
        training: bool = False,
    ) -> Backward:
        with self.running(training=training):
            before = self.tensors.coarse
            if fed is None or self.own:
                back = self._back(inputs, loss, fed, training)
                return replace(back, coarse=self.tensors.coarse > before)
            capture = Capture(self.tensors, fed, back=True)
            self._captured(capture, inputs, training)
            return Backward(calls=capture.calls, coarse=self.tensors.coarse > before)

    def apply(self, gradients: Sequence[Mapping[str, Array]], optimizer: MakeOptimizer) -> Mapping[str, Array]:
        with self.optimised(optimizer) as model:
            known = model.side.trainable(None)
            for given in gradients:
                model.step({name: self.tensors.tensor(given[name]) for name in given if name in known})
            return model.side.values()

    def train(
        self, batches: Sequence[Sequence[Array]], losses: Sequence[Loss], optimizer: MakeOptimizer, *, training: bool
    ) -> Array:
        values = []
        with self.optimised(optimizer) as model:
            for inputs, loss in zip(batches, losses, strict=True):
                value, gradients = model.side.loss_and_gradients(inputs, loss, training)
                model.step({name: self.tensors.tensor(gradient) for name, gradient in gradients.items()})
                values.append(value)
        return np.reshape(values, len(values))

    def loss_and_gradients(
        self, inputs: Sequence[Array], loss: Loss, training: bool
    ) -> tuple[Array, Mapping[str, Array]]:
        """The loss of a batch and its gradient by every parameter, without a look at taps."""
        value: Array | None = None

        def run(mark: Mark) -> Ends:
            nonlocal value
            result = self.run([self.tensors.tensor(values) for values in inputs], training=training)
            value, ends = self._ends(loss, result, {})
            return ends

        found = self.tensors.differentiate(run, self.trainable(None))
        assert value is not None, "a loss is a function"
        return value, found.parameters

    def _back(
        self, inputs: Sequence[Array], loss: Loss | Mapping[str, Array], fed: Calls | None, training: bool
    ) -> Backward:
        capture, value = Capture(self.tensors, fed), None

        def run(mark: Mark) -> Ends:
            nonlocal capture, value
            capture = Capture(self.tensors, fed, mark=mark, back=True)
            result, nodes = self._captured(capture, inputs, training, refusals=fed is not None)
            if result is None:
                return capture.ends
            value, ends = self._ends(loss, result, nodes)
            return Ends(capture.ends.tensors + ends.tensors, capture.ends.gradients + ends.gradients)

        found = self.tensors.differentiate(run, self.trainable(None))
        return Backward(
            calls=capture.with_gradients(found.marked),
            loss=value.reshape(1) if fed is None and value is not None else None,
            gradients=found.parameters,
        )

    def _captured(
        self, capture: Capture, inputs: Sequence[Array], training: bool, *, refusals: bool = False
    ) -> tuple[Any, Mapping[str, Any]]:
        """What the model returns, and the tensors that a gradient can start at, by name.

        With `refusals`, a model that refuses its inputs half way returns `None`, and its own taps up to there count.
        """
        tensors = [self.tensors.tensor(values) for values in inputs]
        if self.own:
            taps = WrittenTaps(capture, self.own_names)
            result = None
            with suppress(*(self.own.refusals if refusals else ())):
                result = self.run(tensors, training=training, taps=taps)
            taps.check()
            if self.own.lasting:
                capture.settle(taps.captured)
            self.sources |= taps.lines
            return result, taps.captured
        marked = [capture.marked(ROOT, i, tensor) for i, tensor in enumerate(tensors)]
        with methods_replaced(self.modules, self.method, partial(self._stand_in, capture)):
            result = capture.watched(ROOT, self._run_on(training), {})(*marked)
        return result, capture.tensors_of(result)

    def _stand_in(self, capture: Capture, tap: str, module: Any) -> Any:
        return capture.watched(tap, getattr(module, self.method), self.trainable(module))

    def _run_on(self, training: bool) -> Callable[..., Any]:
        return lambda *tensors: self.run(tensors, training=training)

    def _ends(
        self, loss: Loss | Mapping[str, Array], result: Any, nodes: Mapping[str, Any]
    ) -> tuple[Array | None, Ends]:
        """The loss where there is one, and where the way back starts."""
        if not callable(loss):
            started = [nodes[name] if name in nodes else nodes[ROOT + name] for name in loss]
            return None, Ends(started, [self.tensors.tensor(seed) for seed in loss.values()])
        coarse = self.tensors.coarse
        value = loss(result)
        self.tensors.coarse = coarse  # labels may have any precision: they are the caller's, and the same on both sides
        if not self.tensors.is_tensor(value) or math.prod(tuple(value.shape)) != 1:
            of_tensor = self.tensors.is_tensor(value)
            found = f"an array of shape {tuple(value.shape)}" if of_tensor else f"a {type(value).__name__}"
            raise UsageError(f"loss: gives {found}, and must give a tensor of one number")
        array = self.tensors.array(value)
        return array, Ends([value], [self.tensors.tensor(np.ones_like(array))])
