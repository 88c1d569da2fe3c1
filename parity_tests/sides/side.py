"""What is kept of a run of a model: the calls of its tapped modules, as arrays. Needs numpy alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from parity_tests.rule.record import Array

ROOT = "output"
"""The name under which a model itself is recorded: its results are `output`, what it is given is `input`."""

Loss = Callable[[Any], Any]
"""What makes a scalar tensor from what a model returns, in the model's own framework."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of a module, in the layout of its side.

    Attributes:
        inputs: the arrays among its arguments, in order.
        outputs: the arrays that it returned, by where they stand in it: `""` for one alone, else `.0`, `.boxes`.
        output_gradients: the loss's gradient by each of them, as far as it depends on them.
        input_gradients: the gradient by each input, likewise, by its index.
        parameter_gradients: the gradient by each of the module's own parameters, likewise.
    """

    inputs: Sequence[Array] = ()
    outputs: Mapping[str, Array] = field(default_factory=dict)
    output_gradients: Mapping[str, Array] = field(default_factory=dict)
    input_gradients: Mapping[int, Array] = field(default_factory=dict)
    parameter_gradients: Mapping[str, Array] = field(default_factory=dict)


Calls = Mapping[str, Call]
"""Calls by the name of the tap, `conv`, and where a module is called again `conv#2`; in the order in which they end."""


@dataclass(frozen=True, kw_only=True)
class Backward:
    """A run forward and back: its calls, the loss where there is one, and its gradient by every parameter."""

    calls: Calls
    loss: Array | None
    gradients: Mapping[str, Array]


class Side(Protocol):
    """One of two models in one precision. Arrays lie as this side has them."""

    def parameters(self) -> dict[str, Array]:
        """Weights and statistics by name, those that are floating-point numbers; a copy."""

    def assign(self, values: Mapping[str, Array]) -> None:
        """Take over the parameters that are named here; their shapes must fit."""

    def forward(self, inputs: Sequence[Array], given: Calls | None = None) -> Calls:
        """Every tapped call of a run on `inputs`, and the model's own under `output`.

        With `given`, a tapped module is fed the inputs given there instead of those that arrive, and what follows it
        gets the outputs given there; recorded are the inputs that arrive and the outputs that the module makes.
        """

    def backward(self, inputs: Sequence[Array], loss: Loss | Mapping[str, Array]) -> Backward:
        """A run forward and back from `loss`, or from the gradients by the outputs that it holds."""

    def backward_of_each(self, inputs: Sequence[Array], given: Calls) -> Calls:
        """Each tapped module alone: fed as `forward` feeds it, and back from the output gradients given."""


def call_name(tap: str, count: int) -> str:
    """The name of the first, second, ... call of a tap."""
    return tap if count == 1 else f"{tap}#{count}"


def input_names(call: str, count: int) -> list[str]:
    """The names of what arrives at a call: `conv.input`, or `conv.input.0` and so on; `input` of the model itself."""
    name = "input" if call == ROOT else f"{call}.input"
    return [name] if count == 1 else [f"{name}.{i}" for i in range(count)]
