"""Cases and the sides that they ask: who is built when, what is asked once, and what is refused."""

from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from parity_tests.cli.options import plain_console
from parity_tests.ladder import memory
from parity_tests.ladder.case import DIGEST, About, Answer, Case, Sides, asked_with, check_drawn, dealt
from parity_tests.ladder.climb import ClimbProgress, climb
from parity_tests.ladder.provenance import STATUS, mapped_memory, peak_memory
from parity_tests.report.tables import module_table
from parity_tests.rule.compare import compare_values
from parity_tests.rule.errors import UsageError
from parity_tests.rule.record import ALL, Record, Where
from parity_tests.rule.result import Result
from parity_tests.tests.support.climbs import equal_anchors


@dataclass
class Number:
    """A side that has one number for its weights, and knows where it is made once it was asked."""

    name: str
    dtype: str
    value: float = 0.0
    released: bool = False
    sources: dict[str, str] = field(default_factory=dict)

    def inventory(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        return {f"{self.name}.value": "value"}, {f"{self.name}.count": "a counter"}

    def release(self) -> None:
        self.released = True

    def answer(self) -> Answer:
        self.sources["value"] = f"{self.name}.py:{self.dtype}"
        return {"value": np.array([self.value])}


NumberSides = Sides[Number]
NumberCase = Case[Number]
WEIGHTS = {"reference": 1.5, "port": 1.5}


@pytest.fixture
def built() -> list[Number]:
    """The sides that were built, in order."""
    return []


@pytest.fixture
def sides(built: list[Number]) -> NumberSides:
    """Sides that note when they are built, and get the numbers of `WEIGHTS`."""

    def build(name: str, dtype: str) -> Number:
        built.append(Number(name, dtype))
        return built[-1]

    def assign(name: str, side: Number) -> None:
        side.value = WEIGHTS[name]

    return Sides(
        build={name: partial(build, name) for name in WEIGHTS},
        assign=assign,
        inventory=Number.inventory,
        let_go=Number.release,
    )


def case(where: Where, rung: str = "forward", **settings: Any) -> NumberCase:
    """A case that compares the number of both sides."""
    given: dict[str, Any] = {
        "reference": lambda sides: sides.reference("float64").answer(),
        "port": lambda sides, given: sides.port("float64").answer(),
        "judge": partial(judge, rung, where),
    }
    return NumberCase(rung=rung, where=where, **given | settings)


def judge(rung: str, where: Where, reference: Answer, port: Answer) -> list[Record]:
    return [compare_values(rung, where, "value", reference["value"], port["value"], 0.0)]


def test_a_side_is_built_where_it_is_first_asked_for_with_the_weights(sides: NumberSides, built: list[Number]) -> None:
    assert built == []
    port = sides.port("float64")
    assert [(side.name, side.dtype, side.value) for side in built] == [("port", "float64", 1.5)]
    assert sides.port("float64") is port
    assert sides.port("float32") is not port
    assert sides.reference("float64").name == "reference"
    assert len(built) == 3


def test_weights_are_put_into_every_side_again(sides: NumberSides, built: list[Number]) -> None:
    for side in (sides.port("float64"), sides.port("float32"), sides.reference("float64")):
        side.value = 9.0
    sides.restore()
    assert [side.value for side in built] == [1.5, 1.5, 1.5]


def test_what_made_room_is_built_again_and_its_lines_are_still_known(sides: NumberSides, built: list[Number]) -> None:
    sides.port("float32").answer()
    kept = sides.port("float64")
    sides.make_room("float32")
    assert sides.about()["port"].sources == {"value": "port.py:float32"}
    assert sides.port("float64") is kept
    assert sides.port("float32") is not built[0]
    assert sides.port("float32").value == 1.5


def test_what_is_told_of_sides_is_of_those_that_were_built(sides: NumberSides) -> None:
    assert sides.about() == {}
    sides.port("float64").answer()
    assert sides.about() == {
        "port": About({"value": "port.py:float64"}, {"port.value": "value"}, {"port.count": "a counter"})
    }


def test_a_reference_that_was_recorded_is_told_of_and_not_built(sides: NumberSides, built: list[Number]) -> None:
    recorded = About({"value": "elsewhere.py:1"}, {"recorded": "value"})
    alone = NumberSides(build=sides.build, assign=sides.assign, recorded=recorded)
    assert alone.about() == {"reference": recorded}
    alone.port("float64")
    assert [*alone.about()] == ["reference", "port"]
    assert [side.name for side in built] == ["port"]


def test_released_sides_are_let_go_and_built_anew(sides: NumberSides, built: list[Number]) -> None:
    sides.port("float64"), sides.reference("float32")
    sides.release()
    assert [side.released for side in built] == [True, True]
    assert not sides.port("float64").released


SIZES = (Where(size=(32, 32)), Where(size=(64, 32)))


def test_a_dictionary_of_answers_asks_the_reference_once(sides: NumberSides) -> None:
    asked: list[str] = []

    def reference(name: str, sides: NumberSides) -> Answer:
        asked.append(name)
        return sides.reference("float64").answer()

    cases = [case(where, reference=partial(reference, where.text)) for where in SIZES]
    answers: dict[str, Answer] = {}
    first = climb(cases, sides, answers=answers)
    assert climb(cases, sides, answers=answers) == first
    assert asked == ["32x32", "64x32"]
    assert [*answers] == ["forward 32x32", "forward 64x32"] == [each.name for each in cases]
    climb(cases, sides)
    assert asked == ["32x32", "64x32"] * 2


def test_the_answers_that_are_given_are_what_the_port_is_held_against(sides: NumberSides, built: list[Number]) -> None:
    answers = {
        f"forward {where.text}": {"value": np.array([number])} for where, number in zip(SIZES, (1.5, 2.0), strict=True)
    }
    records = climb([case(where) for where in SIZES], sides, answers=answers)
    assert [record.verdict for record in records] == ["equal", "different"]
    assert {side.name for side in built} == {"port"}


def test_answers_that_cannot_be_added_to_leave_a_case_incomplete(sides: NumberSides, built: list[Number]) -> None:
    [record] = climb([case(SIZES[0])], sides, answers=MappingProxyType({}))
    assert (record.verdict, record.name) == ("incomplete", ALL)
    assert built == []


def test_what_fails_to_run_is_incomplete_and_the_next_case_is_climbed(sides: NumberSides) -> None:
    def fails(sides: NumberSides, given: Answer) -> Answer:
        raise RuntimeError("out of memory")

    records = climb([case(SIZES[0], port=fails), case(SIZES[1])], sides)
    assert [(record.where, record.name, record.verdict, record.reason) for record in records] == [
        (SIZES[0], ALL, "incomplete", "RuntimeError: out of memory"),
        (SIZES[1], "value", "equal", ""),
    ]
    console = plain_console()
    with console.capture() as printed:
        console.print(module_table(records))
    assert f"shapes at {SIZES[1].extent}, " in printed.get()


@pytest.mark.parametrize(("trains", "left"), [(True, 1.5), (False, 9.0)])
def test_the_weights_are_put_back_after_a_case_that_trains_even_where_it_fails(
    trains: bool, left: float, sides: NumberSides
) -> None:
    def train(sides: NumberSides, given: Answer) -> Answer:
        sides.port("float64").value = 9.0
        raise RuntimeError("diverged")

    climb([case(SIZES[0], port=train, trains=trains)], sides)
    assert sides.port("float64").value == left


def test_progress_is_told_before_each_case(sides: NumberSides) -> None:
    heard: list[ClimbProgress] = []
    climb([case(where) for where in SIZES], sides, preset="notebook", report=heard.append)
    assert heard == [ClimbProgress("notebook", "forward 32x32", 0, 2), ClimbProgress("notebook", "forward 64x32", 1, 2)]


DRAWN: dict[str, Any] = {"images": np.arange(6.0).reshape(2, 3), "labels": [np.array([1, 2])], "rate": 1e-3}

OTHERWISE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another number": lambda drawn: drawn | {"images": drawn["images"] + np.eye(2, 3)},
    "another shape": lambda drawn: drawn | {"images": drawn["images"].reshape(3, 2)},
    "another precision": lambda drawn: drawn | {"images": drawn["images"].astype(np.float32)},
    "another name": lambda drawn: {"picture": drawn["images"], "labels": drawn["labels"], "rate": drawn["rate"]},
    "one more array": lambda drawn: drawn | {"labels": [*drawn["labels"], np.array([3])]},
    "another rate": lambda drawn: drawn | {"rate": 3e-4},
}


