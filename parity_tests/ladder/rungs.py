"""The ladder for any two models: parameters, forward, backward, gradients. Needs numpy alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from parity_tests.ladder.asked_again import asked_again
from parity_tests.ladder.case import Answer
from parity_tests.ladder.coarse import EPS, Coarsened, coarse_budget, coarse_sides, coarsened
from parity_tests.ladder.compared import (
    Taps,
    allowed_units,
    compared_calls,
    fed_and_made,
    longest_sum,
    made,
    tag_of,
)
from parity_tests.ladder.comparison import Comparison, ModelCase, ModelSides
from parity_tests.ladder.gradients import VARIABLE, compare_gradients, scales_of
from parity_tests.ladder.model_case import calls_of, model_case
from parity_tests.rule.budgets import (
    CASCADED,
    GRADIENT,
    ISOLATED,
    OwnErrors,
    float32_budget,
    largest,
    longest_so_far,
    own_errors,
    rounding_budget,
)
from parity_tests.rule.compare import compare_taps
from parity_tests.rule.record import Array, Record, Where
from parity_tests.sides.side import ROOT, Call, Calls, input_names, tap_of


def parameters(pair: Comparison) -> list[ModelCase]:
    """Every parameter bit for bit: as it was carried over, or as the port has it."""
    where = Where(dtype="float64", subject="weights" if pair.transfer else "as they are")

    def reference(sides: ModelSides) -> Answer:
        values = sides.reference("float64").parameters()
        return {"parameters": {name: values[name] for name in pair.parameters.port}}

    def port(sides: ModelSides, given: Answer) -> Answer:
        return {"parameters": pair.by_reference_name(sides.port("float64").parameters())}

    def judge(reference: Answer, port: Answer) -> list[Record]:
        left, right = pair.paired(reference["parameters"]), port["parameters"]
        made = {name for name in left if pair.parameters.port[name] in pair.port.made and not pair.transfer}
        budgets = {name: ISOLATED * EPS * largest(left[name]) if name in made else 0.0 for name in left}
        return compare_taps("parameters", where, left, right, budgets=budgets, tag_of=lambda n: VARIABLE)

    return [
        ModelCase(rung="parameters", where=where, reference=reference, port=port, judge=judge, whole=("parameters",))
    ]


def forward(pair: Comparison) -> list[ModelCase]:
    """Every tap: isolated, fed what the reference's module is fed, and cascaded, as the model is run; outputs twice."""
    makers = {"isolated": _isolated, "cascaded": _cascaded}
    cases = [
        make(pair, replace(pair.where, dtype=dtype, mode=mode))
        for dtype in ("float64", "float32")
        for mode, make in makers.items()
        if dtype in pair.dtypes and (mode == "cascaded" or pair.has_taps)
    ]
    return [*cases, *asked_again(pair, _judge_cascaded)]


def _cascaded(pair: Comparison, where: Where) -> ModelCase:
    """In float32 both sides run in float64 too, to know what rounding costs them."""
    precisions = list(dict.fromkeys((where.dtype, "float64")))

    def reference(sides: ModelSides) -> Answer:
        return {dtype: pair.reference_calls(sides, dtype) for dtype in precisions}

    def port(sides: ModelSides, given: Answer) -> Answer:
        return {dtype: pair.port_calls(sides, dtype) for dtype in precisions}

    return model_case("forward", where, reference, port, partial(_judge_cascaded, pair, where), precisions)


def _judge_cascaded(pair: Comparison, where: Where, reference: Answer, port: Answer) -> list[Record]:
    dtypes, sides = {where.dtype, "float64"}, (reference, port)
    left, right = ({dtype: made(pair, calls_of(side, dtype)) for dtype in dtypes} for side in sides)
    coarse = coarsened(*(_coarse_so_far(pair, calls_of(side, "float64")) for side in sides))
    terms = longest_so_far(left[where.dtype], partial(longest_sum, pair))
    return _judge(where, left, right, lambda name: CASCADED, terms.__getitem__, coarse)


def _isolated(pair: Comparison, where: Where) -> ModelCase:
    """The modules of both sides are fed the inputs of the reference's, in the precision of the case and in float64."""
    precisions = list(dict.fromkeys((where.dtype, "float64")))

    def reference(sides: ModelSides) -> Answer:
        given = pair.reference_calls(sides, where.dtype)
        if where.dtype == "float64":
            return {"float64": given}
        return {"float32": given, "float64": sides.reference("float64").forward(pair.inputs, fed=pair.feeding(given))}

    def port(sides: ModelSides, given: Answer) -> Answer:
        fed = calls_of(given, where.dtype)
        return {dtype: pair.port_fed(sides, dtype, fed) for dtype in precisions}

    def judge(reference: Answer, port: Answer) -> list[Record]:
        left, right = ({d: fed_and_made(pair, calls_of(side, d)) for d in precisions} for side in (reference, port))
        coarse = coarsened(*(_coarse_alone(pair, calls_of(side, "float64")) for side in (reference, port)))
        units = allowed_units(pair, calls_of(reference, "float64"))
        return _judge(where, left, right, units.__getitem__, partial(longest_sum, pair), coarse)

    return model_case("forward", where, reference, port, judge, precisions)


