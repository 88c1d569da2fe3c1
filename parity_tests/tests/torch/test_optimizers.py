"""SGD, Adam and AdamW against those of Keras and of torch, and one case for each convention that shows it."""

import warnings
from collections.abc import Iterator
from dataclasses import Field, replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from torch_retinanet import InputError
from torch_retinanet.conventions import conventions
from torch_retinanet.optimizers import Optimizer, OptimizerConfig

Array = NDArray[np.float64]
Values = dict[str, Array]
Gradients = list[dict[str, Array | None]]

BUDGET = 64 * float(np.finfo(np.float64).eps)
"""The share of an array's largest value by which equal ones may differ."""
SHOWN = 1000 * BUDGET
"""The share by which they must differ where a convention is turned."""

SHAPES = {"kernel": (4, 3), "bias": (3,)}
CHANGING: dict[str, Any] = {"learning_rate": 0.1, "rate_changes": ((1, 0.03), (3, 0.07)), "clip_norm": 0.7}
CASES: dict[str, dict[str, Any]] = {
    "sgd": {"kind": "sgd", "weight_decay": 0.03, **CHANGING},
    "momentum": {"kind": "sgd", "momentum": 0.9, "weight_decay": 0.03, **CHANGING},
    "adam": {"kind": "adam", "weight_decay": 0.03, **CHANGING},
    "adamw": {"kind": "adamw", **CHANGING},
    "sgd, one rate": {"kind": "sgd", "momentum": 0.7, "learning_rate": 0.1},
    "adam, one rate": {"kind": "adam", "learning_rate": 0.1},
    "adamw, one rate": {"kind": "adamw", "learning_rate": 0.1, "weight_decay": 0.1},
}
"""Settings of an optimiser. Rates change after the second step, where AdamW has the default decay of its library."""

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


def run(config: OptimizerConfig, gradients: Gradients) -> Values:
    """Parameters and slots after all steps."""
    trained = parameters()
    optimizer = Optimizer(trained.items(), config)
    for step in gradients:
        give(trained, step)
        optimizer.step()
    values = {name: parameter.detach().numpy() for name, parameter in trained.items()}
    return values | {
        f"{name}.{slot}": v.numpy() for name, slots in optimizer.slots().items() for slot, v in slots.items()
    }


def keras_optimizer(keras: Any, case: dict[str, Any]) -> Any:
    settings = {name: value for name, value in case.items() if name not in ("kind", "rate_changes", "clip_norm")}
    if changes := case.get("rate_changes"):
        boundaries, rates = zip(*changes, strict=True)
        settings["learning_rate"] = keras.optimizers.schedules.PiecewiseConstantDecay(
            list(boundaries), [case["learning_rate"], *rates]
        )
    optimizers = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW}
    return optimizers[case["kind"]](global_clipnorm=case.get("clip_norm"), **settings)


def run_keras(keras: Any, case: dict[str, Any], gradients: Gradients) -> Values:
    optimizer = keras_optimizer(keras, case)
    variables = {name: keras.Variable(value, dtype="float64", name=name) for name, value in start().items()}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Gradients do not exist")
        for step in gradients:
            optimizer.apply(
                [None if g is None else keras.ops.convert_to_tensor(g) for g in step.values()], [*variables.values()]
            )
    slots = {"m": "_momentums", "v": "_velocities"} if case["kind"] != "sgd" else {"momentum": "momentums"}
    values = {name: variable.numpy() for name, variable in variables.items()}
    for slot, attribute in slots.items():
        values |= {
            f"{name}.{slot}": v.numpy() for name, v in zip(variables, getattr(optimizer, attribute), strict=False)
        }
    return values


def torch_optimizer(trained: dict[str, torch.nn.Parameter], case: dict[str, Any]) -> torch.optim.Optimizer:
    settings = {name: case[name] for name in ("weight_decay", "momentum") if name in case}
    optimizers = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    optimizer: torch.optim.Optimizer = optimizers[case["kind"]](trained.values(), lr=case["learning_rate"], **settings)
    return optimizer


def run_torch(case: dict[str, Any], gradients: Gradients) -> Values:
    """Plain torch; MultiStepLR knows one factor alone, so each change has a scheduler of its own."""
    trained = parameters()
    optimizer = torch_optimizer(trained, case)
    rates = [case["learning_rate"], *(rate for _, rate in case.get("rate_changes", ()))]
    schedulers = [
        torch.optim.lr_scheduler.MultiStepLR(optimizer, [boundary], rates[i + 1] / rates[i])
        for i, (boundary, _) in enumerate(case.get("rate_changes", ()))
    ]
    for step in gradients:
        give(trained, step)
        if "clip_norm" in case:
            torch.nn.utils.clip_grad_norm_(trained.values(), case["clip_norm"])
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
def test_the_keras_preset_is_the_optimizer_of_keras(case: str, keras: Any) -> None:
    expected = run_keras(keras, CASES[case], random_gradients())
    assert difference(run(OptimizerConfig.keras(**CASES[case]), random_gradients()), expected) <= BUDGET


@pytest.mark.parametrize("case", CASES)
def test_the_torch_preset_is_the_optimizer_of_torch(case: str) -> None:
    expected = run_torch(CASES[case], random_gradients())
    assert difference(run(OptimizerConfig.torch(**CASES[case]), random_gradients()), expected) <= BUDGET


