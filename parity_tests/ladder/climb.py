"""Cases one after the other: the reference's answer, the port's, and the records of both."""

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from functools import partial
from typing import NamedTuple

from parity_tests.ladder.case import Answer, Case, S, Sides
from parity_tests.ladder.memory import Room
from parity_tests.rule.compare import records_of
from parity_tests.rule.record import Record

Answers = Mapping[str, Answer]
"""The reference's answers by the names of cases: those of a bundle, or a dictionary into which new ones are put."""


class ClimbProgress(NamedTuple):
    """How far a preset has come: the case that begins, how many are done, and how many there are."""

    preset: str
    case: str
    done: int
    total: int


Report = Callable[[ClimbProgress], None]


def climb(
    cases: Sequence[Case[S]],
    sides: Sides[S],
    *,
    preset: str = "",
    answers: Answers | None = None,
    report: Report = lambda progress: None,
) -> list[Record]:
    """The records of all cases, in order; what fails to run is kept as incomplete.

    Args:
        cases: what is compared.
        sides: reference and port.
        preset: what progress is told of.
        answers: those of the reference that are known; a dictionary keeps what is asked.
        report: hears how far it has come.

    Raises:
        InputError: what a side refuses.
    """
    records, room = list[Record](), Room()
    for done, case in enumerate(cases):
        report(ClimbProgress(preset, case.name, done, len(cases)))
        records += records_of(case.rung, case.where, partial(compared, case, sides, answers, room))
        room.make()
    return records


def compared(case: Case[S], sides: Sides[S], answers: Answers | None = None, room: Room | None = None) -> list[Record]:
    """The records of one case; room is made before the port answers, too."""
    try:
        reference = answer_of_reference(case, sides, {} if answers is None else answers)
        if room:
            room.make()
        return case.judge(reference, case.port(sides, reference))
    finally:
        if case.trains:
            sides.restore()


def answer_of_reference(case: Case[S], sides: Sides[S], answers: Answers) -> Answer:
    """The answer as it is known; where it is not, the reference is asked, and the answer kept."""
    if isinstance(answers, MutableMapping) and case.name not in answers:
        answers[case.name] = case.reference(sides)
    return answers[case.name]
