"""The JUnit XML of a run: what CI systems count is what the run found."""

from xml.etree import ElementTree as Xml

from parity_tests.report import as_junit
from parity_tests.rule.record import Record, Where
from parity_tests.rule.result import Coverage, Result
from parity_tests.tests.support.results import tap, whole_result


def parsed(result: Result) -> Xml.Element:
    return Xml.fromstring(as_junit(result))


def counts(element: Xml.Element) -> tuple[int, ...]:
    return tuple(int(element.attrib[name]) for name in ("tests", "failures", "errors", "skipped"))


def test_every_comparison_is_a_test_case_in_the_suite_of_its_preset_and_rung() -> None:
    result = whole_result()
    root = parsed(result)
    assert root.tag == "testsuites"
    assert counts(root) == (len(result.records), 1, 1, 0)
    suites = {suite.attrib["name"]: counts(suite) for suite in root}
    assert suites == {
        "notebook.forward": (8, 1, 0, 0),
        "shapes": (1, 0, 1, 0),
        "detections": (1, 0, 0, 0),
        "notebook.trajectory": (3, 0, 0, 0),
    }
    case = root[0][0]
    assert (case.attrib["classname"], case.attrib["name"]) == ("notebook.forward.64x64 float64 isolated", "stem")
    assert {case.attrib["time"] for case in root.iter("testcase")} == {"0"}


def test_a_difference_is_a_failure_and_says_why() -> None:
    (failure,) = parsed(whole_result()).iter("failure")
    assert failure.attrib == {"type": "different", "message": "p6 is different"}


def test_what_could_not_be_compared_is_an_error_and_never_passes() -> None:
    (error,) = parsed(whole_result()).iter("error")
    assert error.attrib == {"type": "incomplete", "message": "no value is finite"}


def test_what_is_equal_or_tied_passes() -> None:
    tied = Record(
        rung="detections", where=Where(), name="det.set", verdict="tie", reason="a score stood at a threshold"
    )
    root = parsed(Result(records=[tap("stem"), tied]))
    assert counts(root) == (2, 0, 0, 0)
    assert all(len(case) == 0 for case in root.iter("testcase"))


def test_what_nothing_covers_is_an_error_each() -> None:
    gap = Coverage(preset="notebook", side="port", kind="taps", compared=1, missing=["p6", "p7"])
    whole = Coverage(preset="notebook", side="reference", kind="taps", compared=3)
    root = parsed(Result(records=[tap("stem")], coverage=[gap, whole]))
    assert counts(root) == (3, 0, 2, 0)
    assert [case.attrib["name"] for case in root[1]] == ["p6", "p7"]
    assert root[1][0].attrib["classname"] == "coverage.notebook.port.taps"
    assert root[1][0][0].attrib["message"] == "no comparison covers it, of the taps of the port"


def test_characters_that_xml_cannot_hold_are_left_out() -> None:
    name = "a\x00b\x1b[31mc\ud800d\uffffe<&>\"'é\U0001f600"
    record = Record(rung="forward", where=Where(data="\x08"), name=name, verdict="different", reason=name)
    root = parsed(Result(records=[record]))
    (case,) = root.iter("testcase")
    kept = "ab[31mcde<&>\"'é\U0001f600"
    assert (case.attrib["name"], case[0].attrib["message"], case.attrib["classname"]) == (kept, kept, "forward.")
    as_junit(whole_result(records=[tap(name)])).encode()


def test_a_run_without_comparisons_does_not_pass() -> None:
    assert counts(parsed(Result(records=[]))) == (1, 0, 1, 0)
