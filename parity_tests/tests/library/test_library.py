"""Two models of a user's own are held against each other, and a fault in either is named where it is."""

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

# isort: split
import keras
import numpy as np
import pytest

from parity_tests import Function, KerasModel, TorchModule, compare_models, randomise
from parity_tests.rule.errors import UsageError
from parity_tests.rule.record import Array, Record, Where
from parity_tests.rule.result import Result
from parity_tests.tests.support.comparisons import compare, different
from parity_tests.tests.support.small_models import (
    IMAGES,
    TAPS,
    HalfGradient,
    Nested,
    NotANumber,
    Port,
    SwappedSides,
    TorchNested,
    keras_model,
    pictures,
)


@pytest.fixture(scope="module")
def reference() -> KerasModel:
    return KerasModel(keras_model(), TAPS)


def test_a_right_port_is_equal_on_every_rung_in_both_precisions(reference: KerasModel) -> None:
    result = compare_models(reference, TorchModule(Port(), TAPS), IMAGES)
    assert (result.verdict, result.exit_code) == ("equal", 0), result.summary
    assert [*dict.fromkeys(record.rung for record in result.records)] == [
        *("parameters", "forward", "backward", "gradients")
    ]
    assert {(r.where.dtype, r.where.mode) for r in result.records if r.rung == "forward"} == {
        (dtype, mode) for dtype in ("float64", "float32") for mode in ("isolated", "cascaded")
    }
    of_parameters = {record.name for record in result.records if record.rung == "parameters"}
    assert of_parameters > {"conv/kernel", "norm/gamma", "norm/moving_variance", "dense/bias"}
    assert {(c.side, c.kind, c.compared) for c in result.coverage} == {
        (side, kind, count) for side in ("reference", "port") for kind, count in (("parameters", 10), ("taps", 6))
    }


def test_a_bare_layer_of_keras_is_compared_as_a_model_is() -> None:
    rows, layer = pictures(4, 6), keras.layers.Dense(3)
    with pytest.raises(UsageError, match=r"reference: dense.* has no weights yet, and must have been called once"):
        compare_models(layer, nn.Linear(6, 3), rows)
    layer(rows)
    result = compare_models(layer, nn.Linear(6, 3), rows)
    assert (result.verdict, result.reference) == ("equal", f"{layer.name} (Keras)"), result.summary
    assert "gradients" in {record.rung for record in result.records}


FAULTS: dict[str, tuple[Callable[[], Port], list[str], list[str]]] = {
    "padding on both sides": (
        lambda: Port(conv=nn.Conv2d(3, 4, 3, stride=2, padding=1)),
        ["conv"],
        ["conv", "norm", "act", "mix", "dense", "output"],
    ),
    "another eps": (
        lambda: Port(norm=nn.BatchNorm2d(4, eps=1e-5)),
        ["norm"],
        ["norm", "act", "mix", "dense", "output"],
    ),
    "another activation": (lambda: Port(act=nn.LeakyReLU(0.1)), ["act"], ["act", "mix", "dense", "output"]),
    "an activation twice": (lambda: Port(between=nn.Tanh()), ["mix.input"], ["mix", "dense", "output"]),
    "no bias": (lambda: Port(mix=nn.Conv2d(4, 4, 1, bias=False)), ["mix"], ["mix", "dense", "output"]),
    "a NaN": (lambda: Port(act=NotANumber()), ["act"], ["act", "mix", "dense", "output"]),
}
"""By fault: the port, what differs where each module is fed, and what differs from there on."""


@pytest.mark.planted
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_alone_where_modules_are_fed_and_with_all_after_it_where_they_are_not(
    fault: str, reference: KerasModel
) -> None:
    make, isolated, cascaded = FAULTS[fault]
    result = compare(reference, make(), rungs=["forward"])
    assert different(result) == isolated
    assert different(result, mode="cascaded") == cascaded
    assert result.exit_code == 1
    assert re.match(rf"different: (it starts at {isolated[0]}|{isolated[0]} is where it starts) \(", result.summary)


def test_rows_taken_for_columns_are_named_between_modules(reference: KerasModel) -> None:
    for images in (IMAGES, pictures(2, 8, 8, 3)):
        assert different(compare(reference, Port(between=SwappedSides()), images, rungs=["forward"])) == ["mix.input"]


def test_a_kernel_that_is_carried_over_transposed_is_named_at_its_layer(reference: KerasModel) -> None:
    result = compare(reference, Port(), layouts={"conv/kernel": (3, 2, 1, 0)})
    assert different(result) == ["conv"]


def test_a_wrong_gradient_is_named_at_its_module_though_its_values_are_right(reference: KerasModel) -> None:
    result = compare(reference, Port(act=HalfGradient()))
    assert different(result) == different(result, mode="cascaded") == []
    assert different(result, "backward") == ["act"]
    assert different(result, "backward", "cascaded") == ["norm", "conv", "input"]
    assert "norm/gamma" in different(result, "gradients", "inference")
    assert "dense/kernel" not in different(result, "gradients", "inference")
    assert result.summary.startswith("different: the gradient by act is where it starts (backward, isolated ")


