"""Where two sides part: named, with what only inherits it."""

from dataclasses import replace
from typing import Any

import pytest

from parity_tests.retinanet.names import tag_of
from parity_tests.rule.divergence import divergence
from parity_tests.rule.record import Record, Verdict, Where
from parity_tests.rule.result import Coverage, Result
from parity_tests.tests.support.results import CASCADED, ISOLATED

AT_512, AT_32 = replace(ISOLATED, size=(512, 512)), replace(ISOLATED, size=(32, 64))


def record(rung: str, where: Where, name: str, verdict: Verdict = "different", **values: Any) -> Record:
    reason, tag = "they differ", tag_of(name)
    return Record(rung=rung, where=where, name=name, tag=tag, verdict=verdict, reason=reason, **values)


def p6_is_wrong() -> list[Record]:
    """What a wrong P6 leaves in the forward rung at one size."""
    isolated, cascaded = AT_512, replace(AT_512, mode="cascaded")
    return [
        record("forward", isolated, "p5", "equal"),
        record("forward", isolated, "p6", difference=41.0, budget=3.7e-13),
        record("forward", isolated, "p7", "equal"),
        record("forward", cascaded, "p5", "equal"),
        *(record("forward", cascaded, name) for name in ("p6", "p7", "cls.p6.0", "cls.p6.1", "box.p6.0")),
    ]


def test_the_summary_names_where_it_starts_and_what_inherits_it() -> None:
    assert Result(records=p6_is_wrong()).summary == (
        "different: p6 is where it starts (isolated 4.1e+01, budget 3.7e-13 at 512x512); "
        "p7, cls.p6, box.p6 only inherit it; 6 of 9 comparisons differ"
    )


def test_of_several_presets_the_summary_names_the_one() -> None:
    other = Record(preset="keras_io", rung="forward", where=Where(), name="p6", verdict="equal")
    wrong = [Record(**{**vars(each), "preset": "notebook"}) for each in p6_is_wrong()]
    assert "p6 is where it starts (notebook, isolated 4.1e+01" in Result(records=[*wrong, other]).summary


def test_modules_that_are_wrong_by_themselves_do_not_inherit() -> None:
    wrong_too = record("forward", AT_512, "cls.p6.1", difference=1.0, budget=1e-13)
    summary = Result(records=[*p6_is_wrong(), wrong_too]).summary
    assert "and by themselves also cls.p6; p7, box.p6 only inherit it" in summary


def test_what_differs_at_another_size_is_not_taken_for_an_heir() -> None:
    other = record("forward", CASCADED, "c5")
    parting = divergence([*p6_is_wrong(), other])
    assert parting is not None
    assert [heir.name for heir in parting.inherited] == ["p7", "cls.p6.0", "cls.p6.1", "box.p6.0"]


def test_an_isolated_module_tells_more_than_whatever_comes_before_it_in_the_report() -> None:
    records = [
        record("parameters", Where(subject="fresh"), "fpn/conv_c6_3x3/kernel"),
        record("forward", CASCADED, "c5"),
        record("forward", replace(ISOLATED, dtype="float32"), "p5"),
        record("forward", ISOLATED, "p6"),
        record("backward", ISOLATED, "p7"),
    ]
    found = [divergence(records[: i + 1]) for i in range(len(records))]
    assert [parting.first.name if parting else "" for parting in found] == [
        *("fpn/conv_c6_3x3/kernel", "c5", "p5", "p6", "p6")
    ]
    assert divergence([record("forward", ISOLATED, "p6", "equal")]) is None


def test_a_weight_carried_over_wrongly_is_named_and_not_the_modules_that_run_with_it() -> None:
    shape, weights = (7, 7, 3, 64), Where(dtype="float64", subject="weights")
    carried = record("forward", weights, "fpn/conv_c6_3x3/kernel", reference_shape=shape, port_shape=shape)
    found = divergence([*p6_is_wrong(), carried])
    assert found is not None
    assert found.first is carried


@pytest.mark.parametrize("cause", ["forward", "anchors", "targets", "losses"])
def test_what_causes_a_wrong_gradient_is_named_and_not_the_gradient(cause: str) -> None:
    records = [
        record("gradients", replace(AT_32, mode="inference"), "fpn/conv_c6_3x3/kernel"),
        record("backward", AT_32, "outputs", difference=1.0, budget=1e-15),
        record("detections", ISOLATED, "det.set"),
    ]
    found = divergence([*records, record(cause, ISOLATED, "the cause")])
    assert found is not None
    assert found.first.name == "the cause"
    assert divergence(records) is not None
    assert divergence([records[0], records[2]]) == (records[0], [records[0]], [])


def test_a_difference_of_the_backward_pass_says_so() -> None:
    wrong = record("backward", AT_32, "p6", difference=1.0, budget=1e-15)
    assert "the gradient by p6 is where it starts (backward, isolated 1.0e+00" in Result(records=[wrong]).summary


def test_what_was_not_covered_is_never_green() -> None:
    equal = [record("forward", ISOLATED, "p6", "equal")]
    gap = Coverage(preset="", side="port", kind="taps", compared=1, missing=["p7", "p8"])
    skipped = Coverage(preset="", side="port", kind="taps", compared=1, skipped={"p7": "a reason"})
    assert (Result(records=equal, coverage=[skipped]).exit_code, Result(records=equal).exit_code) == (0, 0)
    assert Result(records=equal, coverage=[gap]).exit_code == 3
    assert Result(records=equal, coverage=[gap]).summary == (
        "incomplete: 2 names were not compared, first p7 (taps of the port)"
    )
    assert Result(records=p6_is_wrong(), coverage=[gap]).exit_code == 1
