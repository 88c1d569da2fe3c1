"""A dense layer on patches of a map, and a convolution that steps as far as its kernel reaches."""

from collections.abc import Callable
from typing import Any

import keras
import pytest
from keras import ops
from torch import Tensor, nn
from torch.nn import functional as F

from parity_tests import compare_models, randomise
from parity_tests.rule.result import Result
from parity_tests.tests.support.small_models import pictures

L = keras.layers

IMAGES = pictures(2, 8, 6, 3)


class Patches(keras.Layer):  # type: ignore[misc]  # keras has no types
    """The pixels of each patch, with the channels of one pixel beside each other."""

    def call(self, x: Any) -> Any:
        return ops.reshape(ops.transpose(ops.reshape(x, (-1, 4, 2, 3, 2, 3)), (0, 1, 3, 2, 4, 5)), (-1, 12, 12))


def in_keras(dense: bool) -> keras.Model:
    x = inputs = keras.Input(IMAGES.shape[1:])
    x = L.Conv2D(3, 3, padding="same", name="stem")(x)
    convolution = L.Conv2D(5, 2, 2, name="project")
    x = L.Dense(5, name="project")(Patches()(x)) if dense else L.Reshape((12, 5))(convolution(x))
    model = keras.Model(inputs, L.Dense(4, name="head")(L.LayerNormalization(epsilon=1e-5, name="norm")(x)))
    randomise(model)
    return model


class PortOfPatches(nn.Module):
    """Its patches are those of a convolution, or have channels before pixels, or pixels by rows or columns."""

    def __init__(self, order: str, eps: float = 1e-5) -> None:
        super().__init__()
        self.order, self.stem = order, nn.Conv2d(3, 3, 3, padding=1)
        self.project = nn.Conv2d(3, 5, 2, 2) if order == "convolution" else nn.Linear(12, 5)
        self.norm, self.head = nn.LayerNorm(5, eps=eps), nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        if self.order == "convolution":
            x = self.project(x).flatten(2).mT
        elif self.order == "channels":
            x = self.project(F.unfold(x, 2, stride=2).mT)
        else:
            axes = (0, 2, 4, 3, 5, 1) if self.order == "rows" else (0, 2, 4, 5, 3, 1)
            x = self.project(x.view(-1, 3, 4, 2, 3, 2).permute(axes).reshape(-1, 12, 12))
        made: Tensor = self.head(self.norm(x))
        return made


def in_torch(order: str) -> PortOfPatches:
    port = PortOfPatches(order)
    randomise(port)
    return port


def compared(reference: Any, port: nn.Module) -> Result:
    images = IMAGES.transpose(0, 3, 1, 2) if isinstance(reference, nn.Module) else IMAGES
    return compare_models(reference, port, images, dtypes=("float64",))


@pytest.mark.parametrize(
    ("reference", "order"),
    [
        (lambda: in_keras(dense=False), "channels"),
        (lambda: in_keras(dense=False), "rows"),
        (lambda: in_keras(dense=True), "convolution"),
        (lambda: in_torch("convolution"), "channels"),
        (lambda: in_torch("convolution"), "rows"),
        (lambda: in_torch("channels"), "convolution"),
        (lambda: in_torch("rows"), "convolution"),
    ],
)
def test_either_may_stand_for_the_other(reference: Callable[[], Any], order: str) -> None:
    result = compared(reference(), PortOfPatches(order))
    assert result.verdict == "equal", result.summary
    assert "project" in next(c for c in result.coverage if c.kind == "taps").skipped  # compared where it arrives
    assert all(c.compared == 8 for c in result.coverage if c.kind == "parameters")


def test_patches_in_neither_order_are_named_where_they_arrive() -> None:
    summary = compared(in_keras(dense=False), PortOfPatches("columns")).summary
    assert summary.startswith("different: norm.input is where it starts"), summary


def test_a_mistake_behind_them_is_named() -> None:
    summary = compared(in_keras(dense=False), PortOfPatches("channels", eps=1e-3)).summary
    assert summary.startswith("different: norm is where it starts"), summary
