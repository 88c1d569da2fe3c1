"""A side that computes each answer once: for faults of the port, and turns of it, that are held against the same one.

Needs numpy alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from parity_tests.retinanet.rungs import Run
from parity_tests.retinanet.side import ReadWhenAsked, Side
from parity_tests.rule.compare import Array
from parity_tests.rule.digest import digest_of

ANSWERS = (
    *("forward", "anchors", "targets", "losses", "detections", "variables"),
    *("gradients", "backward", "apply", "train"),
)
"""What a side is asked."""

CHANGING = ("apply", "train")
"""What changes its weights; so do answers in training mode, whose statistics move."""

KEPT = 2**30
"""Bytes of answers that are kept: those that were asked for last."""


class Remembering:
    """A side whose answers are kept by the weights that it was given, what has changed them since, and the question.

    Weights are assigned, and answers repeated that change them, where the next question has no answer yet.
    """

    def __init__(self, side: Side) -> None:
        self.side, self.sources = side, side.sources
        self._state = ""
        self._put_off: list[Callable[[], object]] = []
        self._answers: dict[str, Any] = {}
        self._assigned: tuple[Mapping[str, Array], str] = {}, ""

    def begin(self, case: str) -> None:
        self.side.begin(case)

    def assign(self, variables: Mapping[str, Array]) -> None:
        if self._assigned[0] is not variables:
            self._assigned = variables, digest_of(variables)
        self._state = self._assigned[1]
        self._put_off = [partial(self.side.assign, variables)]

    def __getattr__(self, name: str) -> Any:
        if name in ANSWERS:
            return partial(self._answer, name)
        self._catch_up()
        return getattr(self.side, name)

    def _answer(self, name: str, *arguments: Any, **settings: Any) -> Any:
        question = digest_of((self._state, name, arguments, settings))
        assert question, "samples are not asked with"
        ask = partial(getattr(self.side, name), *arguments, **settings)
        changing = name in CHANGING or settings.get("training", False)
        if question not in self._answers:
            self._catch_up()
            self._keep(question, ask())
        elif changing:
            self._put_off.append(ask)
        if changing:
            self._state = question
        self._answers[question] = self._answers.pop(question)  # the last one now
        return self._answers[question]

    def _catch_up(self) -> None:
        for put_off in self._put_off:
            put_off()
        self._put_off = []

    def _keep(self, question: str, answer: Any) -> None:
        """Keep an answer, and let those go that were not asked for the longest where they are too many."""
        self._answers[question] = dict(answer) if isinstance(answer, ReadWhenAsked) else answer
        while len(self._answers) > 1 and sum(map(_bytes, self._answers.values())) > KEPT:
            del self._answers[next(iter(self._answers))]


def remembered(run: Run) -> Run:
    """The run, with a reference that computes each answer once."""

    def build(dtype: str) -> tuple[Any, Side]:
        reference, port = run.build(dtype)
        return Remembering(reference), port

    return replace(run, build=build)


def _bytes(answer: Any) -> int:
    """Those of all arrays of an answer."""
    parts = answer.values() if isinstance(answer, Mapping) else answer
    return answer.nbytes if isinstance(answer, np.ndarray) else sum(_bytes(part) for part in parts)
