"""Both sides are asked twice: who answers other inputs from a cache is found and named, and right pairs stay equal."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

# isort: split
import numpy as np
import pytest

from parity_tests import (
    JaxFunction,
    KerasModel,
    OwnTaps,
    TorchModule,
    check_model,
    compare_models,
    randomise,
    record_model,
)
from parity_tests.ladder.asked_again import SUBJECT, moved_up
from parity_tests.rule.record import Array, Record
from parity_tests.rule.result import Result
from parity_tests.tests.support.small_models import IMAGES, TAPS, Port, keras_model, pictures, tap

ROWS = pictures(4, 3)
FIRST = "the port answers as for the first inputs"


def again(result: Result) -> list[Record]:
    """The records of the second question."""
    return [record for record in result.records if record.where.subject == SUBJECT]


def only_again(result: Result) -> list[str]:
    """The names that differ, all of them in the second question."""
    differing = [record for record in result.records if record.verdict == "different"]
    assert {record.where.subject for record in differing} <= {SUBJECT}, result.summary
    return [record.name for record in differing]


def test_the_outputs_alone_are_compared_once_more_in_float64() -> None:
    reference, port = KerasModel(keras_model(), TAPS), TorchModule(Port(), TAPS)
    result = compare_models(reference, port, IMAGES, rungs=["forward"])
    assert result.verdict == "equal", result.summary
    [record] = again(result)
    assert (record.name, record.where.text) == ("output", "2x8x6x3 float64 cascaded asked again")
    assert record.used is not None
    assert len([r for r in result.records if r.where.text == "2x8x6x3 float64 cascaded"]) == 6


def test_each_side_runs_once_more() -> None:
    seen: list[Array] = []

    def function(x: Array) -> Array:
        seen.append(x)
        return np.tanh(x)

    assert compare_models(function, np.tanh, ROWS).verdict == "equal"
    assert sum(np.array_equal(x, ROWS[[0, *range(len(ROWS) - 1)]]) for x in seen) == 1


class Cached(nn.Module):
    """A layer that keeps what it has made of inputs, under what stands for them."""

    def __init__(self, key: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.layer, self.key, self.made = nn.Linear(3, 2), key, dict[Any, Tensor]()

    def forward(self, x: Tensor) -> Tensor:
        if self.key(x) not in self.made:
            self.made[self.key(x)] = self.layer(x)
        return self.made[self.key(x)]


NAMES = {"weight": "layer.weight", "bias": "layer.bias"}
"""Those of the layer alone, by those of the layer that is cached."""

KEYS: dict[str, Callable[[Tensor], Any]] = {"shape": lambda x: x.shape, "first call": lambda x: None}


@pytest.mark.planted
@pytest.mark.parametrize("key", KEYS)
def test_a_port_that_answers_from_a_cache_is_named(key: str) -> None:
    right, port = Cached(lambda x: x.numpy().tobytes()), Cached(KEYS[key])
    wrong = compare_models(TorchModule(right, {}), TorchModule(port, {}), ROWS, rungs=["forward"])
    assert only_again(wrong) == ["output"]
    [record] = again(wrong)
    assert record.reason.endswith(FIRST)
    assert f"it starts at output (forward 4x3 float64 cascaded asked again: {record.reason})" in wrong.summary


@pytest.mark.planted
def test_a_reference_that_answers_from_a_cache_is_named_as_such() -> None:
    cached, right = TorchModule(Cached(KEYS["shape"]), {}), TorchModule(nn.Linear(3, 2), {})
    wrong = compare_models(cached, right, ROWS, names=NAMES, rungs=["forward"])
    assert only_again(wrong) == ["output"]
    assert again(wrong)[0].reason.endswith("the reference answers as for the first inputs")


@pytest.mark.planted
def test_all_that_a_function_returns_by_name_is_compared() -> None:
    kept: dict[Any, Array] = {}

    def right(x: Array) -> dict[str, Array]:
        return {"sums": x.sum(1), "boxes": x * 2}

    def port(x: Array) -> dict[str, Array]:
        return {"sums": x.sum(1), "boxes": kept.setdefault((x.shape, x.dtype), x * 2)}

    assert [record.name for record in again(compare_models(right, right, ROWS))] == ["sums", "boxes"]
    assert only_again(compare_models(right, port, ROWS)) == ["boxes"]


@pytest.mark.planted
def test_a_function_of_jax_that_answers_from_a_cache_is_named() -> None:
    pytest.importorskip("jax")
    kept: dict[Any, Any] = {}

    def right(params: Any, x: Any) -> Any:
        return x @ params["kernel"]

    def port(params: Any, x: Any) -> Any:
        return kept.setdefault((x.shape, x.dtype), right(params, x))

    params = {"kernel": pictures(3, 2)}
    wrong = compare_models(JaxFunction(right, params), JaxFunction(port, params), ROWS, rungs=["forward"])
    assert only_again(wrong) == ["output"]


@pytest.mark.planted
def test_of_a_model_that_writes_its_taps_the_last_one_is_compared() -> None:
    class WritesCache(nn.Module):
        def __init__(self, *, cached: bool) -> None:
            super().__init__()
            self.first, self.last, self.kept = nn.Linear(3, 3), nn.Linear(3, 2), list[Tensor]()
            self.cached = cached

        def forward(self, x: Tensor, taps: Any = None) -> Any:
            made = self.last(tap(taps, "first", self.first(x)))
            self.kept = self.kept or [made]
            return tap(taps, "last", self.kept[0] if self.cached and made.dtype == torch.float64 else made)

    right, port = (TorchModule(WritesCache(cached=cached), OwnTaps()) for cached in (False, True))
    assert [record.name for record in again(compare_models(right, right, ROWS))] == ["last"]
    wrong = compare_models(right, port, ROWS, rungs=["forward"], dtypes=["float64"])
    assert "last" in [record.name for record in again(wrong) if record.verdict == "different"]


def test_two_sides_that_answer_from_a_cache_say_nothing() -> None:
    left, right = (TorchModule(Cached(KEYS["shape"]), {}) for _ in range(2))
    result = compare_models(left, right, ROWS, rungs=["forward"])
    assert [record.vacuous for record in again(result)] == ["both sides answer as for the first inputs"]
    assert any("both sides answer as for the first inputs" in words for words in result.warnings)


class Sequences(nn.Module):
    """Token ids and a mask; examples are seen beside each other, statistics are those that were learned."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.lstm = nn.Embedding(9, 4), nn.LSTM(4, 4, batch_first=True)
        self.norm, self.drop = nn.BatchNorm1d(4), nn.Dropout(0.5)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        made = self.lstm(self.rows(ids))[0] * mask[..., None]
        made = self.drop(self.norm(made.sum(1)))
        result: Tensor = made - made.mean(0)
        return result


