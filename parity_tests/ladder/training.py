"""Training of any two models: what a batch does to statistics, steps of an optimiser, and whole runs.

Needs numpy alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from parity_tests.ladder.case import Answer, asked_with, check_drawn
from parity_tests.ladder.coarse import coarse_budget, coarse_sides
from parity_tests.ladder.comparison import Comparison, ModelCase, ModelSides
from parity_tests.ladder.constants import STATISTICS
from parity_tests.ladder.gradients import VARIABLE, compare_gradients, may_be_magnified, self_differences
from parity_tests.ladder.model_case import calls_of, model_case
from parity_tests.ladder.perturbation import PERTURBATION_SEEDS, moved_by_rounding
from parity_tests.ladder.trajectory import judge_losses
from parity_tests.rule.budgets import CASCADED, ISOLATED, largest, rounding_budget
from parity_tests.rule.compare import compare_taps
from parity_tests.rule.record import Array, Record, Tag, Where
from parity_tests.sides.names import canonical
from parity_tests.sides.side import Backward, Calls

FACTORS = (1.0, -0.3)
"""What the gradients are multiplied by in each step."""


def training(pair: Comparison) -> list[ModelCase]:
    """In training mode: the statistics that a batch leaves, and the loss's gradient by every parameter."""
    where = replace(pair.where, dtype="float64", mode="training")
    return [_statistics(pair, where), _gradients(pair, where)]


def _statistics(pair: Comparison, where: Where) -> ModelCase:
    """Each tapped module is fed the reference's inputs; without taps the models run as they are."""

    def reference(sides: ModelSides) -> Answer:
        side = sides.reference("float64")
        before = side.parameters()
        calls = side.forward(pair.inputs, training=True)
        return {"calls": calls, "statistics": _moved(before, side.parameters()), "coarse": _is_coarse(calls)}

    def port(sides: ModelSides, given: Answer) -> Answer:
        fed = pair.given_to_port(sides, calls_of(given, "calls")) if pair.has_taps else None
        side = sides.port("float64")
        before = pair.by_reference_name(side.parameters())
        calls = side.forward(pair.to_port_inputs(pair.inputs), fed=fed, training=True)
        after = pair.by_reference_name(side.parameters())
        names = {*given["statistics"], *_moved(before, after)}
        statistics = {name: value for name, value in after.items() if name in names}
        return {"statistics": statistics, "coarse": _is_coarse(calls)}

    def judge(reference: Answer, port: Answer) -> list[Record]:
        left, right = pair.paired(reference["statistics"]), port["statistics"]
        if not left and not right:
            if not any(canonical(name)[-1] in STATISTICS for name in pair.parameters.port):
                return []  # there are none
            reason = "no statistic moved on either side: nothing could fail"
            return [Record(rung="training", where=where, name="statistics", verdict="incomplete", reason=reason)]
        units = ISOLATED if pair.has_taps else CASCADED
        budgets = {name: rounding_budget(statistic_scale(name, left), units) for name in left}
        sides = coarse_sides(reference, port)
        if sides:
            budgets = {name: coarse_budget(largest(statistic_scale(name, left))) for name in left}
        coarse = dict.fromkeys(left, sides) if sides else {}
        records = compare_taps("training", where, left, right, budgets=budgets, tag_of=_variable, coarse=coarse)
        return _with_estimates(records, left, right)

    return model_case("training", where, reference, port, judge, ("calls", "statistics"), trains=True)


def _with_estimates(
    records: Sequence[Record], reference: Mapping[str, Array], port: Mapping[str, Array]
) -> list[Record]:
    """Records that say of variances which alone differ, all one way, what that can come from."""
    words = "; torch's BatchNorm keeps the variance of a batch divided by n - 1, and Keras' by n"
    differ = {record.name for record in records if record.difference is not None and record.verdict == "different"}
    if any(canonical(name)[-1] != "running_var" for name in differ):
        return [*records]
    signs = {name: {*np.sign(port[name] - reference[name]).ravel().tolist()} for name in differ}
    one_way = len(set().union(*signs.values())) == 1
    return [replace(r, reason=r.reason + words) if one_way and r.name in differ else r for r in records]


def _variable(name: str) -> Tag:
    return VARIABLE


def _is_coarse(calls: Calls) -> bool:
    """Whether any of a run was computed in float32."""
    return any(call.coarse.before for call in calls.values())


def _moved(before: Mapping[str, Array], after: Mapping[str, Array]) -> dict[str, Array]:
    """The parameters that a pass in training mode has changed: statistics."""
    return {name: value for name, value in after.items() if not np.array_equal(value, before[name])}


def statistic_scale(name: str, statistics: Mapping[str, Array]) -> Array:
    """What a running statistic is judged beside: itself, and of a mean the deviation of what it averages over."""
    path = canonical(name)
    variance = next((n for n in statistics if canonical(n) == (*path[:-1], "running_var")), "")
    if path[-1] != "running_mean" or not variance:
        return statistics[name]
    return np.concatenate([statistics[name], np.sqrt(statistics[variance])])


