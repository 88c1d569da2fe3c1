"""SGD, Adam and AdamW against those of Keras and of torch, and one case for each convention that shows it."""

import warnings
from collections.abc import Iterator
from dataclasses import Field, replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from parity_tests.retinanet.optimizers import KERAS, Optimizer, OptimizerConventions
from parity_tests.retinanet.side import Recipe
from torch_retinanet.config.fields import conventions

Array = NDArray[np.float64]
Values = dict[str, Array]
Gradients = list[dict[str, Array | None]]

BUDGET = 64 * float(np.finfo(np.float64).eps)
"""The share of an array's largest value by which equal ones may differ."""
SHOWN = 1000 * BUDGET
"""The share by which they must differ where a convention is changed."""

SHAPES = {"kernel": (4, 3), "bias": (3,)}
CHANGING: dict[str, Any] = {"rate": 0.1, "rate_changes": ((1, 0.03), (3, 0.07)), "clip_norm": 0.7}
CASES = {
    "sgd": Recipe("sgd", weight_decay=0.03, **CHANGING),
    "momentum": Recipe("sgd", momentum=0.9, weight_decay=0.03, **CHANGING),
    "adam": Recipe("adam", weight_decay=0.03, **CHANGING),
    "adamw": Recipe("adamw", weight_decay=0.01, **CHANGING),
    "sgd, one rate": Recipe("sgd", 0.1, momentum=0.7),
    "adam, one rate": Recipe("adam", 0.1),
    "adamw, one rate": Recipe("adamw", 0.1, weight_decay=0.1),
}
"""Optimisers. Rates change after the second step."""

TORCH = OptimizerConventions(
    momentum_rate="when_used",
    eps=1e-8,
    eps_root="corrected",
    bias_steps="parameter",
    clip_scope="global",
    clip_eps=1e-6,
    infinite_norm="zeros",
    decay="in_gradient",
    constants="exact",
    boundary="changes",
)
"""Those of `torch.optim`, with `clip_grad_norm_` and `MultiStepLR`."""

SHOWN_BY = {
    "momentum_rate": "momentum",
    "eps": "adam",
    "eps_root": "adam",
    "bias_steps": "adam",
    "clip_eps": "sgd",
    "infinite_norm": "sgd",
    "decay": "momentum",
    "constants": "adam",
    "boundary": "sgd",
}
"""The case that shows each convention; a convention without one fails."""

DIFFERING = [field for field in conventions(OptimizerConventions) if field.name != "clip_scope"]
"""Those in which the libraries differ; both clip in either scope."""


@pytest.fixture
def keras() -> Iterator[Any]:
    """Keras in float64."""
    import keras

    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield keras
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])


def start() -> Values:
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape) for name, shape in SHAPES.items()}


def random_gradients() -> Gradients:
    """Five steps with norms below and above 0.7; the bias has no gradient in the first and fourth."""
    rng = np.random.default_rng(1)
    steps: Gradients = [
        {name: size * rng.normal(size=shape) for name, shape in SHAPES.items()} for size in (0.1, 1, 0.1, 2, 0.5)
    ]
    steps[0]["bias"] = steps[3]["bias"] = None
    return steps


def with_an_infinite_one() -> Gradients:
    steps = random_gradients()
    assert steps[4]["kernel"] is not None
    steps[4]["kernel"][0, 0] = np.inf
    return steps


def gradients_for(convention: str) -> Gradients:
    return with_an_infinite_one() if convention == "infinite_norm" else random_gradients()


def parameters() -> dict[str, torch.nn.Parameter]:
    return {name: torch.nn.Parameter(torch.from_numpy(value)) for name, value in start().items()}


def give(trained: dict[str, torch.nn.Parameter], gradients: dict[str, Array | None]) -> None:
    for name, gradient in gradients.items():
        trained[name].grad = None if gradient is None else torch.tensor(gradient)


def run(recipe: Recipe, chosen: OptimizerConventions, gradients: Gradients) -> Values:
    """Parameters and slots after all steps."""
    trained = parameters()
    optimizer = Optimizer(trained.items(), recipe, chosen)
    for step in gradients:
        give(trained, step)
        optimizer.step()
    values = {name: parameter.detach().numpy() for name, parameter in trained.items()}
    return values | {
        f"{name}.{slot}": v.numpy() for name, slots in optimizer.slots().items() for slot, v in slots.items()
    }


