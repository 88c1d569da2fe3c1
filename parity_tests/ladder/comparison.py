"""Two models that are held against each other: what each is fed, and what comes back, by the reference's names.

Needs numpy alone.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from parity_tests.ladder.borders import PreparedInputs
from parity_tests.ladder.call_order import in_words, other_order
from parity_tests.ladder.case import Case, Sides
from parity_tests.ladder.cropped import cropped
from parity_tests.ladder.lying import let_lie
from parity_tests.ladder.together import Together
from parity_tests.ladder.unused import used_uncalled
from parity_tests.rule.record import Array, Where
from parity_tests.sides.adapter import Adapter
from parity_tests.sides.layouts import Layouts
from parity_tests.sides.links import Links
from parity_tests.sides.names import Pairs, are_folded, fan_in, is_within
from parity_tests.sides.side import ROOT, Backward, Call, Calls, Coarse, Loss, Side, input_names, output_name, tap_of

SEED = 2017
"""Of the numbers by which outputs are weighted where no loss is given; inputs are often drawn from 0."""

ModelSides = Sides[Side]
ModelCase = Case[Side]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What is held against what, and on which inputs.

    Attributes:
        reference, port: the two models.
        paths: where each side has the taps that are compared, by the reference's names.
        inputs: what the model is fed, in the reference's layout; float32 numbers where they are no integers.
        layouts: how arrays of the port lie.
        parameters, taps: which names belong together.
        links: how parameters are carried over.
        names, said_of_names: the table by which they were paired, given or found; and sentences on one that was found.
        skip: names that are not to be compared.
        losses: a loss for each side, or `None` for the sum of all outputs, each weighted by a random number.
        optimizers: what makes an optimiser for each side, where training is compared.
        batches: the inputs of each step of a training run.
        dtypes: precisions that get records.
        transfer: whether the port gets the reference's parameters.
        folded: whether results of the port stand for those of BatchNorm that is folded into it.
        uncalled, cut, together: taps that a side does not call, cuts the results of, or calls once for several calls.
    """

    reference: Adapter
    port: Adapter
    paths: tuple[Mapping[str, str], Mapping[str, str]]
    inputs: Sequence[Array]
    layouts: Layouts
    parameters: Pairs
    taps: Pairs
    links: Links
    names: Mapping[str, str] = field(default_factory=dict)
    said_of_names: Sequence[str] = ()
    skip: Mapping[str, str] = field(default_factory=dict)
    losses: tuple[Loss, Loss] | None = None
    optimizers: tuple[Callable[[Any], Any], Callable[[Any], Any]] | None = None
    batches: Sequence[Sequence[Array]] = ()
    dtypes: Sequence[str] = ("float64", "float32")
    transfer: bool = True
    folded: bool = False
    uncalled: dict[str, str] = field(default_factory=dict)
    cut: dict[str, str] = field(default_factory=dict)
    together: Together = field(default_factory=Together)
    _calls: dict[tuple[str, str], Calls] = field(default_factory=dict)
    _lying: dict[str, str] = field(default_factory=dict)
    _backward: dict[str, Backward] = field(default_factory=dict)
    _renamed: dict[str, str] = field(default_factory=dict)

    @property
    def where(self) -> Where:
        """The shapes of the inputs."""
        return Where(inputs=tuple(tuple(values.shape) for values in self.inputs))

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

    @property
    def goes_back_alike(self) -> bool:
        """Whether both sides can be run back, and give gradients by taps of the same kind."""
        return self.has_gradients and self.reference.writes_taps == self.port.writes_taps

    @property
    def has_start_of_gradients(self) -> bool:
        """Whether both sides can be run back from the same: a loss, or outputs of the same kind."""
        return self.goes_back_alike or (self.has_gradients and self.losses is not None)

    @property
    def has_taps(self) -> bool:
        """Whether there are modules to be fed."""
        return self.has_modules and bool(set(self.taps.port) - {ROOT})

    @property
    def port_is_folded(self) -> bool:
        """Whether parameters of the port were made of several of the reference's, and rounded to float32 as they were.

        An exporter makes a convolution and the BatchNorm behind it one. So may a port with weights of its own: nothing
        but BatchNorm then lacks a partner there, and nothing but biases here.
        """
        missing = self.parameters.missing
        if self.port.may_be_folded:
            return bool(missing["reference"] and missing["port"])
        return self.folded or (not self.transfer and are_folded(missing["reference"], missing["port"]))

    @cached_property
    def prepared(self) -> PreparedInputs:
        """The taps whose input the port prepares, as far as it has run."""
        return PreparedInputs(self.reference.layout)

    @cached_property
    def sides(self) -> ModelSides:
        """Reference and port in each precision, with the weights of the comparison: float32 numbers in either."""
        return Sides(
            build={
                "reference": lambda dtype: self.reference.open(dtype, self.paths[0]),
                "port": lambda dtype: self.port.open(dtype, self.paths[1]),
            },
            assign=self._assign,
        )

    @cached_property
    def weights(self) -> Mapping[str, Array]:
        """The reference's parameters in float32."""
        return self.reference.open("float32", {}).parameters()

    def _assign(self, name: str, side: Side) -> None:
        """Put the weights into a side, those that it has not already; shapes that do not fit are left as they are."""
        has = side.parameters()
        wanted = self.weights if name == "reference" else self._weights_of_port
        cast = {
            n: value.astype(has[n].dtype) for n, value in wanted.items() if n in has and has[n].shape == value.shape
        }
        side.assign({n: value for n, value in cast.items() if not np.array_equal(value, has[n])})

    @cached_property
    def _weights_of_port(self) -> Mapping[str, Array]:
        carried = self.links.to_port(self.weights) if self.transfer else {}
        return {**self.port.open("float32", {}).parameters(), **carried}

    @cached_property
    def terms(self) -> Mapping[str, int]:
        """The products in the longest sum of each tap: told by the reference, or seen from the parameters within it."""
        sums = {name: fan_in(name, value.shape) for name, value in self.weights.items() if value.ndim > 1}
        within = {tap: [n for name, n in sums.items() if is_within(name, path)] for tap, path in self.paths[0].items()}
        return {tap: max(found, default=1) for tap, found in within.items()} | dict(self.reference.terms)

    def to_port_inputs(self, inputs: Sequence[Array]) -> list[Array]:
        """Inputs in the layout of the port."""
        names = input_names(ROOT, len(inputs))
        return [self.layouts.to_port(ROOT, name, values) for name, values in zip(names, inputs, strict=True)]

    def reference_calls(self, sides: ModelSides, dtype: str) -> Calls:
        """The reference's run on the inputs, asked for once."""
        if ("reference", dtype) not in self._calls:
            self._calls["reference", dtype] = sides.reference(dtype).forward(self.inputs)
        return self._calls["reference", dtype]

    def port_calls(self, sides: ModelSides, dtype: str) -> Calls:
        """The port's run on the inputs, by the reference's names and in its layout; asked for once."""
        if ("port", dtype) not in self._calls:
            beside = self._calls.get(("reference", dtype), {})
            found = self.together.found(beside, sides.port(dtype).forward(self.to_port_inputs(self.inputs)))
            self._lying.update(let_lie(self.layouts, beside, found))
            if beside and self.has_gradients and self.reference.taps is self.port.taps is None:
                opened, fed = (sides.reference, sides.port), (self.inputs, self.to_port_inputs(self.inputs))
                self.uncalled.update(used_uncalled(self.paths, (beside, found), opened, fed))
            mapped = self._calls["port", dtype] = self.to_reference(found)
            self.cut.update(cropped(beside, mapped) if self.sees_inputs else {})
        return self._calls["port", dtype]

    def port_fed(self, sides: ModelSides, dtype: str, given: Calls, *, training: bool = False) -> Calls:
        """What the port's modules make of the inputs of the reference's, by its names and in its layout."""
        inputs, fed = self.to_port_inputs(self.inputs), self.given_to_port(sides, given)
        return self.to_reference(sides.port(dtype).forward(inputs, fed=fed, training=training))

    def backward_of_reference(self, sides: ModelSides) -> Backward:
        """The reference forward and back in float64, from its loss or the weighted sum; asked for once."""
        if "reference" not in self._backward:
            loss = self.loss_of("reference", self.seeds_of(sides))
            self._backward["reference"] = sides.reference("float64").backward(self.inputs, loss)
        return self._backward["reference"]

    def backward_of_port(self, sides: ModelSides, seeds: Mapping[str, Array]) -> Backward:
        """The port forward and back in float64, by the reference's names and in its layout; asked for once."""
        if "port" not in self._backward:
            inputs, loss = self.to_port_inputs(self.inputs), self.loss_of("port", seeds)
            self._backward["port"] = self.carried(sides.port("float64").backward(inputs, loss))
        return self._backward["port"]

    def carried(self, run: Backward) -> Backward:
        """A run of the port forward and back by the reference's names and in its layout."""
        calls, gradients = self.to_reference(run.calls), self.gradients_to_reference(run.gradients)
        return replace(run, calls=calls, gradients=gradients, coarse=run.coarse or self.port_is_folded)

    def loss_of(self, name: str, seeds: Mapping[str, Array]) -> Loss | Mapping[str, Array]:
        """What a side runs back from: its loss, or a weight for each number of its outputs."""
        if self.losses:
            return self.losses[0 if name == "reference" else 1]
        if name == "reference":
            return seeds
        return {place: self.layouts.to_port(*output_name(place), seed) for place, seed in seeds.items()}

    def seeds_of(self, sides: ModelSides) -> dict[str, Array]:
        """A random weight for each number of the reference's outputs; none where there is a loss.

        Of a model that writes its taps itself the last one is its output.
        """
        rng, calls = np.random.default_rng(SEED), {} if self.losses else self.reference_calls(sides, "float64")
        last = ROOT if ROOT in calls else next(reversed([*calls]), "")
        outputs = calls[last].outputs if last else {}
        floating = {place: values.shape for place, values in outputs.items() if values.dtype.kind == "f"}
        return {place if last == ROOT else last: rng.normal(size=shape) for place, shape in floating.items()}

    @property
    def called(self) -> set[str]:
        """The taps that were run on either side, in what was compared so far."""
        runs = [*self._calls.values(), *(back.calls for back in self._backward.values())]
        return {tap_of(name) for calls in runs for name in calls}

    def optimizer_of(self, name: str) -> Callable[[Any], Any]:
        """What makes the optimiser of a side."""
        assert self.optimizers is not None, "compare_models refuses steps without optimisers"
        return self.optimizers[0 if name == "reference" else 1]

    def trained(self, sides: ModelSides) -> list[str]:
        """The reference's parameters that have a gradient and a partner."""
        return [name for name in self.backward_of_reference(sides).gradients if name in self.parameters.port]

    def paired(self, values: Mapping[str, Array], *, gradients: bool = False) -> dict[str, Array]:
        """What the port can have of the reference's values or gradients: a recorded answer holds others too."""
        return self.links.shared(values, gradients=gradients)

    def by_reference_name(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """Values of the port's parameters that have a partner, by its name and as the reference has them."""
        return self.links.to_reference(values)

    def gradients_to_reference(self, gradients: Mapping[str, Array]) -> dict[str, Array]:
        """Gradients by the port's parameters likewise."""
        return self.links.to_reference(gradients, gradients=True)

    def gradients_to_port(self, gradients: Mapping[str, Array]) -> dict[str, Array]:
        """Gradients by the reference's parameters that have a partner, by its name and as the port has them."""
        return self.links.to_port(gradients, gradients=True)

    def given_to_port(self, sides: ModelSides, calls: Calls) -> dict[str, Call]:
        """Calls of the reference's modules as the port's are fed; without inputs where the port prepares its own.

        A port may pad before it calls a module that pads by itself in the reference: the module then gets what arrives.
        """
        if self.sees_inputs:
            with suppress(Exception):  # a port that does not run by itself is told of where it is asked to
                self._take_order(calls, sides)
                self.prepared.look(calls, self.port_calls(sides, "float64"), self.skip)
        return self.to_port(calls)

    def _take_order(self, calls: Calls, sides: ModelSides) -> None:
        """Take the port's calls by what they are fed, where it makes them in another order than the reference's."""
        if not self._renamed and (renamed := other_order(calls, self.port_calls(sides, "float64"))):
            self._renamed.update(renamed)
            for asked in [asked for asked in self._calls if asked[0] == "port"]:
                del self._calls[asked]

    @property
    def said_of_inputs(self) -> list[str]:
        """A sentence for each module whose input the port prepares, and for each array that is no map."""
        said = [f"{tap}.input: {x}; the port's {tap} is run on what arrives" for tap, x in self.prepared.words.items()]
        others = [*self.uncalled.items(), *self.cut.items(), *self.together.words.items(), *self._lying.items()]
        return [*said, *in_words(self._renamed), *(f"{name}: {words}" for name, words in others)]

    def feeds_input(self, tap: str) -> bool:
        """Whether a tap is fed what arrives in the reference, and the gradient by it is compared."""
        return f"{tap}.input" not in self.skip and tap not in self.prepared.words

    def compares_input(self, tap: str) -> bool:
        """Whether what arrives at a tap is compared: of what the port pads, too, without the border."""
        return f"{tap}.input" not in self.skip and self.prepared.is_comparable(tap)

    def to_port(self, calls: Calls) -> dict[str, Call]:
        """Calls of the reference's modules as the port has them; without inputs where those are skipped."""
        fed = {name: call for name, call in self.feeding(calls).items() if tap_of(name) not in self.cut}
        own = {name: port for port, name in self._renamed.items()}
        return self.together.to_port({own.get(n, n): self._mapped(n, c, self.layouts.to_port) for n, c in fed.items()})

    def feeding(self, calls: Calls) -> dict[str, Call]:
        """Calls of the reference's modules to feed it itself; without inputs where those are skipped."""
        return {
            name: call if self.feeds_input(tap_of(name)) else replace(call, inputs=())
            for name, call in calls.items()
            if name != ROOT
        }

    def to_reference(self, calls: Calls) -> dict[str, Call]:
        """Calls of the port's modules by the reference's names and in its layout."""
        named = ((self._renamed.get(n, n), call) for n, call in self.together.to_reference(calls).items())
        return {name: self._call_to_reference(name, call) for name, call in named}

    def _call_to_reference(self, name: str, call: Call) -> Call:
        mapped = self.prepared.to_reference(name, self._mapped(name, call, self.layouts.to_reference))
        if self.port_is_folded:
            mapped = replace(mapped, coarse=Coarse(within=True, between=True, before=True))
        return replace(mapped, parameter_gradients=self.gradients_to_reference(call.parameter_gradients))

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
