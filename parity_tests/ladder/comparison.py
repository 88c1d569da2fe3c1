"""Two sides that are held against each other: what each is fed, and what comes back, by the reference's names.

Needs numpy alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from parity_tests.rule.compare import Array
from parity_tests.sides.adapters import Adapter
from parity_tests.sides.layouts import Layouts, to_port, to_reference
from parity_tests.sides.names import Pairs
from parity_tests.sides.side import ROOT, Backward, Call, Calls, Loss, Side, input_names

SEED = 0
"""Of the numbers by which outputs are weighted where no loss is given."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """What is held against what, and on which inputs.

    Attributes:
        reference, port: the two sides.
        paths: where each side has the taps that are compared, by the reference's names.
        inputs: what the model is fed, in the reference's layout; float32 numbers where they are no integers.
        layouts: how arrays of the port lie.
        parameters, taps: which names belong together.
        exempt: names that are not to be compared.
        losses: a loss for each side, or `None` for the sum of all outputs, each weighted by a random number.
        dtypes: precisions that get records.
        transfer: whether the port gets the reference's parameters.
    """

    reference: Adapter
    port: Adapter
    paths: tuple[Mapping[str, str], Mapping[str, str]]
    inputs: Sequence[Array]
    layouts: Layouts
    parameters: Pairs
    taps: Pairs
    exempt: Mapping[str, str]
    losses: tuple[Loss, Loss] | None
    dtypes: Sequence[str]
    transfer: bool
    _sides: dict[str, tuple[Side, Side]] = field(default_factory=dict)
    _calls: dict[tuple[str, str], Calls] = field(default_factory=dict)

    @property
    def case(self) -> str:
        """The shapes of the inputs, `4x16x16x3`."""
        return "+".join("x".join(map(str, values.shape)) or "scalar" for values in self.inputs)

    @property
    def has_modules(self) -> bool:
        """Whether both sides can be fed module by module."""
        return self.reference.has_modules and self.port.has_modules

    @property
    def sees_inputs(self) -> bool:
        """Whether both sides capture what arrives at a tap."""
        return self.reference.sees_inputs and self.port.sees_inputs

    @property
    def sees_alike(self) -> bool:
        """Whether both sides capture what arrives at a tap, or neither does."""
        return self.reference.sees_inputs == self.port.sees_inputs

    @property
    def has_parameters(self) -> bool:
        """Whether both sides have parameters."""
        return self.reference.has_parameters and self.port.has_parameters

    @property
    def has_gradients(self) -> bool:
        """Whether both sides can be run back."""
        return self.reference.has_gradients and self.port.has_gradients

    @cached_property
    def port_inputs(self) -> list[Array]:
        """The inputs in the layout of the port."""
        names = input_names(ROOT, len(self.inputs))
        return [self._to_port(ROOT, name, values) for name, values in zip(names, self.inputs, strict=True)]

    def sides(self, dtype: str) -> tuple[Side, Side]:
        """Reference and port in one precision, with the weights of the comparison: float32 numbers in either."""
        if dtype not in self._sides:
            sides = self.reference.open(dtype, self.paths[0]), self.port.open(dtype, self.paths[1])
            for side in sides:
                side.assign(_rounded(side.parameters()))
            if self.transfer:
                sides[1].assign(self._for_port(sides))
            self._sides[dtype] = sides
        return self._sides[dtype]

    def reference_calls(self, dtype: str) -> Calls:
        """The reference's run on the inputs."""
        if ("reference", dtype) not in self._calls:
            self._calls["reference", dtype] = self.sides(dtype)[0].forward(self.inputs)
        return self._calls["reference", dtype]

    def port_calls(self, dtype: str) -> Calls:
        """The port's run on the inputs, by the reference's names and in its layout."""
        if ("port", dtype) not in self._calls:
            self._calls["port", dtype] = self.to_reference(self.sides(dtype)[1].forward(self.port_inputs))
        return self._calls["port", dtype]

    @property
    def called(self) -> set[str]:
        """The taps that were run on either side, in what was compared so far."""
        runs = [*self._calls.values(), *(back.calls for back in (self.backward if "backward" in vars(self) else ()))]
        return {tap_of(name) for calls in runs for name in calls}

    def port_fed(self, dtype: str, given: Calls) -> Calls:
        """What the port's modules make of the inputs of the reference's, by its names and in its layout."""
        return self.to_reference(self.sides(dtype)[1].forward(self.port_inputs, fed=self.to_port(given)))

    def by_reference_name(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """Values of the port's parameters that have a partner, by its name and in its layout."""
        return {
            reference: to_reference(values[port], self.layouts.parameter(reference, port, values[port].ndim))
            for reference, port in self.parameters.port.items()
            if port in values
        }

    def to_port(self, calls: Calls) -> dict[str, Call]:
        """Calls of the reference's modules as the port has them; without inputs where those are exempt."""
        return {name: self._call_to_port(name, call) for name, call in calls.items() if name != ROOT}

    def feeding(self, calls: Calls) -> dict[str, Call]:
        """Calls of the reference's modules to feed it itself; without inputs where those are exempt."""
        return {
            name: replace(call, inputs=()) if f"{tap_of(name)}.input" in self.exempt else call
            for name, call in calls.items()
            if name != ROOT
        }

    def to_reference(self, calls: Calls) -> dict[str, Call]:
        """Calls of the port's modules by the reference's names and in its layout."""
        return {name: self._call_to_reference(name, call) for name, call in calls.items()}

    @cached_property
    def losses_or_sums(self) -> tuple[Any, Any]:
        """What either side runs back from."""
        return self.losses or self._weighted_sums(self.reference_calls("float64"))

    @cached_property
    def backward(self) -> tuple[Backward, Backward]:
        """Both sides forward and back in float64, the port's by the reference's names and in its layout."""
        reference, port = self.sides("float64")
        runs = (
            reference.backward(self.inputs, self.losses_or_sums[0]),
            port.backward(self.port_inputs, self.losses_or_sums[1]),
        )
        return runs[0], self.carried(runs[1])

    def carried(self, run: Backward) -> Backward:
        """A run of the port forward and back by the reference's names and in its layout."""
        return replace(run, calls=self.to_reference(run.calls), gradients=self.by_reference_name(run.gradients))

    def _weighted_sums(self, calls: Calls) -> tuple[dict[str, Array], dict[str, Array]]:
        """Random gradients by the outputs of both sides; by the last tap where a model writes its own."""
        rng = np.random.default_rng(SEED)
        last = ROOT if ROOT in calls else [*calls][-1]
        outputs = {place if last == ROOT else last: values for place, values in calls[last].outputs.items()}
        floating = {place: values.shape for place, values in outputs.items() if values.dtype.kind == "f"}
        seeds: dict[str, Array] = {place: rng.normal(size=shape) for place, shape in floating.items()}
        names = {place: ROOT + place if last == ROOT else place for place in seeds}
        return seeds, {place: self._to_port(last, names[place], seed) for place, seed in seeds.items()}

    def _for_port(self, sides: tuple[Side, Side]) -> dict[str, Array]:
        """The reference's parameters for the port, those that fit."""
        reference, port = (side.parameters() for side in sides)
        carried = {}
        for name, partner in self.parameters.port.items():
            permutation = self.layouts.parameter(name, partner, reference[name].ndim)
            values = to_port(name, reference[name], permutation)
            if values.shape == port[partner].shape:
                carried[partner] = values
        return carried

    def _call_to_port(self, name: str, call: Call) -> Call:
        return self._mapped(name, self.feeding({name: call})[name], self._to_port)

    def _call_to_reference(self, name: str, call: Call) -> Call:
        mapped = self._mapped(name, call, self._to_reference)
        return replace(mapped, parameter_gradients=self.by_reference_name(call.parameter_gradients))

    def _mapped(self, name: str, call: Call, change: Callable[[str, str, Array], Array]) -> Call:
        """A call with every array of inputs and outputs changed, and of the gradients by them."""
        names = input_names(name, len(call.inputs))
        outputs, gradients = (
            {place: change(name, name + place, values) for place, values in of.items()}
            for of in (call.outputs, call.output_gradients)
        )
        return replace(
            call,
            inputs=[change(name, names[i], values) for i, values in enumerate(call.inputs)],
            outputs=outputs,
            output_gradients=gradients,
            input_gradients={i: change(name, names[i], values) for i, values in call.input_gradients.items()},
        )

    def _to_port(self, call: str, name: str, values: Array) -> Array:
        return to_port(name, values, self.layouts.tap(call, name, values.ndim))

    def _to_reference(self, call: str, name: str, values: Array) -> Array:
        return to_reference(values, self.layouts.tap(call, name, values.ndim))


def tap_of(call: str) -> str:
    """The tap that a call is of."""
    return call.partition("#")[0]


def comparable(values: Array) -> Array:
    """Numbers that have a rounding: what is none, as classes and masks, in float64."""
    return values if values.dtype.kind == "f" else values.astype(np.float64)


def _rounded(parameters: Mapping[str, Array]) -> dict[str, Array]:
    """Those parameters that are no float32 numbers, as the nearest."""
    rounded = {name: values.astype(np.float32).astype(values.dtype) for name, values in parameters.items()}
    return {name: values for name, values in rounded.items() if not np.array_equal(values, parameters[name])}
