"""The ladder for two models of one's own: parameters, forward, backward, gradients. Needs numpy alone."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from parity_tests.ladder.comparison import Pair, comparable, tap_of
from parity_tests.rule.compare import (
    CASCADED,
    GRADIENT,
    ISOLATED,
    Array,
    Record,
    compare_taps,
    float32_budget,
    largest,
    rounding_budget,
)
from parity_tests.rule.errors import InputError
from parity_tests.sides.side import ROOT, Backward, Call, Calls, input_names


class Case(NamedTuple):
    """One comparison, and what makes it: a side may fail to run in one way and run in another."""

    name: str
    compare: Callable[[], list[Record]]


def parameters(pair: Pair) -> list[Case]:
    """Every parameter bit for bit: as it was carried over, or as the port has it."""
    name = f"float64 {'weights' if pair.transfer else 'as they are'}"
    return [Case(name, partial(_parameters, pair, name))]


def forward(pair: Pair) -> list[Case]:
    """Every tap: isolated, fed what the reference's module is fed, and cascaded, as the model is run."""
    return [
        Case(f"{pair.case} {dtype} {mode}", partial(compare, pair))
        for (dtype, mode), compare in FORWARD.items()
        if dtype in pair.dtypes and (mode == "cascaded" or has_taps(pair))
    ]


def backward(pair: Pair) -> list[Case]:
    """Gradients by taps: each module alone, and from the loss back to the input."""
    modes = {"isolated": _backward_isolated, "cascaded": _backward_cascaded}
    return [
        Case(f"{pair.case} float64 {mode}", partial(compare, pair))
        for mode, compare in modes.items()
        if mode == "cascaded" or has_taps(pair)
    ]


def gradients(pair: Pair) -> list[Case]:
    """The loss, where there is one, and its gradient by every parameter."""
    return [Case(f"{pair.case} float64 inference", partial(_gradients, pair))]


def has_taps(pair: Pair) -> bool:
    """Whether there are modules to be fed."""
    return pair.has_modules and set(pair.taps.port) - {ROOT} != set()


def _parameters(pair: Pair, case: str) -> list[Record]:
    reference, port = (side.parameters() for side in pair.sides("float64"))
    paired = {name: reference[name] for name in pair.parameters.port}
    budgets = dict.fromkeys(paired, 0.0)
    return compare_taps("parameters", case, paired, pair.by_reference_name(port), budgets=budgets)


def _isolated64(pair: Pair) -> list[Record]:
    calls = pair.reference_calls("float64")
    fed, made = (_fed_and_made(pair, side) for side in (calls, pair.port_fed("float64", calls)))
    budgets = {name: rounding_budget(values, _units(pair, name)) for name, values in fed.items()}
    return compare_taps("forward", f"{pair.case} float64 isolated", fed, made, budgets=budgets)


def _cascaded64(pair: Pair) -> list[Record]:
    runs = pair.reference_calls("float64"), pair.port_calls("float64")
    reference, port = (_made(pair, calls) for calls in runs)
    return compare_taps("forward", f"{pair.case} float64 cascaded", reference, port, units=CASCADED)


def _isolated32(pair: Pair) -> list[Record]:
    given = pair.reference_calls("float32")
    in_float64 = pair.sides("float64")[0].forward(pair.inputs, fed=pair.feeding(given))
    runs = given, in_float64, pair.port_fed("float32", given), pair.port_fed("float64", given)
    return _compare32(
        f"{pair.case} float32 isolated", [_fed_and_made(pair, calls) for calls in runs], partial(_units, pair)
    )


def _cascaded32(pair: Pair) -> list[Record]:
    runs = [calls(dtype) for calls in (pair.reference_calls, pair.port_calls) for dtype in ("float32", "float64")]
    return _compare32(f"{pair.case} float32 cascaded", [_made(pair, calls) for calls in runs], lambda _: CASCADED)


FORWARD: Mapping[tuple[str, str], Callable[[Pair], list[Record]]] = {
    ("float64", "isolated"): _isolated64,
    ("float64", "cascaded"): _cascaded64,
    ("float32", "isolated"): _isolated32,
    ("float32", "cascaded"): _cascaded32,
}


def _compare32(case: str, runs: Sequence[Mapping[str, Array]], units: Callable[[str], int]) -> list[Record]:
    """Reference and port in float32, each judged beside its own run in float64; runs in this order."""
    reference, reference64, port, port64 = runs
    budgets = {}
    for name, values in reference.items():
        others = [run[name] for run in (reference64, port, port64) if name in run]
        if [other.shape for other in others] == 3 * [values.shape]:
            budgets[name] = float32_budget(units(name), values, *others)
    return compare_taps("forward", case, reference, port, budgets=budgets)


def _compared(pair: Pair, calls: Calls) -> Calls:
    return {name: call for name, call in calls.items() if tap_of(name) in pair.taps.port}


