"""What is kept of a run of a model: the calls of its tapped modules, as arrays. Needs numpy alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from parity_tests.rule.record import Array

ROOT = "output"
"""The name under which a model itself is recorded: its results are `output`, what it is given is `input`."""

Loss = Callable[[Any], Any]
"""What makes a scalar tensor from what a model returns, in the model's own framework."""

MakeOptimizer = Callable[[Any], Any]
"""What makes an optimiser of a list of parameters: of torch.optim for a torch module, of Keras for a Keras model."""


class Coarse(NamedTuple):
    """What was computed in fewer digits than the run has, as a framework may do whatever it is asked for.

    Attributes:
        within: a part of the call itself.
        between: a part of what leads from tapped modules before to its inputs; of the model itself, to its outputs.
        before: anything up to its end.
    """

    within: bool = False
    between: bool = False
    before: bool = False


NOT_COARSE = Coarse()


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of a module, in the layout of its side.

    Attributes:
        inputs: the arrays among its arguments, in order.
        outputs: the arrays that it returned, by where they stand in it: `""` for one alone, else `.0`, `.boxes`.
        output_gradients: the loss's gradient by each of them, as far as it depends on them.
        input_gradients: the gradient by each input, likewise, by its index.
        parameter_gradients: the gradient by each of the module's own parameters, likewise.
        coarse: what was computed in fewer digits than the run has, as far as that is seen.
    """

    inputs: Sequence[Array] = ()
    outputs: Mapping[str, Array] = field(default_factory=dict)
    output_gradients: Mapping[str, Array] = field(default_factory=dict)
    input_gradients: Mapping[int, Array] = field(default_factory=dict)
    parameter_gradients: Mapping[str, Array] = field(default_factory=dict)
    coarse: Coarse = NOT_COARSE


Calls = Mapping[str, Call]
"""Calls by the name of the tap, `conv`, and where a module is called again `conv#2`; in the order in which they end.

A model with taps of its own has one call a tap, with one output and no inputs, and no call of the model itself."""


@dataclass(frozen=True, kw_only=True)
class Backward:
    """A run forward and back.

    Attributes:
        calls: what happened.
        loss: where there is one.
        gradients: the loss's by every parameter.
        coarse: whether any of it was computed in fewer digits than the run has.
    """

    calls: Calls
    loss: Array | None = None
    gradients: Mapping[str, Array] = field(default_factory=dict)
    coarse: bool = False


class Side(Protocol):
    """One of two models in one precision. Arrays lie as this side has them.

    With `training=True`, BatchNorm, Dropout and the like run in training mode. `parameters` shows the statistics that
    this moves, until `assign` sets them again.
    """

    @property
    def sources(self) -> Mapping[str, str]:
        """Where each tap is made, `file:line`, as far as it is known."""

    def parameters(self) -> Mapping[str, Array]:
        """Weights and statistics by name, those that are floating-point numbers; a copy."""

    def assign(self, parameters: Mapping[str, Array]) -> None:
        """Take over the parameters that are named here; their shapes must fit."""

    def forward(self, inputs: Sequence[Array], *, fed: Calls | None = None, training: bool = False) -> Calls:
        """Every tapped call of a run on `inputs`, and the model's own under `output`.

        With `fed`, a tapped module is fed the inputs given there instead of those that arrive, and what follows it
        gets the outputs given there; recorded are the inputs that arrive and the outputs that the module makes.
        """

    def backward(
        self,
        inputs: Sequence[Array],
        loss: Loss | Mapping[str, Array],
        *,
        fed: Calls | None = None,
        training: bool = False,
    ) -> Backward:
        """A run forward and back from `loss`, or from the gradients by the outputs that it holds.

        With `fed`, each tapped module alone: fed as `forward` feeds it, and back from the output gradients given there.
        """


class TrainableSide(Side, Protocol):
    """A side whose parameters an optimiser can change; afterwards the side has again those it had before."""

    def apply(self, gradients: Sequence[Mapping[str, Array]], optimizer: MakeOptimizer) -> Mapping[str, Array]:
        """The parameters after steps with these gradients, a mapping a step."""

    def train(
        self, batches: Sequence[Sequence[Array]], losses: Sequence[Loss], optimizer: MakeOptimizer, *, training: bool
    ) -> Array:
        """The loss (S,) at each step of a training run: one batch and its loss function a step."""


def call_name(tap: str, count: int) -> str:
    """The name of the first, second, ... call of a tap."""
    return tap if count == 1 else f"{tap}#{count}"


def input_names(call: str, count: int) -> list[str]:
    """The names of what arrives at a call: `conv.input`, or `conv.input.0` and so on; `input` of the model itself."""
    name = "input" if call == ROOT else f"{call}.input"
    return [name] if count == 1 else [f"{name}.{i}" for i in range(count)]


def tap_of(call: str) -> str:
    """The tap that a call is of."""
    return call.partition("#")[0]


def other_inputs(reference: Calls, port: Calls) -> dict[str, str]:
    """The taps that get inputs of other shapes in the port and still make results of the same, with a sentence."""
    found = {}
    for name, call in reference.items():
        other = port.get(name, Call())
        given, taken = ([values.shape for values in of.inputs] for of in (call, other))
        made, found_made = ({place: v.shape for place, v in of.outputs.items()} for of in (call, other))
        if name != ROOT and given != taken and len(given) == len(taken) and made == found_made:
            was, became = next(pair for pair in zip(given, taken, strict=True) if pair[0] != pair[1])
            found[tap_of(name)] = f"the port makes it {became}, and the reference has it {was}"
    return found


def output_name(place: str) -> tuple[str, str]:
    """The call that has an output, and the output's name: of the model itself by its place, else a tap of its own."""
    return (place, place) if place and not place.startswith(".") else (ROOT, ROOT + place)