def _gradients(pair: Comparison, where: Where) -> ModelCase:
    def reference(sides: ModelSides) -> Answer:
        seeds = pair.seeds_of(sides)
        back = sides.reference("float64").backward(pair.inputs, pair.loss_of("reference", seeds), training=True)
        paired = {n: g for n, g in back.gradients.items() if n in pair.parameters.port}
        return {"seeds": seeds, "gradients": paired, "coarse": back.coarse}

    def port(sides: ModelSides, given: Answer) -> Answer:
        side, expected = sides.port("float64"), given["gradients"]
        inputs, loss = pair.to_port_inputs(pair.inputs), pair.loss_of("port", given["seeds"])

        def from_weights(weights: Mapping[str, Array]) -> Mapping[str, Array]:
            side.assign(weights)
            return pair.gradients_to_reference(side.backward(inputs, loss, training=True).gradients)

        weights, back = dict(side.parameters()), side.backward(inputs, loss, training=True)
        found = pair.gradients_to_reference(back.gradients)
        answer = {"gradients": found, "coarse": back.coarse}
        if may_be_magnified(compare_gradients(where, expected, found), expected):
            return answer | {"own": self_differences(from_weights, weights, found)}
        return answer

    def judge(reference: Answer, port: Answer) -> list[Record]:
        left, coarse = pair.paired(reference["gradients"], gradients=True), coarse_sides(reference, port)
        return compare_gradients(where, left, port["gradients"], port.get("own"), coarse)

    return model_case("gradients", where, reference, port, judge, ("seeds", "gradients"), trains=True)


def step(pair: Comparison) -> list[ModelCase]:
    """The parameters after two steps of an optimiser, both sides given the same gradients.

    What the optimiser remembers is seen in the second step; how it stores that is its own.
    """
    where = Where(dtype="float64", subject="optimiser")

    def reference(sides: ModelSides) -> Answer:
        side: Any = sides.reference("float64")
        parameters, trained = side.parameters(), pair.trained(sides)
        shapes = {name: parameters[name].shape for name in trained}
        drawn = _drawn(shapes)
        after = side.apply(drawn, pair.optimizer_of("reference"))
        return {"shapes": {n: list(shape) for n, shape in shapes.items()}, "after": after} | asked_with(drawn)

    def port(sides: ModelSides, given: Answer) -> Answer:
        drawn = _drawn(given["shapes"])
        check_drawn(given, drawn)
        side: Any = sides.port("float64")
        after = side.apply([pair.gradients_to_port(gradients) for gradients in drawn], pair.optimizer_of("port"))
        return {"after": pair.by_reference_name(after)}

    def judge(reference: Answer, port: Answer) -> list[Record]:
        after = pair.paired(reference["after"])
        return compare_taps("step", where, after, port["after"], units=CASCADED, tag_of=lambda name: VARIABLE)

    return [model_case("step", where, reference, port, judge, ("after",), trains=True)]


def _drawn(shapes: Mapping[str, Sequence[int]]) -> list[dict[str, Array]]:
    """Random gradients of each step, in the order of names."""
    rng = np.random.default_rng(0)
    first: dict[str, Array] = {name: rng.normal(size=tuple(shape)) for name, shape in sorted(shapes.items())}
    return [{name: value * factor for name, value in first.items()} for factor in FACTORS]


def trajectory(pair: Comparison) -> list[ModelCase]:
    """The loss at every step of a training run, BatchNorm in inference and in training mode."""
    return [_run(pair, mode) for mode in ("inference", "training")]


def _run(pair: Comparison, mode: str) -> ModelCase:
    precisions = ("float64", "float32") if mode == "inference" and "float32" in pair.dtypes else ("float64",)

    def losses(side: Any, name: str, batches: Sequence[Sequence[Array]]) -> Array:
        of_side, optimizer = [pair.loss_of(name, {})] * len(batches), pair.optimizer_of(name)
        found: Array = side.train(batches, of_side, optimizer, training=mode == "training")
        return found

    def is_coarse(side: Any, name: str, batch: Sequence[Array]) -> bool:
        back: Backward = side.backward(batch, pair.loss_of(name, {}), training=mode == "training")
        return back.coarse

    def reference(sides: ModelSides) -> Answer:
        answer: dict[str, Any] = {d: losses(sides.reference(d), "reference", pair.batches) for d in precisions}
        if mode == "training":
            side, weights = sides.reference("float64"), dict(sides.reference("float64").parameters())
            answer["moved"] = {str(seed): _from_moved(side, weights, seed, losses, pair) for seed in PERTURBATION_SEEDS}
        answer["coarse"] = is_coarse(sides.reference("float64"), "reference", pair.batches[0])
        return answer

    def port(sides: ModelSides, given: Answer) -> Answer:
        batches = [pair.to_port_inputs(batch) for batch in pair.batches]
        found = {dtype: losses(sides.port(dtype), "port", batches) for dtype in precisions}
        return found | {"coarse": is_coarse(sides.port("float64"), "port", batches[0])}

    judge = partial(judge_losses, precisions, mode)
    return model_case("trajectory", Where(mode=mode), reference, port, judge, precisions, trains=True)


def _from_moved(
    side: Any, weights: Mapping[str, Array], seed: int, losses: Callable[..., Array], pair: Comparison
) -> Array:
    """The losses of the reference from weights that are moved by rounding."""
    side.assign(moved_by_rounding(weights, seed=seed))
    return losses(side, "reference", pair.batches)


RUNGS: Mapping[str, Callable[[Comparison], list[ModelCase]]] = {
    "training": training,
    "step": step,
    "trajectory": trajectory,
}
"""What is compared of training, where it is asked for."""
