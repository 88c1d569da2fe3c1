"""A side that remembers answers as the side itself would, whatever was asked of it before."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from parity_tests.retinanet import remembering
from parity_tests.retinanet.remembering import Remembering
from parity_tests.retinanet.side import ReadWhenAsked
from parity_tests.rule.compare import Array


class Counter:
    """A side of one weight, to which a step adds; it writes down what it has computed."""

    sources: Mapping[str, str] = {}

    def __init__(self) -> None:
        self.weight, self.computed = 0.0, list[str]()

    def begin(self, case: str) -> None:
        self.computed.append(f"begin {case}")

    def assign(self, variables: Mapping[str, Array]) -> None:
        self.weight = float(variables["weight"][0])

    def variables(self) -> dict[str, Array]:
        return {"weight": self._computed("variables", self.weight)}

    def forward(self, images: Array, *, training: bool = False) -> dict[str, Array]:
        self.weight += training
        return {"outputs": self._computed("forward", self.weight + images)}

    def apply(self, gradient: float) -> Mapping[str, Array]:
        self.weight += gradient
        return ReadWhenAsked({"weight": lambda: self._computed("apply", self.weight)})

    def _computed(self, name: str, value: Any) -> Array:
        self.computed.append(name)
        return np.array(value)


IMAGES = np.ones(2)
VARIABLES = {"weight": np.array([10.0])}

QUESTIONS: dict[str, Callable[[Any], Any]] = {
    "assign": lambda side: side.assign(VARIABLES),
    "assign others": lambda side: side.assign({"weight": np.array([20.0])}),
    "variables": lambda side: side.variables()["weight"],
    "forward": lambda side: side.forward(IMAGES)["outputs"],
    "forward of others": lambda side: side.forward(IMAGES + 1)["outputs"],
    "training": lambda side: side.forward(IMAGES, training=True)["outputs"],
    "step": lambda side: side.apply(2.0)["weight"],
    "weight": lambda side: side.weight,
}


@pytest.mark.parametrize("kept", [0, remembering.KEPT])
def test_it_answers_as_the_side_itself(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembering, "KEPT", kept)
    side: Any = Counter()
    remembered = Remembering(side)
    alone = Counter()
    rng = np.random.default_rng(0)
    for name in rng.choice([*QUESTIONS], 1000):
        answers = [QUESTIONS[name](asked) for asked in (alone, remembered)]
        assert np.array_equal(*answers), name


def test_what_was_asked_before_is_not_computed_again() -> None:
    side: Any = Counter()
    remembered = Remembering(side)
    for name in ("assign", "forward", "step", "variables", "assign", "forward", "step", "variables"):
        QUESTIONS[name](remembered)
    assert side.computed == ["forward", "apply", "variables"]
    assert QUESTIONS["forward"](remembered) == pytest.approx(13.0)
    assert side.computed[-1] == "forward"


def test_the_oldest_answers_are_let_go_where_they_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembering, "KEPT", 2 * IMAGES.nbytes)
    side: Any = Counter()
    remembered = Remembering(side)
    for name in ("forward", "forward of others", "forward", "training", "forward"):
        QUESTIONS[name](remembered)
    assert side.computed == ["forward"] * 4