def _fed_and_made(pair: Pair, calls: Calls) -> dict[str, Array]:
    """What arrives at each module and what the module makes, by name, in order."""
    named: list[tuple[str, Array]] = []
    for name, call in _compared(pair, calls).items():
        if name != ROOT and pair.sees_inputs and f"{tap_of(name)}.input" not in pair.exempt:
            named += zip(input_names(name, len(call.inputs)), map(comparable, call.inputs), strict=True)
        named += _named_outputs(name, call)
    return _unique(named)


def _made(pair: Pair, calls: Calls) -> dict[str, Array]:
    """What the modules make, by name, in order."""
    return _unique(pair for name, call in _compared(pair, calls).items() for pair in _named_outputs(name, call))


def _named_outputs(name: str, call: Call) -> list[tuple[str, Array]]:
    return [(name + place, comparable(values)) for place, values in call.outputs.items()]


def _unique(named: Iterable[tuple[str, Array]]) -> dict[str, Array]:
    """Values by name; a tap may be called as another's input or second output is, `conv.input` or `conv.1`."""
    values: dict[str, Array] = {}
    for name, array in named:
        if name in values:
            raise InputError(f"taps: two arrays would be called {name!r}, and one of the taps must have another name")
        values[name] = array
    return values


def _units(pair: Pair, name: str) -> int:
    """Roundings allowed to a module that is fed, and to whatever lies between modules, which may be many steps."""
    between = name == ROOT or name.startswith(f"{ROOT}.") or re.search(r"\.input(\.\d+)?$", name)
    return CASCADED if between or not pair.sees_alike else ISOLATED


def _backward_isolated(pair: Pair) -> list[Record]:
    (reference, port), calls = pair.sides("float64"), pair.backward[0].calls
    left = reference.backward(pair.inputs, pair.losses_or_sums[0], fed=pair.feeding(calls))
    right = port.backward(pair.port_inputs, pair.losses_or_sums[1], fed=pair.to_port(calls))
    each = [_gradients_of_each(pair, side) for side in (left, pair.carried(right))]
    return _compare_gradients("backward", f"{pair.case} float64 isolated", each[0], each[1])


def _backward_cascaded(pair: Pair) -> list[Record]:
    reference, port = (_gradients_by_output(pair, side) for side in pair.backward)
    return _compare_gradients("backward", f"{pair.case} float64 cascaded", reference, port)


def _gradients(pair: Pair) -> list[Record]:
    reference, port = pair.backward
    case = f"{pair.case} float64 inference"
    losses = [{} if side.loss is None else {"loss": side.loss} for side in (reference, port)]
    records = compare_taps("gradients", case, losses[0], losses[1], units=CASCADED)
    paired = {name: values for name, values in reference.gradients.items() if name in pair.parameters.port}
    return records + _compare_gradients("gradients", case, paired, port.gradients)


def _gradients_of_each(pair: Pair, run: Backward) -> dict[str, Array]:
    """By call: the gradient by its input under its own name, and those by its module's parameters.

    A tap of the model's own has the gradient by what it holds, and those by parameters are the run's.
    """
    values: dict[str, Array] = {}
    for name, call in _compared(pair, run.calls).items():
        if name == ROOT:
            continue
        if pair.sees_alike and f"{tap_of(name)}.input" not in pair.exempt:
            values |= {f"{name}.{i}" if len(call.inputs) > 1 else name: g for i, g in call.input_gradients.items()}
            values |= {name + place: gradient for place, gradient in call.output_gradients.items()}
        again = name.removeprefix(tap_of(name))
        of_module = call.parameter_gradients.items()
        values |= {f"{parameter}{again}": g for parameter, g in of_module if parameter in pair.parameters.port}
    return values | {name: g for name, g in run.gradients.items() if name in pair.parameters.port}


def _gradients_by_output(pair: Pair, run: Backward) -> dict[str, Array]:
    """The gradients by taps, the last one first, and by the model's input."""
    values: dict[str, Array] = {}
    for name, call in reversed([*_compared(pair, run.calls).items()]):
        if name != ROOT and not pair.has_modules:
            continue  # what a function returns by name is no longer what it went on with
        values |= {name + place: gradient for place, gradient in call.output_gradients.items()}
    root = run.calls.get(ROOT, Call())
    names = input_names(ROOT, len(root.inputs))
    return values | {names[i]: gradient for i, gradient in root.input_gradients.items()}


def _compare_gradients(rung: str, case: str, reference: Mapping[str, Array], port: Mapping[str, Array]) -> list[Record]:
    budgets = {name: GRADIENT * largest(values) for name, values in reference.items()}
    return compare_taps(rung, case, reference, port, budgets=budgets)


RUNGS: Mapping[str, Callable[[Pair], list[Case]]] = {
    "parameters": parameters,
    "forward": forward,
    "backward": backward,
    "gradients": gradients,
}
"""What is compared, in order: what is wrong in one module shows in all gradients before it, so modules come first."""