def keras_optimizer(keras: Any, recipe: Recipe, *, scope: str = "global") -> Any:
    settings: dict[str, Any] = {"momentum": recipe.momentum} if recipe.kind == "sgd" else {}
    rate: Any = recipe.rate
    if recipe.rate_changes:
        boundaries, rates = zip(*recipe.rate_changes, strict=True)
        rate = keras.optimizers.schedules.PiecewiseConstantDecay([*boundaries], [rate, *rates])
    optimizers = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW}
    decay = recipe.weight_decay or None
    clipped = {"global": "global_clipnorm", "parameter": "clipnorm"}[scope]
    return optimizers[recipe.kind](rate, weight_decay=decay, **{clipped: recipe.clip_norm}, **settings)


def run_keras(keras: Any, recipe: Recipe, gradients: Gradients, *, scope: str = "global") -> Values:
    optimizer = keras_optimizer(keras, recipe, scope=scope)
    variables = {name: keras.Variable(value, dtype="float64", name=name) for name, value in start().items()}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Gradients do not exist")
        for step in gradients:
            optimizer.apply(
                [None if g is None else keras.ops.convert_to_tensor(g) for g in step.values()], [*variables.values()]
            )
    slots = {"m": "_momentums", "v": "_velocities"} if recipe.kind != "sgd" else {"momentum": "momentums"}
    values = {name: variable.numpy() for name, variable in variables.items()}
    for slot, attribute in slots.items():
        values |= {
            f"{name}.{slot}": v.numpy() for name, v in zip(variables, getattr(optimizer, attribute), strict=False)
        }
    return values


