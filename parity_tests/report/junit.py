"""A run as JUnit XML, which CI systems show: a suite a preset and rung, a test case a comparison.

A difference is a *failure*: it was compared, and it is not equal. What could not be compared is an *error*, as is a
name that nothing covers: the test itself did not happen. A skipped test would be green in most systems, and incomplete
never is. A tie passes. How long a comparison took is not known; `time` is 0.
"""

import re
from collections.abc import Sequence
from xml.etree import ElementTree as Xml

from parity_tests.rule.record import Record
from parity_tests.rule.result import Coverage, Result

FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold in any spelling."""

OUTCOMES = {"different": "failure", "incomplete": "error"}
"""What a verdict is in JUnit; others pass."""


def as_junit(result: Result) -> str:
    """The run as XML: suites with their counts, and what covers nothing in a suite of its own."""
    root = Xml.Element("testsuites", name="retinanet-parity")
    for (preset, rung), records in _suites(result.records).items():
        suite = Xml.SubElement(root, "testsuite", name=_clean(".".join(filter(None, (preset, rung)))))
        for record in records:
            _add_comparison(suite, record)
    if gaps := [coverage for coverage in result.coverage if coverage.missing]:
        suite = Xml.SubElement(root, "testsuite", name="coverage")
        for coverage in gaps:
            _add_gaps(suite, coverage)
    if not result.records and not result.is_ablation:
        suite = Xml.SubElement(root, "testsuite", name="nothing")
        _end(_case(suite, "nothing", "comparisons"), "error", "incomplete", "nothing was compared")
    for element in (*root, root):
        _count(element)
    Xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"


def _suites(records: Sequence[Record]) -> dict[tuple[str, str], list[Record]]:
    suites: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        suites.setdefault((record.preset, record.rung), []).append(record)
    return suites


def _add_comparison(suite: Xml.Element, record: Record) -> None:
    place = ".".join(filter(None, (record.preset, record.rung, record.where.text)))
    case = _case(suite, place, record.name)
    if outcome := OUTCOMES.get(record.verdict):
        _end(case, outcome, record.verdict, record.reason)


def _add_gaps(suite: Xml.Element, coverage: Coverage) -> None:
    place = ".".join(filter(None, ("coverage", coverage.preset, coverage.side, coverage.kind)))
    for name in coverage.missing:
        reason = f"no comparison covers it, of the {coverage.kind} of the {coverage.side}"
        _end(_case(suite, place, name), "error", "incomplete", reason)


def _case(suite: Xml.Element, place: str, name: str) -> Xml.Element:
    return Xml.SubElement(suite, "testcase", classname=_clean(place), name=_clean(name), time="0")


def _end(case: Xml.Element, outcome: str, verdict: str, reason: str) -> None:
    Xml.SubElement(case, outcome, type=verdict, message=_clean(reason))


def _count(element: Xml.Element) -> None:
    """Write the numbers of tests, failures and errors within a suite, or within all of them."""
    for name, tag in {"tests": "testcase", "failures": "failure", "errors": "error"}.items():
        element.set(name, str(sum(1 for _ in element.iter(tag))))
    element.set("skipped", "0")
    element.set("time", "0")


def _clean(text: str) -> str:
    return FORBIDDEN.sub("", text)
