"""Nothing is compared vacuously in silence: what the instrument does not see of two models is refused or said."""

from typing import Any

import numpy as np
import pytest
from torch import Tensor, nn

from parity_tests import OwnTaps, TorchModule, compare_models
from parity_tests.rule.errors import UsageError

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