def torch_optimizer(trained: dict[str, torch.nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    settings = {"momentum": recipe.momentum} if recipe.kind == "sgd" else {}
    optimizers = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    make: Any = optimizers[recipe.kind]
    optimizer: torch.optim.Optimizer = make(trained.values(), recipe.rate, weight_decay=recipe.weight_decay, **settings)
    return optimizer


def run_torch(recipe: Recipe, gradients: Gradients, *, scope: str = "global") -> Values:
    """Plain torch; MultiStepLR knows one factor alone, so each change has a scheduler of its own."""
    trained = parameters()
    optimizer = torch_optimizer(trained, recipe)
    rates = [recipe.rate, *(rate for _, rate in recipe.rate_changes)]
    schedulers = [
        torch.optim.lr_scheduler.MultiStepLR(optimizer, [boundary], rates[i + 1] / rates[i])
        for i, (boundary, _) in enumerate(recipe.rate_changes)
    ]
    for step in gradients:
        give(trained, step)
        if recipe.clip_norm is not None:
            for part in [trained.values()] if scope == "global" else [[value] for value in trained.values()]:
                torch.nn.utils.clip_grad_norm_(part, recipe.clip_norm)
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    values = {name: parameter.detach().numpy() for name, parameter in trained.items()}
    for slot, key in {"m": "exp_avg", "v": "exp_avg_sq", "momentum": "momentum_buffer"}.items():
        states = {name: optimizer.state[parameter].get(key) for name, parameter in trained.items()}
        values |= {f"{name}.{slot}": state.numpy() for name, state in states.items() if state is not None}
    return values


def difference(values: Values, expected: Values) -> float:
    """The largest share of an array's largest value by which it differs; infinite where NaN stand elsewhere."""
    assert values.keys() == expected.keys()
    return max(array_difference(values[name], expected[name]) for name in expected)


def array_difference(values: Array, expected: Array) -> float:
    assert values.dtype == expected.dtype == np.float64
    if not np.array_equal(np.isnan(values), np.isnan(expected)):
        return np.inf
    return float(np.nanmax(np.abs(values - expected), initial=0)) / float(np.nanmax(np.abs(expected), initial=1e-300))


@pytest.mark.parametrize("case", CASES)
def test_in_the_conventions_of_keras_it_is_the_optimizer_of_keras(case: str, keras: Any) -> None:
    expected = run_keras(keras, CASES[case], random_gradients())
    assert difference(run(CASES[case], KERAS, random_gradients()), expected) <= BUDGET


@pytest.mark.parametrize("case", CASES)
def test_in_the_conventions_of_torch_it_is_the_optimizer_of_torch(case: str) -> None:
    expected = run_torch(CASES[case], random_gradients())
    assert difference(run(CASES[case], TORCH, random_gradients()), expected) <= BUDGET


@pytest.mark.parametrize("field", DIFFERING, ids=lambda field: field.name)
def test_a_convention_changed_to_that_of_torch_is_seen(field: Field[Any], keras: Any) -> None:
    recipe, gradients = CASES[SHOWN_BY[field.name]], gradients_for(field.name)
    changed = replace(KERAS, **{field.name: getattr(TORCH, field.name)})
    expected = run_keras(keras, recipe, gradients)
    assert difference(run(recipe, KERAS, gradients), expected) <= BUDGET
    assert difference(run(recipe, changed, gradients), expected) > SHOWN


@pytest.mark.parametrize("field", DIFFERING, ids=lambda field: field.name)
def test_a_convention_changed_to_that_of_keras_is_seen(field: Field[Any]) -> None:
    recipe, gradients = CASES[SHOWN_BY[field.name]], gradients_for(field.name)
    changed = replace(TORCH, **{field.name: getattr(KERAS, field.name)})
    expected = run_torch(recipe, gradients)
    assert difference(run(recipe, TORCH, gradients), expected) <= BUDGET
    assert difference(run(recipe, changed, gradients), expected) > SHOWN


@pytest.mark.parametrize("case", ["sgd", "adam"])
def test_gradients_are_clipped_each_by_itself_as_by_clipnorm_of_keras_and_a_call_each_of_torch(
    case: str, keras: Any
) -> None:
    recipe, gradients = CASES[case], random_gradients()
    for chosen, expected in (
        (KERAS, run_keras(keras, recipe, gradients, scope="parameter")),
        (TORCH, run_torch(recipe, gradients, scope="parameter")),
    ):
        assert difference(run(recipe, replace(chosen, clip_scope="parameter"), gradients), expected) <= BUDGET
        assert difference(run(recipe, chosen, gradients), expected) > SHOWN


def test_the_place_of_the_decay_makes_no_difference_to_sgd_without_momentum() -> None:
    recipe, coupled = CASES["sgd"], replace(KERAS, decay="in_gradient")
    expected = run(recipe, KERAS, random_gradients())
    assert difference(run(recipe, coupled, random_gradients()), expected) <= BUDGET


def test_every_convention_has_a_sentence_and_a_source() -> None:
    for field in conventions(OptimizerConventions):
        assert field.metadata["meaning"].endswith(".")
        assert field.metadata["source"]


def test_gradients_are_clipped_in_some_steps_and_not_in_others() -> None:
    norms = [np.sqrt(sum((g**2).sum() for g in step.values() if g is not None)) for step in random_gradients()]
    assert [bool(norm > CHANGING["clip_norm"]) for norm in norms] == [False, True, False, True, True]


def test_a_boundary_is_the_last_step_of_a_rate_or_the_first_of_the_next() -> None:
    recipe = Recipe("sgd", 0.5, rate_changes=((2, 0.25),))
    assert [KERAS.rate(recipe, step) for step in range(5)] == [0.5, 0.5, 0.5, 0.25, 0.25]
    assert [TORCH.rate(recipe, step) for step in range(5)] == [0.5, 0.5, 0.25, 0.25, 0.25]


@pytest.mark.parametrize("chosen", [KERAS, TORCH], ids=["keras", "torch"])
@pytest.mark.parametrize("case", CASES)
def test_without_a_gradient_a_parameter_stays_and_its_slots_are_zero(chosen: OptimizerConventions, case: str) -> None:
    steps: Gradients = [{"kernel": None, "bias": np.zeros(3)}, {"kernel": None, "bias": np.ones(3)}]
    values = run(CASES[case], chosen, steps)
    assert np.array_equal(values["kernel"], start()["kernel"])
    assert not any(value.any() for name, value in values.items() if name.startswith("kernel."))
    assert np.isfinite(values["bias"]).all()


def test_a_step_without_any_gradient_changes_nothing() -> None:
    assert np.array_equal(run(CASES["adam"], KERAS, [{"kernel": None}])["kernel"], start()["kernel"])


def test_gradients_are_forgotten() -> None:
    trained = parameters()
    give(trained, random_gradients()[1])
    Optimizer(trained.items(), CASES["sgd"], KERAS).zero_grad()
    assert all(parameter.grad is None for parameter in trained.values())