@pytest.mark.parametrize("field", conventions(OptimizerConfig), ids=lambda field: field.name)
def test_a_convention_turned_to_that_of_torch_is_seen(field: Field[Any], keras: Any) -> None:
    case, gradients = CASES[SHOWN_BY[field.name]], gradients_for(field.name)
    config = OptimizerConfig.keras(**case)
    turned = replace(config, **{field.name: getattr(OptimizerConfig.torch(**case), field.name)})
    expected = run_keras(keras, case, gradients)
    assert difference(run(config, gradients), expected) <= BUDGET
    assert difference(run(turned, gradients), expected) > SHOWN


@pytest.mark.parametrize("field", conventions(OptimizerConfig), ids=lambda field: field.name)
def test_a_convention_turned_to_that_of_keras_is_seen(field: Field[Any]) -> None:
    case, gradients = CASES[SHOWN_BY[field.name]], gradients_for(field.name)
    config = OptimizerConfig.torch(**case)
    turned = replace(config, **{field.name: getattr(OptimizerConfig.keras(**case), field.name)})
    expected = run_torch(case, gradients)
    assert difference(run(config, gradients), expected) <= BUDGET
    assert difference(run(turned, gradients), expected) > SHOWN


def test_the_place_of_the_decay_makes_no_difference_to_sgd_without_momentum() -> None:
    config = OptimizerConfig.keras(**CASES["sgd"])
    coupled = replace(config, decay="in_gradient")
    assert difference(run(coupled, random_gradients()), run(config, random_gradients())) <= BUDGET


def test_every_convention_has_a_sentence_and_a_source() -> None:
    for field in conventions(OptimizerConfig):
        assert field.metadata["meaning"].endswith(".")
        assert field.metadata["source"]


def test_gradients_are_clipped_in_some_steps_and_not_in_others() -> None:
    norms = [np.sqrt(sum((g**2).sum() for g in step.values() if g is not None)) for step in random_gradients()]
    assert [bool(norm > CHANGING["clip_norm"]) for norm in norms] == [False, True, False, True, True]


def test_a_boundary_is_the_last_step_of_a_rate_or_the_first_of_the_next() -> None:
    changes: dict[str, Any] = {"learning_rate": 0.5, "rate_changes": ((2, 0.25),)}
    assert [OptimizerConfig.keras("sgd", **changes).rate(step) for step in range(5)] == [0.5, 0.5, 0.5, 0.25, 0.25]
    assert [OptimizerConfig.torch("sgd", **changes).rate(step) for step in range(5)] == [0.5, 0.5, 0.25, 0.25, 0.25]


@pytest.mark.parametrize("preset", [OptimizerConfig.keras, OptimizerConfig.torch])
@pytest.mark.parametrize("case", CASES)
def test_without_a_gradient_a_parameter_stays_and_its_slots_are_zero(preset: Any, case: str) -> None:
    steps: Gradients = [{"kernel": None, "bias": np.zeros(3)}, {"kernel": None, "bias": np.ones(3)}]
    values = run(preset(**CASES[case]), steps)
    assert np.array_equal(values["kernel"], start()["kernel"])
    assert not any(value.any() for name, value in values.items() if name.startswith("kernel."))
    assert np.isfinite(values["bias"]).all()


def test_a_step_without_any_gradient_changes_nothing() -> None:
    assert np.array_equal(run(OptimizerConfig.keras(**CASES["adam"]), [{"kernel": None}])["kernel"], start()["kernel"])


def test_gradients_are_forgotten() -> None:
    trained = parameters()
    give(trained, random_gradients()[1])
    Optimizer(trained.items(), OptimizerConfig.keras("sgd", 0.1)).zero_grad()
    assert all(parameter.grad is None for parameter in trained.values())


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("kind", "adagrad", "must be one of 'sgd', 'adam', 'adamw'"),
        ("learning_rate", 0.0, "must be a number above 0"),
        ("learning_rate", True, "must be a number above 0"),
        ("learning_rate", float("inf"), "must be a number above 0"),
        ("rate_changes", [(1, 0.1)], "must be pairs of a rising step and a rate above 0"),
        ("rate_changes", (1, 0.1), "must be pairs of a rising step and a rate above 0"),
        ("rate_changes", ((1.5, 0.1),), "must be pairs of a rising step and a rate above 0"),
        ("rate_changes", ((-1, 0.1),), "must be pairs of a rising step and a rate above 0"),
        ("rate_changes", ((1, 0.0),), "must be pairs of a rising step and a rate above 0"),
        ("rate_changes", ((2, 0.1), (2, 0.01)), "must be pairs of a rising step and a rate above 0"),
        ("momentum", 1.5, "must be a number from 0 to 1"),
        ("weight_decay", -0.1, "must be a number of at least 0"),
        ("weight_decay", None, "must be a number of at least 0"),
        ("clip_norm", 0.0, "must be a number above 0, or None"),
        ("eps", -1e-7, "must be a number from 0 to 1"),
        ("boundary", "before", "must be one of 'keeps', 'changes'"),
    ],
)
def test_a_value_that_its_field_does_not_know_is_named(name: str, value: Any, rule: str) -> None:
    with pytest.raises(InputError) as error:
        replace(OptimizerConfig.keras("sgd", 0.1), **{name: value})
    assert str(error.value) == f"{name}: {value!r} {rule}"


def test_momentum_is_for_sgd_alone() -> None:
    with pytest.raises(InputError, match=r"momentum: 0\.9 must be 0 for kind='adam'"):
        OptimizerConfig.keras("adam", 0.1, momentum=0.9)


def test_the_decay_of_adamw_is_decoupled() -> None:
    with pytest.raises(InputError, match="decay: 'in_gradient' must be 'decoupled' for kind='adamw'"):
        OptimizerConfig.torch("adamw", 0.1, decay="in_gradient")
