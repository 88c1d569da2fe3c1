"""A function of JAX against a torch module: equal, and different with a mistake."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

# isort: split
import numpy as np
import pytest

from parity_tests import JaxFunction, TorchModule, compare_models, randomise
from parity_tests.rule.errors import UsageError
from parity_tests.rule.record import Array
from parity_tests.tests.support.comparisons import different
from parity_tests.tests.support.small_models import pictures

jax = pytest.importorskip("jax")

ROWS = pictures(5, 3)


class TwoLayers(nn.Module):
    """Two layers that return what both make."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(self.first(x).tanh())
        return y


def layer(params: dict[str, Any], x: Any) -> Any:
    return x @ params["kernel"] + params["bias"]


def network(activation: Callable[[Any], Any]) -> Callable[..., Any]:
    def run(params: dict[str, Any], x: Any) -> dict[str, Any]:
        first = layer(params["first"], x)
        second = layer(params["second"], activation(first))
        return {"first": first, "second": second, "output": second}

    return run


def parameters() -> dict[str, dict[str, Array]]:
    rng = np.random.default_rng(0)
    shapes = {"first": (3, 4), "second": (4, 2)}
    return {
        name: {"kernel": rng.normal(size=shape), "bias": rng.normal(size=shape[1])} for name, shape in shapes.items()
    }


def test_a_function_of_jax_is_equal_on_every_rung() -> None:
    for reference, port in (
        (JaxFunction(network(jax.numpy.tanh), parameters()), TwoLayers()),
        (TwoLayers(), JaxFunction(network(jax.numpy.tanh), parameters())),
    ):
        randomise(next(side for side in (reference, port) if isinstance(side, TwoLayers)))
        result = compare_models(reference, port, ROWS)
        assert result.verdict == "equal", result.summary
        names = {rung: {r.name for r in result.records if r.rung == rung} for rung in ("forward", "backward")}
        assert names["forward"] == {"first", "second", "output"}
        assert names["backward"] == {"output", "input"}
        assert {"parameters", "gradients"} <= {record.rung for record in result.records}
    assert not jax.config.jax_enable_x64


@pytest.mark.planted
def test_another_activation_and_a_transposed_kernel_are_found() -> None:
    port = JaxFunction(network(jax.nn.relu), parameters())
    wrong = compare_models(TorchModule(TwoLayers()), port, ROWS, dtypes=["float64"])
    assert different(wrong, mode="cascaded") == ["second", "output"]
    stopped = network(lambda x: jax.lax.stop_gradient(jax.numpy.tanh(x)))
    gradient = compare_models(TwoLayers(), JaxFunction(stopped, parameters()), ROWS, dtypes=["float64"])
    differing = {record.rung for record in gradient.records if record.verdict == "different"}
    assert differing == {"backward", "gradients"}, gradient.summary


def test_one_result_and_a_loss() -> None:
    port = JaxFunction(lambda params, x: layer(params[0], x), ({"kernel": np.ones((3, 2)), "bias": np.ones(2)},))
    side = port.open("float64", None)
    assert list(side.parameters()) == ["0/bias", "0/kernel"]
    back = side.backward([ROWS], lambda y: (y**2).mean())
    assert back.loss is not None
    assert back.calls["output"].input_gradients[0].shape == ROWS.shape
    values = ROWS.astype(float) @ np.ones((3, 2)) + 1
    assert back.loss == pytest.approx((values**2).mean())
    assert back.gradients["0/bias"] == pytest.approx((2 * values / values.size).sum(0))
    assert back.gradients["0/bias"].dtype == np.float64
    module = nn.Linear(3, 2)
    names = {"0/kernel": "weight", "0/bias": "bias"}
    result = compare_models(TorchModule(module, {}), port, ROWS, names=names, layouts={"weight": (1, 0)})
    assert result.verdict == "equal", result.summary
    assert "input" in {record.name for record in result.records if record.rung == "backward"}


def test_what_a_function_cannot_do_is_refused_in_a_sentence() -> None:
    port = JaxFunction(network(jax.numpy.tanh), parameters())
    with pytest.raises(UsageError, match=r"^port: does not run on the inputs \(TypeError"):
        compare_models(TwoLayers(), port, pictures(5, 4))
    with pytest.raises(UsageError, match=r"^model: run \(JAX\) has parameters of the caller's"):
        randomise(port)
    assert torch.get_default_dtype() is torch.float32
