"""Answers are stored as they were when they were given, large arrays as samples that still tell a mistake."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity_tests.bundle.files import Bundle, BundleWriter
from parity_tests.bundle.record import record
from parity_tests.bundle.tree import Arrays, loaded, stored
from parity_tests.ladder.case import About, Answer, Case, Sides
from parity_tests.rule.budgets import rounding_budget
from parity_tests.rule.compare import compare_values
from parity_tests.rule.digest import digest_of
from parity_tests.rule.errors import UsageError
from parity_tests.rule.record import Array, Record, Where
from parity_tests.rule.sampled import DIGESTS, LARGEST_WHOLE, SAMPLES, Sampled, sample


@pytest.fixture
def large() -> "np.ndarray":
    return np.random.default_rng(0).normal(size=(2, 40, 60, 8))


def test_what_is_recorded_stays_as_it_was() -> None:
    writer, live = BundleWriter(), np.zeros(3)
    writer.put("step SGD", "step", {"after": {"bias": live}})
    live += 1
    [kept] = writer.arrays["step"].values()
    assert not kept.any()


class Counter:
    """A side of one number, to which a step adds; what it answers is its own array, which goes on changing."""

    sources: Mapping[str, str] = {"sum": "counter.py:1"}

    def __init__(self) -> None:
        self.bias = np.zeros(3)

    def apply(self, gradient: float) -> Mapping[str, Array]:
        self.bias += gradient
        return {"bias": self.bias}


def counting(gradient: float, *, trains: bool = False) -> Case[Counter]:
    """A case of a step with a gradient."""

    def reference(sides: Sides[Counter]) -> Answer:
        return {"after": sides.reference("float64").apply(gradient)}

    return Case(
        rung="step",
        where=Where(subject=f"of {gradient}"),
        reference=reference,
        port=lambda sides, given: {},
        judge=lambda reference, port: [],
        trains=trains,
    )


@pytest.mark.parametrize(("trains", "second"), [(True, 20), (False, 21)])
def test_a_step_is_recorded_as_it_was_before_the_side_went_on(tmp_path: Path, trains: bool, second: float) -> None:
    """And where a case trains, the next one starts from the weights again."""

    def assign(name: str, side: Counter) -> None:
        side.bias[:] = 0

    build = {"reference": lambda dtype: Counter()}
    sides = Sides[Counter](build=build, assign=assign, inventory=lambda side: ({"model.bias": "bias"}, {}))
    cases = [counting(1, trains=trains), counting(20, trains=trains)]
    record(cases, sides, {"bias": np.zeros(3)}, tmp_path / "x.parity", about={})
    bundle = Bundle(tmp_path / "x.parity")
    found = [bundle[case.name]["after"]["bias"].tolist() for case in cases]
    assert found == [[1] * 3, [second] * 3]
    assert (bundle.rungs, len(bundle), [*bundle]) == (["step"], 2, ["step of 1", "step of 20"])
    assert np.array_equal(bundle.weights["bias"], np.zeros(3))
    assert (bundle.manifest["inventory"], bundle.manifest["sources"]) == ({"model.bias": "bias"}, Counter.sources)


def test_a_side_that_does_not_answer_leaves_no_bundle(tmp_path: Path) -> None:
    def reference(sides: Sides[Counter]) -> Answer:
        raise ValueError("out of numbers")

    sides = Sides[Counter](build={"reference": lambda dtype: Counter()}, assign=lambda name, side: None)
    with pytest.raises(UsageError, match=r"step of 1: the side does not answer \(.*out of numbers"):
        record([replace(counting(1), reference=reference)], sides, {}, tmp_path / "x.parity", about={})
    assert [*tmp_path.iterdir()] == []


ANSWER: dict[str, Any] = {
    "images": np.arange(6.0).reshape(1, 2, 3),
    "scenes": [{"boxes": [np.zeros((0, 4)), np.ones((2, 4))], "labels": []}, {}],
    "nested": {"a": {"b": [[np.array([1, 2])], "text", 5, 0.25, True, None]}},
    "keys": {"items": np.array([3]), "array": "0", "shape": [1]},
    "single": np.array(7.5),
    "changed": np.arange(6.0, dtype=np.float32).reshape(2, 3).T,
    "flags": np.array([True, False]),
    "nothing": {},
}
"""All that an answer can hold."""


def same(left: Any, right: Any) -> bool:
    """Whether two answers hold the same, arrays in their type and shape too."""
    if isinstance(left, Sampled):
        return isinstance(right, Sampled) and same(vars(left), vars(right))
    if isinstance(left, np.ndarray):
        found = isinstance(right, np.ndarray) and (left.dtype, left.shape) == (right.dtype, right.shape)
        return found and np.array_equal(left, right)
    if isinstance(left, Mapping):
        return (
            isinstance(right, Mapping) and [*left] == [*right] and all(same(left[name], right[name]) for name in left)
        )
    if isinstance(left, list):
        return isinstance(right, list) and len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and bool(left == right)


def round_trip(folder: Path, answer: Answer, *whole: str) -> Mapping[str, Any]:
    """What a bundle has of an answer."""
    writer = BundleWriter()
    writer.put("forward 1x1", "forward", answer, whole)
    writer.write(folder / "x.parity", {}, {"sources": {}, "inventory": {}, "skipped": {}, "provenance": {}})
    return Bundle(folder / "x.parity")["forward 1x1"]


def test_an_answer_comes_back_as_it_was(tmp_path: Path) -> None:
    assert same(ANSWER, round_trip(tmp_path, ANSWER))
    assert same({}, round_trip(tmp_path, {}))
    assert not same(ANSWER, ANSWER | {"single": np.array([7.5])})
    assert not same(ANSWER, {**ANSWER, "nested": {"a": {"b": []}}})


def test_large_arrays_come_back_as_samples_unless_the_port_is_fed_them(tmp_path: Path, large: "np.ndarray") -> None:
    answer = {"fed": {"p3": large}, "judged": {"p3": [large]}, "sampled": sample(large)}
    found = round_trip(tmp_path, answer, "fed")
    assert same(found["fed"], answer["fed"])
    assert same(found["judged"], {"p3": [sample(large)]})
    assert same(found["sampled"], sample(large))


def test_a_list_may_be_a_tuple_as_well_and_a_mapping_a_dataclass() -> None:
    arrays: Arrays = {}
    about = {"sources": {"p3": "x.py:1"}, "inventory": {}, "skipped": {}}
    assert same(loaded(stored(About({"p3": "x.py:1"}, {}), arrays), arrays), about)
    assert same(loaded(stored({"boxes": (np.ones(1), "x")}, arrays), arrays), {"boxes": [np.ones(1), "x"]})


def compare(reference: "np.ndarray", port: "np.ndarray") -> Record:
    kept = sample(reference)
    return compare_values(
        "forward", Where(dtype="float64", mode="cascaded"), "p3", kept, port, rounding_budget(kept, 64)
    )


def test_small_arrays_are_kept_whole_and_large_ones_as_samples_and_digests(large: "np.ndarray") -> None:
    assert isinstance(sample(np.zeros(LARGEST_WHOLE)), np.ndarray)
    kept = sample(large)
    assert isinstance(kept, Sampled)
    assert kept.values.shape == (SAMPLES + DIGESTS,)
    assert (kept.shape, kept.finite, kept.largest) == (large.shape, True, np.abs(large).max())


def test_any_single_wrong_element_shows_in_the_digests(large: "np.ndarray") -> None:
    assert compare(large, large.copy()).verdict == "equal"
    for place in np.random.default_rng(1).integers(0, large.size, 50):
        wrong = large.copy()
        wrong.reshape(-1)[place] += 1e-9
        assert compare(large, wrong).verdict == "different"


@pytest.mark.parametrize("change", [lambda x: x.swapaxes(1, 2), lambda x: x[:1], lambda x: x.astype(np.float32)])
def test_the_structure_of_samples_is_that_of_the_whole(
    large: "np.ndarray", change: Callable[["np.ndarray"], "np.ndarray"]
) -> None:
    assert compare(large, change(large)).verdict == "different"


def test_rounding_passes_in_samples_and_a_nan_does_not(large: "np.ndarray") -> None:
    signs = np.where(np.random.default_rng(2).random(large.shape) < 0.5, -np.inf, np.inf)
    assert compare(large, np.nextafter(large, signs)).verdict == "equal"
    broken = large.copy()
    broken[0, 0, 0, 0] = np.nan
    assert compare(large, broken).verdict == "different"
    assert compare(broken, large).verdict == "different"
    assert compare(broken, broken).verdict == "incomplete"


def test_the_digest_of_what_is_drawn_is_of_every_number_and_shape() -> None:
    given = ({"a": np.arange(3.0)}, [np.ones(2)], 5)
    assert digest_of(given) == digest_of(({"a": np.arange(3.0)}, [np.ones(2)], 5))
    assert digest_of(given) != digest_of(({"a": np.arange(3.0)}, [np.ones(2)], 6))
    assert digest_of(given) != digest_of(({"a": np.arange(3.0)}, [np.zeros(2)], 5))
    assert digest_of(given) != digest_of(({"b": np.arange(3.0)}, [np.ones(2)], 5))
    assert digest_of(np.ones((2, 3))) != digest_of(np.ones((3, 2)))
    assert digest_of(np.zeros(2)) != digest_of(np.zeros(2, np.int64))
    assert digest_of(([np.ones(2)], [np.ones(1)])) != digest_of(([np.ones(1)], [np.ones(2)]))
    assert digest_of((1, 23)) != digest_of((12, 3))
    assert digest_of(np.arange(1e5)) != digest_of(np.arange(1e5) + 1), "of a large array some numbers are enough"