def _judge(
    where: Where,
    reference: Mapping[str, Taps],
    port: Mapping[str, Taps],
    units: Callable[[str], int],
    terms: Callable[[str], int],
    coarse: Coarsened,
) -> list[Record]:
    """In float64 by roundings of the largest value; in float32 each side beside its own run in float64.

    What a side computed in float32 in that is allowed the roundings of a whole model in float32, in either.
    """
    left, right, budgets = reference[where.dtype], port[where.dtype], dict[str, float]()
    own: dict[str, OwnErrors] = {}
    for name, values in left.items():
        others = [run[name] for run in (reference["float64"], right, port["float64"]) if name in run]
        if where.dtype == "float32" and [other.shape for other in others] == 3 * [values.shape]:
            own[name] = own_errors(values, *others)
        if name in coarse:
            budgets[name] = coarse_budget(largest(values))
        elif where.dtype == "float64":
            budgets[name] = rounding_budget(values, units(name))
        elif name in own:
            budgets[name] = float32_budget(units(name), values, own[name], terms(name))
    if where.dtype == "float32":
        return compare_taps("forward", where, left, right, budgets=budgets, tag_of=tag_of, own=own)
    left, right = ({n: v.astype("float64") if n in coarse else v for n, v in of.items()} for of in (left, right))
    return compare_taps("forward", where, left, right, budgets=budgets, tag_of=tag_of, coarse=coarse)


def _coarse_so_far(pair: Comparison, calls: Calls) -> set[str]:
    """The results up to which anything was computed in float32 in a run in float64."""
    computed = ((name, call) for name, call in compared_calls(pair, calls).items() if call.coarse.before)
    return {name + place for name, call in computed for place in _floating(call)}


def _coarse_alone(pair: Comparison, calls: Calls) -> set[str]:
    """The inputs and results of modules that are fed, on whose own way anything was computed so."""
    found: set[str] = set()
    for name, call in compared_calls(pair, calls).items():
        if call.coarse.between and name != ROOT:
            found.update(input_names(name, len(call.inputs)))
        if call.coarse.between if name == ROOT else call.coarse.within:
            found.update(name + place for place in _floating(call))
    return found


def _floating(call: Call) -> list[str]:
    """Where the results of a call are that have a rounding."""
    return [place for place, values in call.outputs.items() if values.dtype.kind in "fc"]


def backward(pair: Comparison) -> list[ModelCase]:
    """Gradients by taps: each module alone, and from the loss back to the input."""
    where = replace(pair.where, dtype="float64")
    isolated = [_backward_isolated(pair, replace(where, mode="isolated"))] if pair.has_taps else []
    return [*isolated, _backward_cascaded(pair, replace(where, mode="cascaded"))]


def _backward_isolated(pair: Comparison, where: Where) -> ModelCase:
    def reference(sides: ModelSides) -> Answer:
        calls, seeds = pair.backward_of_reference(sides).calls, pair.seeds_of(sides)
        loss = pair.loss_of("reference", seeds)
        each = sides.reference("float64").backward(pair.inputs, loss, fed=pair.feeding(calls))
        return {"seeds": seeds, "calls": calls, "each": each.calls, "gradients": each.gradients}

    def port(sides: ModelSides, given: Answer) -> Answer:
        inputs, fed = pair.to_port_inputs(pair.inputs), pair.given_to_port(sides, calls_of(given, "calls"))
        loss = pair.loss_of("port", given["seeds"])
        each = pair.carried(sides.port("float64").backward(inputs, loss, fed=fed))
        return {"each": each.calls, "gradients": each.gradients}

    def judge(reference: Answer, port: Answer) -> list[Record]:
        left, right = (_gradients_of_each(pair, side) for side in (reference, port))
        coarse = coarsened(*(_coarse_gradients(pair, side) for side in (reference, port)))
        return _compare_by_taps(where, left, right, coarse)

    return model_case("backward", where, reference, port, judge, ("seeds", "calls", "each", "gradients"))


def _backward_cascaded(pair: Comparison, where: Where) -> ModelCase:
    def reference(sides: ModelSides) -> Answer:
        back = pair.backward_of_reference(sides)
        return {"seeds": pair.seeds_of(sides), "calls": back.calls, "coarse": back.coarse}

    def port(sides: ModelSides, given: Answer) -> Answer:
        back = pair.backward_of_port(sides, given["seeds"])
        return {"calls": back.calls, "coarse": back.coarse}

    def judge(reference: Answer, port: Answer) -> list[Record]:
        left, right = (_gradients_by_output(pair, calls_of(side, "calls")) for side in (reference, port))
        coarse = coarsened(left if reference.get("coarse") else (), right if port.get("coarse") else ())
        return _compare_by_taps(where, left, right, coarse)

    return model_case("backward", where, reference, port, judge, ("seeds", "calls"))


