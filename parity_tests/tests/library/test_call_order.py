"""A module that is called several times, in another order on either side: Keras runs the deepest branch first."""

import keras
import pytest
from torch import Tensor, nn

from parity_tests import Result, compare_models, randomise
from parity_tests.tests.support.small_models import pictures

L = keras.layers


def pyramid_in_keras() -> keras.Model:
    """Three maps, one within the other, and one head on each of them, the finest first."""
    image = keras.Input((32, 48, 3))
    head, maps = L.Conv2D(4, 3, padding="same", name="head"), [image]
    for name in ("c1", "c2", "c3"):
        maps.append(L.Conv2D(8, 3, strides=2, activation="relu", name=name)(maps[-1]))
    model = keras.Model(image, [head(level) for level in maps[1:]])
    randomise(model)
    return model


class Pyramid(nn.Module):
    """The same, whose head takes the levels as they come."""

    def __init__(self, *, swapped: bool = False) -> None:
        super().__init__()
        self.c1, self.c2, self.c3 = nn.Conv2d(3, 8, 3, 2), nn.Conv2d(8, 8, 3, 2), nn.Conv2d(8, 8, 3, 2)
        self.head, self.swapped = nn.Conv2d(8, 4, 3, padding=1), swapped

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = [(first := self.c1(x).relu()), (second := self.c2(first).relu()), self.c3(second).relu()]
        outputs = [self.head(level) for level in maps]
        return outputs[::-1] if self.swapped else outputs


def difference_in_keras() -> keras.Model:
    """What one layer makes of a first input less what it makes of a second; Keras calls it for the second first."""
    first, second, layer = keras.Input((6,)), keras.Input((6,)), L.Dense(8, name="dense")
    model = keras.Model([first, second], keras.ops.relu(layer(first)) - layer(second))
    randomise(model)
    return model


class Difference(nn.Module):
    """The same in torch; a `sign` of -1 is the mistake."""

    def __init__(self, sign: int = 1) -> None:
        super().__init__()
        self.dense, self.sign = nn.Linear(6, 8), sign

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        difference: Tensor = self.dense(first).relu() - self.dense(second)
        return self.sign * difference


def of_levels(port: nn.Module) -> Result:
    return compare_models(pyramid_in_keras(), port, pictures(2, 32, 48, 3))


def of_two(port: nn.Module) -> Result:
    return compare_models(difference_in_keras(), port, [pictures(5, 6), pictures(5, 6)[::-1].copy()])


@pytest.mark.parametrize("result", [lambda: of_levels(Pyramid()), lambda: of_two(Difference())])
def test_calls_in_another_order_are_compared_with_those_that_are_fed_the_same(result: object) -> None:
    assert callable(result)
    found: Result = result()
    assert found.verdict == "equal", found.summary


def test_it_is_said() -> None:
    words = "the port calls it in another order, and each call is compared with the one that is fed the same"
    assert f"head: {words}" in of_levels(Pyramid()).warnings


@pytest.mark.planted
def test_outputs_in_another_order_are_different() -> None:
    assert of_levels(Pyramid(swapped=True)).summary.startswith("different: it starts at output.0")


@pytest.mark.planted
def test_a_difference_the_other_way_round_is_named_where_it_arrives() -> None:
    assert of_two(Difference(-1)).summary.startswith("different: output is where it starts")


@pytest.mark.planted
def test_a_layer_that_is_fed_something_else_in_one_of_its_calls_is_named() -> None:
    class FedTwice(Difference):
        def forward(self, first: Tensor, second: Tensor) -> Tensor:
            return super().forward(first, 2 * second)

    assert "dense" in of_two(FedTwice()).summary
