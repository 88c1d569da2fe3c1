"""What people hand over beside plain modules: lists, masks, compiled graphs, weights made of others, results cut."""

from typing import Any

import keras
import numpy as np
import pytest
import torch
from keras import layers as L
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from parity_tests import compare_models, randomise
from parity_tests.rule.result import Result

ROWS = [np.random.default_rng(seed).normal(size=(3, 5)) for seed in (0, 1)]
STEPS = np.random.default_rng(0).normal(size=(2, 9, 4))
MAPS = np.random.default_rng(0).normal(size=(2, 3, 7, 6))


def is_named(result: Result, place: str) -> bool:
    return result.summary.startswith(f"different: {place} is where it starts")


class DifferenceInKeras(keras.Model):  # type: ignore[misc]  # keras has no types
    def __init__(self) -> None:
        super().__init__()
        self.dense = L.Dense(4)

    def call(self, both: list[Tensor]) -> Tensor:
        made: Tensor = self.dense(both[0] - both[1])
        return made


class DifferenceOfList(nn.Module):
    def __init__(self, sign: float = -1) -> None:
        super().__init__()
        self.dense, self.sign = nn.Linear(5, 4), sign

    def forward(self, both: list[Tensor]) -> Tensor:
        made: Tensor = self.dense(both[0] + self.sign * both[1])
        return made


def test_models_that_take_all_their_inputs_in_one_list_are_given_a_list() -> None:
    reference = DifferenceInKeras()
    reference(ROWS)
    randomise(reference)
    assert compare_models(reference, DifferenceOfList(), ROWS).verdict == "equal"
    assert is_named(compare_models(reference, DifferenceOfList(1), ROWS), "dense.input")


class Tagger(nn.Module):
    def __init__(self, eps: float = 1e-3) -> None:
        super().__init__()
        self.words, self.norm, self.tags = nn.Embedding(7, 5), nn.LayerNorm(5, eps), nn.Linear(5, 3)

    def forward(self, ids: Tensor) -> Tensor:
        made: Tensor = self.tags(self.norm(self.words(ids)))
        return made


def test_masks_that_keras_hands_on_are_no_inputs() -> None:
    ids = keras.Input((6,), dtype="int32")
    steps = L.TimeDistributed(L.Dense(3), name="tags")
    made = steps(L.LayerNormalization(name="norm")(L.Embedding(7, 5, mask_zero=True, name="words")(ids)))
    reference, fed = keras.Model(ids, made), np.random.default_rng(0).integers(0, 7, (3, 6))
    randomise(reference)
    assert compare_models(reference, Tagger(), fed).verdict == "equal"
    assert is_named(compare_models(reference, Tagger(1e-2), fed), "norm")


class TwoMaps(nn.Module):
    def __init__(self, eps: float = 1e-5) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, eps)

    def forward(self, images: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(images)))


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_a_graph_of_torchscript_is_compared_as_a_whole() -> None:
    reference = randomised(TwoMaps())
    right, wrong = (compare_models(reference, torch.jit.script(TwoMaps(eps).eval()), MAPS) for eps in (1e-5, 1e-2))
    assert right.verdict == "equal", right.summary
    assert wrong.verdict == "different"
    assert any("nothing was isolated" in words for words in right.warnings)


@pytest.mark.ci  # the compiler is slow to load
def test_a_compiled_module_runs_as_it_is_written() -> None:
    reference = randomised(TwoMaps())
    right, wrong = (
        compare_models(reference, torch.compile(TwoMaps(eps), backend="eager"), MAPS) for eps in (1e-5, 1e-2)
    )
    assert right.verdict == "equal", right.summary
    assert is_named(wrong, "norm")


def randomised(module: nn.Module) -> nn.Module:
    randomise(module)
    return module


def causal() -> keras.Model:
    steps = keras.Input(STEPS.shape[1:])
    made = L.Conv1D(5, 3, padding="causal", activation="relu", name="first")(steps)
    model = keras.Model(steps, L.Conv1D(3, 3, padding="causal", dilation_rate=2, name="second")(made))
    randomise(model)
    return model


class CutToSize(nn.Module):
    """Convolutions that pad at both ends, whose last steps are cut off, or wrongly the first."""

    def __init__(self, wrong: bool = False, made: bool = False) -> None:
        super().__init__()
        self.first: Any = nn.Conv1d(4, 5, 3, padding=2)
        self.second: Any = nn.Conv1d(5, 3, 3, padding=4, dilation=2)
        if made:
            self.first, self.second = weight_norm(self.first), weight_norm(self.second)
        self.wrong = wrong

    def forward(self, steps: Tensor) -> Tensor:
        made = self.first(steps.transpose(1, 2))
        made = F.relu(made[..., 2:] if self.wrong else made[..., :-2])
        cut: Tensor = self.second(made)[..., :-4]
        return cut.transpose(1, 2)


@pytest.mark.parametrize("made", [False, True], ids=["plain", "weight_norm"])
def test_results_that_a_port_cuts_to_size_are_compared_where_they_arrive(made: bool) -> None:
    right, wrong = (compare_models(causal(), CutToSize(wrong, made), STEPS) for wrong in (False, True))
    assert right.verdict == "equal", right.summary
    assert is_named(wrong, "second.input")


def test_weights_that_a_port_has_made_are_judged_in_the_precision_they_were_made_in() -> None:
    reference, port = causal(), CutToSize(made=True)
    for name in ("first", "second"):
        kernel, bias = map(torch.tensor, reference.get_layer(name).get_weights())
        layer = getattr(port, name)
        with torch.no_grad():
            layer.weight = kernel.permute(2, 1, 0)
            layer.bias.copy_(bias)
    right = compare_models(reference, port, STEPS, transfer=False)
    assert right.verdict == "equal", right.summary
    with torch.no_grad():
        port.second.weight = port.second.weight.flip(-1)
    wrong = compare_models(reference, port, STEPS, transfer=False)
    of_parameters = [record for record in wrong.records if record.rung == "parameters"]
    assert [record.name for record in of_parameters if record.verdict == "different"] == ["second/kernel"]


class Causal(nn.Conv1d):
    """A subclass that pads itself: nothing tells where it has its channels but what arrives."""

    def forward(self, steps: Tensor) -> Tensor:
        return super().forward(F.pad(steps, (self.dilation[0] * 2, 0)))


class ChannelsSecond(nn.Module):
    def __init__(self, dilation: int = 2) -> None:
        super().__init__()
        self.first, self.second = Causal(4, 5, 3), Causal(5, 3, 3, dilation=dilation)

    def forward(self, steps: Tensor) -> Tensor:
        made: Tensor = self.second(F.relu(self.first(steps)))
        return made


def test_steps_of_convolutions_of_ones_own_lie_as_their_shapes_tell() -> None:
    said = {"input": (0, 2, 1)}
    right, wrong = (compare_models(causal(), ChannelsSecond(dilation), STEPS, layouts=said) for dilation in (2, 1))
    assert right.verdict == "equal", right.summary
    assert is_named(wrong, "second")


def test_a_model_without_statistics_can_be_compared_in_training() -> None:
    reference = causal()
    rungs = ("forward", "training")
    assert compare_models(reference, CutToSize(), STEPS, rungs=rungs).verdict == "equal"
    assert compare_models(reference, CutToSize(wrong=True), STEPS, rungs=rungs).verdict == "different"