def test_a_right_pair_of_token_ids_a_mask_and_examples_that_see_each_other_is_equal() -> None:
    ids = np.random.default_rng(0).integers(0, 9, (3, 5))
    mask = (np.arange(5) < [[5], [2], [3]]).astype(np.float32)
    reference, port = Sequences(), Sequences()
    randomise(reference)
    result = compare_models(reference, port, [ids, mask])
    assert result.verdict == "equal", result.summary
    assert [(record.name, record.vacuous) for record in again(result)] == [("output", "")]


def test_lengths_that_must_fall_still_do() -> None:
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(3, 2, batch_first=True)

        def forward(self, x: Tensor, lengths: Tensor) -> Any:
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
            return self.lstm(packed)[1][0]

    result = compare_models(Packed(), Packed(), [pictures(3, 5, 3), np.array([5, 3, 2])], rungs=["forward"])
    assert result.verdict == "equal", result.summary
    assert [(record.name, record.vacuous) for record in again(result)] == [("output", "")]


@pytest.mark.planted
def test_a_port_that_does_not_answer_again_is_incomplete() -> None:
    def port(x: Array) -> Array:
        if x[1, 0] != ROWS[1, 0]:
            raise ValueError("again")
        return np.tanh(x)

    result = compare_models(np.tanh, port, ROWS)
    assert result.verdict == "incomplete"
    assert [record.reason for record in again(result)] == ["ValueError: again"]


ARRAYS: dict[str, tuple[list[Any], list[Any] | None]] = {
    "one": ([[[1, 2], [3, 4]]], [[[1, 2], [1, 2]]]),
    "examples in common": ([[[1], [2]], [5, 6]], [[[1], [1]], [5, 5]]),
    "one that is the same for all": ([[1, 2, 3], [5, 5, 5]], [[1, 1, 2], [5, 5, 5]]),
    "a batch of one": ([[[1, 2, 3]]], [[[1, 1, 2]]]),
    "a batch of one, of several": ([[[1, 2]], [[[3], [4]]]], [[[1, 1]], [[[3], [3]]]]),
    "examples that are alike": ([[[1, 2], [1, 2]]], [[[1, 1], [1, 1]]]),
    "texts": ([["a", "b"]], [["a", "a"]]),
    "no number": ([[np.nan, np.nan]], None),
    "no axis in common": ([[[1, 2], [3, 4]], [5, 6, 7]], None),
    "nothing else in common of one": ([[[1, 2]], [[3, 4, 5]]], None),
    "a number": ([3], None),
    "a batch and a number": ([[1, 2], 3], None),
    "constants": ([[[1, 1], [1, 1]]], None),
}
"""By what they are: inputs, and those that are asked for the second time."""


@pytest.mark.parametrize("what", ARRAYS)
def test_in_the_other_inputs_each_example_is_the_one_before(what: str) -> None:
    given, expected = ARRAYS[what]
    found = moved_up([np.array(values) for values in given])
    assert (None if found is None else [values.tolist() for values in found]) == expected


def test_inputs_without_examples_in_common_are_said() -> None:
    def product(x: Array, y: Array) -> Array:
        return x @ y

    result = compare_models(product, product, [pictures(2, 3), pictures(3, 4)])
    assert again(result) == []
    assert any(
        words.startswith("inputs: 2x3+3x4 have no examples that could be exchanged") for words in result.warnings
    )
    assert not any("exchanged" in words for words in compare_models(np.tanh, np.tanh, ROWS).warnings)


@pytest.mark.planted
def test_a_recorded_model_keeps_its_second_answer(tmp_path: Path) -> None:
    right, cached = TorchModule(nn.Linear(3, 2), {}), TorchModule(Cached(KEYS["shape"]), {})
    for name, model in {"right": right, "cached": cached}.items():
        record_model(model, ROWS, tmp_path / name, rungs=["parameters", "forward"])
    equal = check_model(tmp_path / "right", right)
    assert equal.verdict == "equal", equal.summary
    assert [record.name for record in again(equal)] == ["output"]
    by_port = check_model(tmp_path / "right", cached, names={new: old for old, new in NAMES.items()})
    by_reference = check_model(tmp_path / "cached", right, names=NAMES)
    for side, wrong in (("port", by_port), ("reference", by_reference)):
        assert only_again(wrong) == ["output"]
        assert again(wrong)[0].reason.endswith(f"the {side} answers as for the first inputs")
