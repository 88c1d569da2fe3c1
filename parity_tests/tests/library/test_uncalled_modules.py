"""Modules that one side does not call: it computes with their parameters itself, or it has forgotten them."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from parity_tests import TorchModule, compare_models
from parity_tests.ladder.constants import REASON
from parity_tests.rule.result import Result

TOKENS = np.random.default_rng(0).integers(0, 9, (3, 5))


class TokensAndPlaces(nn.Module):
    """Tokens and places in two tables; of the places every row is looked up, taken as it is, or forgotten."""

    def __init__(self, places: str, slope: float = 0.0) -> None:
        super().__init__()
        self.token, self.place, self.top = nn.Embedding(9, 4), nn.Embedding(7, 4), nn.Linear(4, 2)
        self.places, self.act = places, nn.LeakyReLU(slope)

    def forward(self, tokens: Tensor) -> Tensor:
        length, x = tokens.shape[1], self.token(tokens)
        if self.places != "forgotten":
            x = x + (self.place(torch.arange(length)) if self.places == "called" else self.place.weight[:length])
        made: Tensor = self.top(self.act(x))
        return made


def compared(reference: str, port: str, slope: float = 0.0) -> Result:
    return compare_models(TokensAndPlaces(reference), TokensAndPlaces(port, slope), TOKENS)


@pytest.mark.parametrize("places", [("called", "taken"), ("taken", "called")])
def test_a_table_may_be_taken_without_a_call(places: tuple[str, str]) -> None:
    result = compared(*places)
    assert result.verdict == "equal", result.summary
    side = "port" if places[1] == "taken" else "reference"
    words = f"the {side} computes with its parameters and does not call it; it is compared where it arrives"
    assert f"place: {words}" in result.warnings
    assert all(covered.skipped == {"place": words} for covered in result.coverage if covered.kind == "taps")


def test_a_table_may_be_taken_by_both_sides_without_a_call() -> None:
    result = compared("taken", "taken")
    assert result.verdict == "equal", result.summary
    words = "neither side calls it, and both compute with its parameters; it is compared where it arrives"
    assert f"place: {words}" in result.warnings


def test_one_that_both_sides_forget_is_not_compared() -> None:
    assert compared("forgotten", "forgotten").verdict == "incomplete"


class Places(nn.Module):
    """Places in a list of parameters, which cannot be called, and a constant beside them."""

    def __init__(self, constant: bool = False) -> None:
        super().__init__()
        self.top, self.places = nn.Linear(4, 2), nn.ParameterList([torch.randn(2, 4), torch.randn(3, 4)])
        if constant:
            self.block = ShiftedTable(self.top)
            del self.top

    def forward(self, x: Tensor) -> Tensor:
        top = self.get_submodule("block" if hasattr(self, "block") else "top")
        made: Tensor = top(x + torch.cat([*self.places]))
        return made


class ShiftedTable(nn.Module):
    zero: Tensor

    def __init__(self, top: nn.Module) -> None:
        super().__init__()
        self.top = top
        self.register_buffer("zero", torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.top(x + self.zero)
        return made


ROWS = np.random.default_rng(1).normal(size=(3, 5, 4))


def test_a_list_of_parameters_is_no_tap() -> None:
    result = compare_models(Places(), Places(), ROWS)
    assert result.verdict == "equal", result.summary


def test_a_block_with_a_constant_is_skipped_with_it() -> None:
    port = Places(constant=True)
    result = compare_models(Places(), port, ROWS)
    assert result.verdict == "equal", result.summary
    of_port = {c.kind: c.skipped for c in result.coverage if c.side == "port"}
    assert of_port["parameters"]["block.zero"] == of_port["taps"]["block"] == REASON
    port.get_buffer("block.zero").fill_(0.1)
    assert compare_models(Places(), port, ROWS).summary.startswith("different: top.input is where it starts")


def test_a_parameter_that_is_trained_and_statistics_are_no_constants() -> None:
    more = Places()
    more.register_parameter("scale", nn.Parameter(torch.ones(2)))
    assert compare_models(Places(), more, ROWS).verdict == "incomplete"
    more = Places()
    more.register_buffer("running_mean", torch.ones(2))
    assert compare_models(Places(), more, ROWS).verdict == "incomplete"


def test_another_mistake_is_named_at_its_own_place() -> None:
    assert compared("called", "taken", 0.01).summary.startswith("different: top.input is where it starts")


def test_one_that_is_forgotten_is_missing() -> None:
    assert "place.input" in compared("called", "forgotten").summary
    assert compared("called", "forgotten").verdict == "different"


def test_one_that_was_asked_for_is_missing_too() -> None:
    taps = {"place": "place"}
    result = compare_models(
        TorchModule(TokensAndPlaces("called"), taps), TorchModule(TokensAndPlaces("taken"), taps), TOKENS
    )
    assert "missing in the port" in result.summary