def test_a_fault_in_float32_alone_is_named(reference: KerasModel) -> None:
    class CoarseRelu(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.relu() + (1e-3 if x.dtype is torch.float32 else 0)

    result = compare_models(reference, TorchModule(Port(act=CoarseRelu()), TAPS), IMAGES, rungs=["forward"])
    assert {
        (r.name, r.where.dtype) for r in result.records if r.verdict == "different" and r.where.mode == "isolated"
    } == {("act", "float32")}


def test_the_loss_of_each_side_is_compared(reference: KerasModel) -> None:
    losses = (lambda y: keras.ops.mean(y**2), lambda y: (y**2).mean())
    assert compare(reference, Port(), loss=losses).verdict == "equal"
    wrong = compare(reference, Port(), loss=(losses[0], lambda y: (y**2).sum()))
    assert different(wrong, "gradients", "inference")[0] == "loss"
    assert different(wrong, "backward") == []
    assert different(wrong, "backward", "cascaded")[0] == "output"
    assert wrong.summary.startswith("different: it starts at loss (")
    blind = compare(reference, Port(), loss=(losses[0], lambda y: (y**2).sum()), rungs=["backward", "gradients"])
    assert blind.summary.startswith("different: it starts at output (")  # which nobody has compared forward


def test_weights_of_each_sides_own_are_compared_bit_for_bit(reference: KerasModel) -> None:
    port = Port()
    result = compare(reference, port, transfer=False, rungs=["parameters"])
    assert {record.name for record in result.records if record.verdict == "different"} > {"conv/kernel", "norm/beta"}
    carried = {name: value.clone() for name, value in port.state_dict().items()}
    compare(reference, port)
    assert all(torch.equal(value, carried[name]) for name, value in port.state_dict().items()), "the port is unchanged"


def test_the_users_models_are_afterwards_as_they_were(reference: KerasModel) -> None:
    model = reference.model
    before = [variable.numpy() for variable in model.variables], [*vars(model.get_layer("conv"))]
    compare(reference, Port(between=SwappedSides()))
    assert [variable.dtype for variable in model.variables] == len(before[0]) * ["float32"]
    assert all(np.array_equal(variable, value) for variable, value in zip(model.variables, before[0], strict=True))
    assert [*vars(model.get_layer("conv"))] == before[1]
    assert (model.get_layer("conv").dtype_policy.name, keras.config.floatx()) == ("float32", "float32")
    assert str(model(IMAGES).dtype.name) == "float32"


def test_a_port_that_cannot_run_is_incomplete_and_says_why(reference: KerasModel) -> None:
    class Narrow(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            narrow: Tensor = x[:, :3]
            return narrow

    result = compare(reference, Port(between=Narrow()), rungs=["forward"])
    assert different(result) == ["mix.input"], "fed, every module runs"
    cascaded = [(r.name, r.where.subject, r.verdict) for r in result.records if r.where.mode == "cascaded"]
    assert cascaded == [("all", "", "incomplete"), ("all", "asked again", "incomplete")]
    assert "RuntimeError" in result.records[-1].reason


def test_a_module_that_is_called_again_is_compared_again() -> None:
    class Twice(nn.Module):
        def __init__(self, second: float) -> None:
            super().__init__()
            self.head, self.second = nn.Linear(3, 3), second

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            y = self.head(x)
            return {"first": y, "second": self.head(self.second * y.tanh())}

    images = keras.Input((3,))
    head = keras.layers.Dense(3, name="head")
    first = head(images)
    model = keras.Model(images, {"first": first, "second": head(keras.ops.tanh(first))})
    randomise(model)
    right = compare_models(model, Twice(1.0), pictures(4, 3))
    assert right.verdict == "equal", right.summary
    assert {"head", "head#2", "head#2.input", "output.first", "output.second"} <= {r.name for r in right.records}
    assert "head/kernel#2" in {record.name for record in right.records if record.rung == "backward"}
    wrong = compare_models(model, Twice(2.0), pictures(4, 3), dtypes=["float64"])
    assert different(wrong) == ["head#2.input"]


def test_a_module_with_several_inputs_is_fed_all_of_them() -> None:
    class Join(nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = factor

        def forward(self, left: Tensor, *, right: Tensor) -> Tensor:
            return left + self.factor * right

    class Two(nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.a, self.b, self.join = nn.Linear(3, 4), nn.Linear(5, 4), Join(factor)

        def forward(self, x: Tensor, y: Tensor) -> Any:
            return self.join(self.a(x), right=self.b(y))

    x, y = keras.Input((3,)), keras.Input((5,))
    sums = keras.layers.Add(name="join")([keras.layers.Dense(4, name="a")(x), keras.layers.Dense(4, name="b")(y)])
    model = keras.Model([x, y], sums)
    randomise(model)
    taps = {name: name for name in ("a", "b", "join")}
    inputs = [pictures(2, 3), pictures(2, 5)]
    right = compare_models(KerasModel(model, taps), TorchModule(Two(1.0), taps), inputs)
    assert right.verdict == "equal", right.summary
    assert {"join.input.0", "join.input.1", "input.1"} <= {record.name for record in right.records}
    wrong = compare_models(KerasModel(model, taps), TorchModule(Two(2.0), taps), inputs, dtypes=["float64"])
    assert different(wrong) == ["join"]
    assert different(wrong, "backward") == ["join.1"]


def test_layers_within_layers_are_found_by_their_paths_in_either_direction() -> None:
    model = Nested()
    model(IMAGES)
    randomise(model)
    taps = {"first": "blocks.0", "second": "blocks.1.conv"}
    port = TorchModule(TorchNested(), taps)
    result = compare_models(KerasModel(model, taps), port, IMAGES)
    assert result.verdict == "equal", result.summary
    assert {"first", "second", "second.input"} <= {record.name for record in result.records}
    back = compare_models(port, KerasModel(model, taps), IMAGES.transpose(0, 3, 1, 2))
    assert back.verdict == "equal", back.summary
    assert {record.name for record in back.records} > {"blocks.1.inner.deep.weight", "first"}


def test_a_function_is_compared_as_a_whole_and_the_result_says_so() -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation="tanh", name="dense")])
    randomise(model)
    kernel, bias = (variable.numpy() for variable in model.variables)

    def port(factor: float) -> Function:
        def run(x: Array) -> dict[str, Array]:
            y = np.tanh(x @ kernel.astype(x.dtype) + bias)
            return {"dense": y, "output": y * np.asarray(factor, x.dtype)}

        return Function(run)

    result = compare_models(model, port(1), pictures(2, 3))
    assert result.verdict == "equal", result.summary
    assert {(record.rung, record.where.mode) for record in result.records} == {("forward", "cascaded")}
    assert any("what happens within the port cannot be seen; nothing was isolated" in w for w in result.warnings)
    wrong = compare_models(model, port(2), pictures(2, 3), dtypes=["float64"])
    assert different(wrong, mode="cascaded") == ["output"]
    alone = compare_models(model, lambda x: port(1).function(x)["output"], pictures(2, 3))
    assert (alone.verdict, [c.missing for c in alone.coverage]) == ("equal", [[], []])
    assert any("what happens within the port cannot be seen; only the output was compared" in w for w in alone.warnings)


def test_importing_it_brings_no_framework_in() -> None:
    code = (
        "import sys; from parity_tests import *; from parity_tests import compare_models, TorchModule, KerasModel;"
        "Function(len); print([name for name in ('torch', 'keras', 'tensorflow', 'rich') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert run.stdout.strip() == "[]", run.stderr


def test_gradients_asked_for_alone_leave_no_parameter_out(reference: KerasModel) -> None:
    port = Port(mix=nn.Conv2d(4, 4, 1, bias=False))
    result = compare(reference, port, rungs=["gradients"])
    assert [list(c.missing) for c in result.coverage if c.kind == "parameters"] == [["mix/bias"], []]


def test_where_it_starts_has_the_shapes_of_several_inputs() -> None:
    where = Where(inputs=((4, 3), (4,)), dtype="float64", mode="isolated")
    record = Record(rung="forward", where=where, name="mix", verdict="different", budget=1e-13)
    assert Result(records=[replace(record, difference=1.0)]).summary.endswith("at 4x3+4); 1 of 1 comparisons differ")


def test_gradients_of_a_module_within_a_tapped_one_are_its_own() -> None:
    class ScaledConv(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale, self.conv = nn.Parameter(torch.ones(3, 1, 1)), nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.scale * self.conv(x)
            return y

    inputs = IMAGES.transpose(0, 3, 1, 2)
    result = compare_models(nn.Sequential(ScaledConv()), nn.Sequential(ScaledConv()), inputs, rungs=["backward"])
    [kernel] = [r for r in result.records if r.name == "0.conv.weight" and r.where.mode == "isolated"]
    assert result.verdict == "equal"
    assert kernel.scale


def test_every_float32_row_says_how_far_each_side_is_from_its_own_float64(reference: KerasModel) -> None:
    result = compare_models(reference, TorchModule(Port(), TAPS), IMAGES, dtypes=["float32"])
    rows = [row for row in result.records if row.where.dtype == "float32"]
    assert rows
    assert all(row.own_errors is not None for row in rows)


def test_a_module_called_input_is_allowed_no_more_than_any_other() -> None:
    """What arrives at the module `0` is called `0.input`, too."""

    class ScaledLinear(nn.Linear):
        gain = 1.0

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * self.gain

    class GainBlock(nn.Module):
        def __init__(self, gain: float) -> None:
            super().__init__()
            self.input = ScaledLinear(3, 3)
            self.input.gain = gain

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.input(x)
            return y

    reference, port = nn.Sequential(GainBlock(1.0)), nn.Sequential(GainBlock(1 + 6e-14))
    found = compare_models(reference, port, np.ones((2, 3)), rungs=["forward"], dtypes=["float64"])
    assert "0.input" in different(found)