@pytest.mark.parametrize("change", OTHERWISE)
def test_an_answer_to_other_numbers_is_refused(change: str) -> None:
    answer = asked_with(DRAWN)
    assert answer.keys() == {DIGEST}
    check_drawn(answer, {name: DRAWN[name] for name in reversed(DRAWN)})
    with pytest.raises(UsageError, match=r"asked with other numbers; record it again with this version$"):
        check_drawn(answer, OTHERWISE[change](DRAWN))


def test_a_case_that_refuses_an_answer_ends_the_climb(sides: NumberSides) -> None:
    def port(sides: NumberSides, given: Answer) -> Answer:
        check_drawn(given, DRAWN)
        return sides.port("float64").answer()

    stale = {"forward 32x32": {"value": np.array([1.5])} | asked_with(0)}
    with pytest.raises(UsageError, match="asked with other numbers"):
        climb([case(SIZES[0], port=port)], sides, answers=stale)


def test_cases_that_presets_share_are_dealt_and_all_others_are_climbed_with_each() -> None:
    common, first, second = (
        case(where, shared=shared) for where, shared in zip((*SIZES, Where(subject="SGD")), (None, 0, 1), strict=True)
    )
    cases = [common, first, second]
    assert dealt(cases, (0, 1)) == (cases, [])
    assert dealt(cases, (0, 2)) == ([common, first], ["forward SGD"])
    assert dealt(cases, (1, 2)) == ([common, second], ["forward 64x32"])


