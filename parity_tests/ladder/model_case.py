"""Cases of two models, and the calls that their answers hold. Needs numpy alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from parity_tests.ladder.case import Answer, Case
from parity_tests.ladder.comparison import ModelCase, ModelSides
from parity_tests.rule.record import Record, Where
from parity_tests.sides.side import Call, Calls, Coarse


def model_case(
    rung: str,
    where: Where,
    reference: Callable[[ModelSides], Answer],
    port: Callable[[ModelSides, Answer], Answer],
    judge: Callable[[Answer, Answer], list[Record]],
    whole: Sequence[str],
    *,
    trains: bool = False,
) -> ModelCase:
    """A case of two models."""
    return Case(rung=rung, where=where, reference=reference, port=port, judge=judge, whole=whole, trains=trains)


def calls_of(answer: Answer, part: str) -> Calls:
    """The calls in a part of an answer; one that was recorded has their fields by name."""
    calls: Mapping[str, Any] = answer[part]
    return {name: call if isinstance(call, Call) else _call(call) for name, call in calls.items()}


def _call(fields: Mapping[str, Any]) -> Call:
    by_input = {int(i): gradient for i, gradient in fields["input_gradients"].items()}
    return Call(**{**fields, "input_gradients": by_input, "coarse": Coarse(*fields.get("coarse", ()))})
