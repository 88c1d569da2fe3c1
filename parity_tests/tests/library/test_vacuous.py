"""Nothing is compared vacuously in silence: what the instrument does not see of two models is refused or said."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from parity_tests import OwnTaps, TorchModule, compare_models
from parity_tests.rule.compare import compare_values
from parity_tests.rule.errors import UsageError
from parity_tests.rule.record import Where
from parity_tests.rule.result import Result
from parity_tests.rule.vacuous import silent_rungs

VALUES = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


class Writes(nn.Module):
    """A model that writes taps of its own, and returns its last one, or something behind it."""

    def __init__(self, factor: float = 1.0, *, writes: bool = True, behind: float = 0.0) -> None:
        super().__init__()
        self.layer, self.factor, self.writes, self.behind = nn.Linear(4, 4), factor, writes, behind

    def forward(self, x: Tensor, taps: Any = None) -> Tensor:
        x = self.layer(x) * self.factor
        if taps is not None and self.writes:
            taps["scaled"] = x
            x = taps["scaled"]
        return x + self.behind


def test_a_complex_result_is_compared_in_both_parts() -> None:
    assert compare_models(lambda x: x + 1j * x, lambda x: x + 1j * x, VALUES).verdict == "equal"
    assert compare_models(lambda x: x + 1j * x, lambda x: x + 2j * x, VALUES).verdict == "different"


def test_a_model_that_writes_no_tap_is_refused() -> None:
    silent = TorchModule(Writes(writes=False), taps=OwnTaps())
    with pytest.raises(UsageError, match=r"^reference: the model writes no tap"):
        compare_models(silent, TorchModule(Writes(2.0, writes=False), taps=OwnTaps()), VALUES)


@pytest.mark.planted
def test_a_result_that_is_written_as_no_tap_is_refused() -> None:
    right, wrong = TorchModule(Writes(), taps=OwnTaps()), TorchModule(Writes(behind=1.0), taps=OwnTaps())
    with pytest.raises(UsageError, match=r"^taps: the model returns a value that it writes as no tap"):
        compare_models(right, wrong, VALUES)


@pytest.mark.parametrize("settings", [{"dtypes": ()}, {"dtypes": "float64"}, {"rungs": "forward"}])
def test_no_precision_and_a_text_for_a_list_are_refused(settings: Any) -> None:
    with pytest.raises(UsageError, match=r"must be a list of some of"):
        compare_models(nn.Linear(4, 4), nn.Linear(4, 4), VALUES, **settings)


def test_a_rung_that_a_side_cannot_climb_is_refused_where_it_was_asked_for() -> None:
    with pytest.raises(UsageError, match=r"^rungs: 'gradients' needs parameters and gradients"):
        compare_models(np.tanh, np.tanh, VALUES, rungs=["forward", "gradients"])


def test_own_taps_beside_hooks_go_forward_and_say_what_is_left_out() -> None:
    own, hooked = TorchModule(Writes(), taps=OwnTaps()), TorchModule(Writes(), taps={"scaled": "layer"})
    result = compare_models(own, hooked, VALUES, skip={"output": "the tap is the output"})
    assert result.verdict == "equal", result.summary
    assert {record.rung for record in result.records} == {"parameters", "forward"}
    assert any(words.startswith("rungs: backward and gradients not climbed") for words in result.warnings)


@pytest.mark.parametrize("name", ["names", "layouts", "skip"])
def test_a_list_for_a_dictionary_is_refused(name: str) -> None:
    argument: Any = {name: ["conv"]}
    with pytest.raises(UsageError, match=rf"^{name}: \['conv'\] must be a dictionary by name"):
        compare_models(nn.Linear(4, 4), nn.Linear(4, 4), VALUES, **argument)


def dead(x: Any) -> Any:
    return np.zeros_like(x)


def test_a_run_in_which_nothing_could_fail_is_incomplete() -> None:
    result = compare_models(dead, dead, VALUES)
    assert (result.verdict, result.exit_code) == ("incomplete", 3)
    assert result.summary.endswith("no comparison of values could have failed, first output (both are zero throughout)")
    assert "forward says nothing: no comparison" in " ".join(result.warnings)


class Gated(nn.Module):
    """A layer whose result is taken, or is not."""

    def __init__(self, *, taken: bool) -> None:
        super().__init__()
        self.layer, self.last, self.taken = nn.Linear(4, 4), nn.Linear(4, 2), taken

    def forward(self, x: Tensor) -> Tensor:
        made = self.layer(x)
        found: Tensor = self.last(made if self.taken else made.detach() * 0)
        return found


def test_a_part_that_says_nothing_is_said_and_the_rest_counts() -> None:
    result = compare_models(Gated(taken=False), Gated(taken=False), VALUES)
    assert result.verdict == "equal"
    assert any(
        words.startswith("gradients: 3 comparisons say nothing, of 4, first layer.weight: both are zero")
        for words in result.warnings
    )
    assert not any(
        "say" in words and "nothing" in words
        for words in compare_models(Gated(taken=True), Gated(taken=True), VALUES).warnings
    )


def test_a_rung_that_says_nothing_is_said_and_one_that_does_is_not() -> None:
    values = {"losses": np.zeros((2, 3)), "targets": np.eye(2)}
    records = [compare_values(rung, Where(), "x", value, value, 1.0) for rung, value in values.items()]
    said = "losses says nothing: no comparison of values could have failed, first x: both are zero throughout"
    assert silent_rungs(records) == [said]


def test_a_loss_that_does_not_move_says_nothing() -> None:
    def run(loss: Any) -> Result:
        make = (lambda parameters: torch.optim.SGD(parameters, 0.1),) * 2
        both: Any = {"loss": (loss, loss), "optimizers": make, "batches": [[VALUES]] * 3, "rungs": ["trajectory"]}
        return compare_models(nn.Linear(4, 4), nn.Linear(4, 4), VALUES, **both)

    assert run(lambda y: (y**2).mean()).verdict == "equal"
    still = run(lambda y: (y * 0).sum() + 1)
    assert (still.verdict, {record.vacuous for record in still.records}) == ("incomplete", {"the loss does not move"})


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (np.zeros((2, 3)), "both are zero throughout"),
        (np.full((2, 3), 1.5), "both are 1.5 throughout"),
        (np.zeros((0, 3)), "both are empty"),
        (np.zeros(1), "both are zero"),
        (np.ones(1), ""),
        (np.array([1.0, 2.0, 1.0]), ""),
    ],
)
def test_why_two_equal_arrays_say_nothing(values: Any, why: str) -> None:
    record = compare_values("forward", Where(dtype="float64"), "x", values, values.copy(), 1e-9)
    assert (record.verdict, record.vacuous) == ("equal", why)


def test_arrays_that_differ_a_little_say_something() -> None:
    record = compare_values("forward", Where(dtype="float64"), "x", np.ones(3), np.ones(3) + 1e-12, 1e-9)
    assert (record.verdict, record.vacuous) == ("equal", "")
