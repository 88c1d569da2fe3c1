"""Parameters that Keras and torch have in other forms are carried by the kind of their layer, or named."""

from typing import Any

import keras
import numpy as np
import pytest
import torch
from torch import nn

from parity_tests import KerasModel, TorchModule, compare_models, randomise
from parity_tests.ladder.proposals import fitting
from parity_tests.sides.carry import rearranged_kernel
from parity_tests.tests.support.compared_twins import OneModule, compared
from parity_tests.tests.support.keras_twins import MAPS, STEPS
from parity_tests.tests.support.trained_twins import TRAINED, TWINS, Attention

L = keras.layers
TAP = {"layer": "layer"}
BY_KIND = (
    "DepthwiseConv2D",
    "SeparableConv2D",
    "Conv2DTranspose",
    "LSTM",
    "GRU",
    "Bidirectional",
    "MultiHeadAttention",
)


def noise(*shape: int) -> Any:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("name", BY_KIND)
def test_they_are_carried_from_torch_to_keras_too(name: str) -> None:
    twin = TRAINED[name]
    inputs = [keras.Input(shape[1:], batch_size=shape[0]) for shape in twin.shapes]
    layer = twin.layer()
    layer.name = "layer"
    model = keras.Model(inputs, layer(*inputs), name="own")
    randomise(model)
    fed = [noise(*shape) for shape in twin.shapes]
    first = [np.moveaxis(values, -1, 1) if values.ndim > 3 else values for values in fed]
    result = compare_models(
        TorchModule(OneModule(twin.module()), TAP), KerasModel(model, TAP), first, dtypes=("float64",)
    )
    assert result.verdict == "equal", result.summary


def test_two_biases_of_torch_are_one_in_keras_and_their_sum_is_compared() -> None:
    twin = TRAINED["LSTM"]
    port = twin.module()
    with torch.no_grad():
        port.core.bias_hh_l0.copy_(torch.arange(16) / 16)
    result = compared(twin, lambda: port)
    assert result.verdict == "equal", result.summary
    own = compared(twin, lambda: port, transfer=False)
    [bias] = [r for r in own.records if r.rung == "parameters" and r.name == "layer/cell/bias"]
    assert bias.verdict == "different"


@pytest.mark.parametrize("name", ["LSTM", "MultiHeadAttention"])
def test_every_parameter_on_both_sides_has_a_partner(name: str) -> None:
    twin = TWINS[name]
    assert [list(covered.missing) for covered in compared(twin, twin.module).coverage] == [[]] * 4


def test_a_key_s_bias_has_a_gradient_of_rounding_and_a_wrong_one_is_named() -> None:
    class Biased(Attention):
        def forward(self, query: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
            of_keys = self.core.in_proj_bias[6:12]
            return super().forward(query, value) + 1e-3 * (of_keys - of_keys.detach())

    result = compared(TRAINED["MultiHeadAttention"], lambda: Biased(2))
    assert "_key_dense/bias is where it starts" in result.summary


def test_attention_of_another_width_is_named_and_no_error() -> None:
    result = compared(TRAINED["MultiHeadAttention"], Wider)
    assert result.verdict == "incomplete"
    missing = [name for covered in result.coverage if covered.kind == "parameters" for name in covered.missing]
    assert {"layer/_query_dense/kernel", "layer.core.in_proj_weight"} <= {*missing}


class Wider(Attention):
    """Attention of more numbers than it is given."""

    def __init__(self) -> None:
        super().__init__(2)
        self.core = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, query: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        wider = [nn.functional.pad(x, (0, 2)) for x in (query, value)]
        return super().forward(*wider)[..., :6]


@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_a_bias_that_is_skipped_leaves_the_other(name: str) -> None:
    twin = TRAINED[name]
    port = twin.module()
    with torch.no_grad():
        port.core.bias_hh_l0.zero_()
    result = compared(twin, lambda: port, skip={"layer.core.bias_hh_l0": "is zero"})
    assert result.verdict == ("equal" if name == "LSTM" else "incomplete"), result.summary


class OwnKernel(nn.Module):
    """A kernel in an order of its own."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(*shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(x, self.kernel.permute(1, 0, 2, 3))


def convolution(layouts: Any = None) -> Any:
    model = keras.Sequential([keras.Input(MAPS[1:]), L.Conv2D(5, 3, name="layer", use_bias=False)], name="own")
    return compare_models(
        KerasModel(model, TAP), TorchModule(OneModule(OwnKernel(6, 5, 3, 3)), TAP), noise(*MAPS), layouts=layouts
    )


def test_a_kernel_that_does_not_fit_is_named_with_the_layout_that_would_carry_it() -> None:
    layouts = "layouts {'layer/kernel': (2, 3, 0, 1)} would carry it"
    assert convolution().summary.startswith("different: it starts at layer/kernel (parameters")
    assert f"its shape (3, 3, 6, 5) does not fit the port's (6, 5, 3, 3); {layouts}" in convolution().summary
    assert convolution({"layer/kernel": (2, 3, 0, 1)}).verdict == "equal"


def test_what_three_axes_would_be_carried_by_is_said() -> None:
    model = keras.Sequential([keras.Input(STEPS[1:]), L.Conv1D(5, 3, name="layer")], name="own")
    randomise(model)

    def found(layouts: Any = None) -> Any:
        port = TorchModule(OneModule(nn.Conv1d(6, 5, 3)), TAP)
        return compare_models(KerasModel(model, TAP), port, noise(*STEPS), layouts=layouts)

    layouts = {"input": (0, 2, 1), "output": (0, 2, 1)}
    assert found().summary.startswith("different: it starts at layer.input")
    assert f"layouts {layouts} would carry what has three axes" in found().summary
    assert "output: one side has the channels of its steps second" in "".join(found({"input": (0, 2, 1)}).warnings)
    assert {found(said).verdict for said in ({"input": (0, 2, 1)}, layouts)} == {"equal"}


@pytest.mark.parametrize(
    ("reference", "port", "layouts"),
    [
        ((3, 3, 4, 1), (4, 1, 3, 3), [(2, 3, 0, 1)]),
        ((5, 3, 3), (3, 3, 5), [(2, 0, 1)]),
        ((4, 2), (2, 4), [(1, 0)]),
        ((4, 2), (4, 3), []),
    ],
)
def test_layouts_are_proposed_that_keep_rows_before_columns(reference: Any, port: Any, layouts: Any) -> None:
    assert fitting(reference, port) == layouts


@pytest.mark.parametrize(
    ("kernel", "weight"),
    [((3, 2, 4, 2), (8, 1, 3, 2)), ((6, 2, 4), (8, 6)), ((2, 4, 6), (6, 8)), ((1, 1, 6, 5), (5, 6)), ((4, 6), (6, 4))],
)
def test_kernels_go_to_torch_and_come_back(kernel: Any, weight: Any) -> None:
    rearranged = rearranged_kernel(kernel, weight)
    assert rearranged is not None
    [there] = rearranged.there([noise(*kernel)])
    assert there.shape == weight
    assert np.array_equal(rearranged.back([there])[0], noise(*kernel))


def test_a_kernel_of_other_numbers_has_no_turn() -> None:
    assert rearranged_kernel((3, 3, 4, 2), (8, 4, 3, 3)) is None