def gradients(pair: Comparison) -> list[ModelCase]:
    """The loss, where there is one, and its gradient by every parameter."""
    where = replace(pair.where, dtype="float64", mode="inference")

    def reference(sides: ModelSides) -> Answer:
        back = pair.backward_of_reference(sides)
        paired = {name: values for name, values in back.gradients.items() if name in pair.parameters.port}
        found = {"seeds": pair.seeds_of(sides), "gradients": paired, "coarse": back.coarse}
        return found | ({} if back.loss is None else {"loss": back.loss})

    def port(sides: ModelSides, given: Answer) -> Answer:
        back = pair.backward_of_port(sides, given["seeds"])
        found = {"gradients": back.gradients, "coarse": back.coarse}
        return found | ({} if back.loss is None else {"loss": back.loss})

    def judge(reference: Answer, port: Answer) -> list[Record]:
        coarse = coarse_sides(reference, port)
        losses = [{"loss": side["loss"]} if "loss" in side else {} for side in (reference, port)]
        records = _compare_losses(where, losses[0], losses[1], coarse)
        left, right = pair.paired(reference["gradients"], gradients=True), port["gradients"]
        return records + compare_gradients(where, left, right, coarse=coarse)

    return [model_case("gradients", where, reference, port, judge, ("seeds", "gradients", "loss"))]


def _compare_losses(where: Where, reference: Taps, port: Taps, coarse: Sequence[str]) -> list[Record]:
    """The loss of each side, where it has one."""
    seen = dict.fromkeys(reference, coarse) if coarse else {}
    budgets = {n: coarse_budget(largest(v)) if coarse else rounding_budget(v, CASCADED) for n, v in reference.items()}
    return compare_taps("gradients", where, reference, port, budgets=budgets, coarse=seen)


def _gradients_of_each(pair: Comparison, answer: Answer) -> Taps:
    """By call: the gradient by its input under its own name, and those by its module's parameters.

    A tap of the model's own has the gradient by what it holds, and those by parameters are the run's.
    """
    values: dict[str, Array] = {}
    for name, call in pair.together.added_up(compared_calls(pair, calls_of(answer, "each"))).items():
        if name == ROOT:
            continue
        if pair.sees_alike and pair.feeds_input(tap_of(name)):
            values |= {f"{name}.{i}" if len(call.inputs) > 1 else name: g for i, g in call.input_gradients.items()}
            values |= {name + place: gradient for place, gradient in call.output_gradients.items()}
        again = name.removeprefix(tap_of(name))
        of_module = call.parameter_gradients.items()
        of_name = {f"{parameter}{again}": g for parameter, g in of_module if parameter in pair.parameters.port}
        values = {**values, **{own: g for own, g in of_name.items() if own not in values}}  # the innermost module's
    return values | {name: g for name, g in answer["gradients"].items() if name in pair.parameters.port}


def _gradients_by_output(pair: Comparison, calls: Calls) -> Taps:
    """The gradients by taps, the last one first, and by the model's input."""
    values: dict[str, Array] = {}
    for name, call in reversed([*compared_calls(pair, calls).items()]):
        if name != ROOT and not pair.has_modules:
            continue  # what a function returns by name is no longer what it went on with
        values |= {name + place: gradient for place, gradient in call.output_gradients.items()}
    root = calls.get(ROOT, Call())
    names = input_names(ROOT, len(root.inputs))
    return values | {names[i]: gradient for i, gradient in root.input_gradients.items()}


def _coarse_gradients(pair: Comparison, answer: Answer) -> set[str]:
    """The gradients that modules find alone of which any part was computed in float32 in a run in float64."""
    calls = calls_of(answer, "each")
    coarse = {name: call for name, call in calls.items() if call.coarse.within and name != ROOT}
    return set(_gradients_of_each(pair, {"each": coarse, "gradients": answer["gradients"] if coarse else {}}))


def _compare_by_taps(where: Where, reference: Taps, port: Taps, coarse: Coarsened) -> list[Record]:
    """Within 1e-10 of the largest gradient by each tap, or the roundings of a model where float32 has a part in it."""
    scales = scales_of(reference, coarse)
    budgets = {n: coarse_budget(scale) if n in coarse else GRADIENT * scale for n, scale in scales.items()}
    return compare_taps("backward", where, reference, port, budgets=budgets, tag_of=tag_of, coarse=coarse)


RUNGS: Mapping[str, Callable[[Comparison], list[ModelCase]]] = {
    "parameters": parameters,
    "forward": forward,
    "backward": backward,
    "gradients": gradients,
}
"""What is compared, in order: what is wrong in one module shows in all gradients before it, so modules come first."""