@pytest.mark.parametrize("presets", [1, 2, 3])
def test_every_case_is_dealt_to_one_preset_whatever_their_number(presets: int) -> None:
    cases = [case(Where(subject=str(shared)), shared=shared) for shared in (0, 0, 1, 2)]
    hands = [dealt(cases, (which, presets)) for which in range(presets)]
    assert sorted(each.where.subject for mine, _ in hands for each in mine) == ["0", "0", "1", "2"]
    assert all(len(mine) + len(left) == 4 for mine, left in hands)


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (Where(size=(32, 32)), "32x32"),
        (Where(size=(33, 64)), "33x64"),
        (Where(subject="fresh"), "fresh"),
        (Where(size=(96, 160), dtype="float64", mode="isolated"), "96x160 float64 isolated"),
        (Where(size=(128, 128), dtype="float32", mode="cascaded"), "128x128 float32 cascaded"),
        (Where(size=(96, 160), dtype="float64", mode="training"), "96x160 float64 training"),
        (Where(dtype="float64", subject="weights"), "float64 weights"),
        (Where(size=(320, 96), dtype="float32"), "320x96 float32"),
        (
            Where(size=(128, 128), data="batch of 1 without boxes", dtype="float64"),
            "128x128 batch of 1 without boxes float64",
        ),
        (
            Where(size=(128, 128), data="batch of 4, outputs near the truth", dtype="float32"),
            "128x128 batch of 4, outputs near the truth float32",
        ),
        (Where(size=(32, 64), dtype="float64", mode="inference"), "32x64 float64 inference"),
        (Where(dtype="float64", subject="SGD with momentum"), "float64 SGD with momentum"),
        (Where(dtype="float64", mode="training"), "float64 training"),
        (Where(data="pictures", dtype="float64"), "pictures float64"),
        (Where(inputs=((4, 16, 16, 3), (4, 2)), dtype="float64", mode="isolated"), "4x16x16x3+4x2 float64 isolated"),
        (
            Where(size=(128, 128), dtype="float64", mode="cascaded", columns=("jax", "port")),
            "128x128 float64 cascaded, jax and port",
        ),
    ],
)
def test_the_fields_say_what_the_words_of_version_2_said(where: Where, words: str) -> None:
    assert where.text == words


def test_memory_is_looked_for_only_where_a_process_has_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    held, looked = [1], list[int]()
    monkeypatch.setattr(memory, "memory_held", lambda: held[0])
    monkeypatch.setattr("gc.collect", lambda: looked.append(held[0]))
    room = memory.Room()
    grown = [1 + count * memory.GROWN for count in (0, 1, 1, 2)]
    for now in (*grown[:1], memory.GROWN, *grown[1:]):
        held[0] = now
        room.make()
    assert looked == [grown[1], grown[3]]
    held[0] = 0  # a system that does not say
    room.make()
    assert looked[-1] == 0


def test_what_processes_share_is_counted_once() -> None:
    climbed = equal_anchors(Namespace(preset=["notebook"]), "notebook", lambda progress: None)
    found = [replace(climbed, peak=peak * 2**30, mapped=2**30) for peak in (3, 2)]
    assert Result.of_presets(found, seconds=1.0, settings={}).cost["peak_gib"] == 4
    assert 0 < mapped_memory() < peak_memory() or not STATUS.exists()
