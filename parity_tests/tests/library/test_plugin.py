"""`pytest --parity-json FILE` and the fixture `parity`, in test suites of their own."""

from typing import Any

import pytest

import parity_tests.plugin as plugin
from parity_tests.report import AS, read_json
from parity_tests.rule.record import EXIT_CODES
from parity_tests.rule.result import Result
from parity_tests.tests.support.paths import ROOT

pytest_plugins = "pytester"

RESULTS = """
    from parity_tests.rule.record import Record, Where
    from parity_tests.rule.result import Coverage, Result

    def result(verdict, name="conv", missing=()):
        record = Record(
            rung="forward", where=Where(inputs=((2, 3),), dtype="float64", mode="isolated"), name=name, verdict=verdict,
            reference_shape=(2, 3), port_shape=(2, 3), difference=0.0, scale=1.0, budget=1.0, reason="as planted",
        )
        covered = Coverage(preset="", side="port", kind="taps", compared=1, missing=missing)
        return Result(records=[record], coverage=[covered], warnings=["seen"], cost={"seconds": 1.0})
"""
"""Results without models, which need no framework."""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A test suite elsewhere that asks for the plugin."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # those of others take a second
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    pytester.makepyfile(results=RESULTS)
    pytester.makeini("[pytest]\nfilterwarnings = error\naddopts = -p no:cacheprovider -p parity_tests.plugin")
    return pytester


def name_of(part: Any) -> str:
    """The name of the test that a record or a coverage is of, without that of its file."""
    file, _, name = part.preset.rpartition("::")
    assert file.endswith(".py")
    return str(name)


def written(suite: pytest.Pytester) -> Result:
    return read_json(suite.path / "parity.json")


def test_a_suite_that_does_not_compare_loads_nothing(suite: pytest.Pytester) -> None:
    suite.makepyfile("""
        import sys

        def test_nothing():
            assert "parity_tests.plugin" in sys.modules
            heavy = {"torch", "keras", "tensorflow", "numpy", "rich", "parity_tests.rule.compare"}
            assert not heavy & set(sys.modules)
    """)
    suite.runpytest_subprocess().assert_outcomes(passed=1)


def test_two_modules_are_compared_by_the_fixture_and_a_difference_fails_the_test(suite: pytest.Pytester) -> None:
    suite.makepyfile("""
        import numpy as np
        import torch
        from torch import nn

        INPUTS = np.random.default_rng(0).normal(size=(2, 3))

        class Port(nn.Module):
            def __init__(self, factor):
                super().__init__()
                self.dense, self.factor = nn.Linear(3, 4), factor

            def forward(self, x):
                return self.factor * self.dense(x)

        def test_right(parity):
            assert parity.compare(Port(1), Port(1), INPUTS).verdict == "equal"

        def test_wrong(parity):
            parity.compare(Port(1), Port(2), INPUTS, dtypes=["float64"])
    """)
    run = suite.runpytest_subprocess("--parity-json=parity.json")
    run.assert_outcomes(passed=1, failed=1)
    run.stdout.fnmatch_lines(
        [
            "E*AssertionError: different: output is where it starts (isolated * at 2x3)*",
            "E*different forward 2x3 float64 cascaded, output: difference *",
        ]
    )
    run.stdout.no_fnmatch_line("*plugin.py*")
    result = written(suite)
    assert [*dict.fromkeys(name_of(record) for record in result.records)] == ["test_right", "test_wrong"]
    assert {name_of(record) for record in result.records if record.verdict == "different"} == {"test_wrong"}
    assert (result.verdict, result.reference, result.port) == ("different", "Port (torch)", "Port (torch)")
    assert result.provenance["versions"]["torch"]


def test_all_results_of_a_session_are_in_its_file(suite: pytest.Pytester) -> None:
    suite.makepyfile("""
        import pytest
        from results import result

        @pytest.mark.parametrize("name", ["a", "b"])
        def test_equal(parity, name):
            parity.check(result("equal", name))
            parity.check(result("equal", name + "2"))

        def test_left_out(parity):
            parity.check(result("equal", missing=["conv9"]))
    """)
    run = suite.runpytest_subprocess("--parity-json=parity.json")
    run.assert_outcomes(passed=2, failed=1)
    run.stdout.fnmatch_lines(
        [
            "E*AssertionError: incomplete: 1 name was not compared, first conv9 (taps of the port)",
            "E*not compared, taps of the port: conv9",
        ]
    )
    result = written(suite)
    assert [(name_of(record), record.name) for record in result.records] == [
        *(("test_equal[a]", "a"), ("test_equal[a]", "a2"), ("test_equal[b]", "b"), ("test_equal[b]", "b2")),
        ("test_left_out", "conv"),
    ]
    assert {name_of(covered) for covered in result.coverage if covered.missing} == {"test_left_out"}
    assert (result.verdict, result.cost["seconds"], len(result.warnings)) == ("incomplete", 5.0, 5)


def test_processes_of_xdist_send_what_they_have_compared(suite: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    suite.makepyfile("""
        import pytest
        from results import result

        @pytest.mark.parametrize("name", "abcd")
        def test_it(parity, name, worker_id):
            assert worker_id.startswith("gw")
            parity.check(result("equal" if name != "c" else "different", name))
    """)
    run = suite.runpytest_subprocess("--parity-json=parity.json", "-p", "xdist", "-n2")
    run.assert_outcomes(passed=3, failed=1)
    result = written(suite)
    assert sorted((name_of(record), record.name) for record in result.records) == [
        (f"test_it[{name}]", name) for name in "abcd"
    ]
    assert result.verdict == "different"


def test_a_session_without_comparisons_leaves_no_file_of_an_earlier_one(suite: pytest.Pytester) -> None:
    (suite.path / "parity.json").write_text("{}")
    suite.makepyfile("def test_nothing(): pass")
    suite.runpytest_subprocess("--parity-json=parity.json").assert_outcomes(passed=1)
    assert (written(suite).verdict, EXIT_CODES[written(suite).verdict]) == ("incomplete", 3)


@pytest.fixture
def inline(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A test suite in this process, with this plugin alone."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini("[pytest]\naddopts = -p parity_tests.plugin")
    pytester.makepyfile("def test_nothing(): pass")
    return pytester


def test_a_file_that_cannot_be_written_is_refused_before_a_test_runs(inline: pytest.Pytester) -> None:
    run = inline.runpytest_inprocess("--parity-json=nowhere/parity.json")
    assert run.ret is pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines(["ERROR: --parity-json: nowhere/parity.json lies in a folder that does not exist"])


def test_a_page_is_written_where_there_is_one(inline: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(AS, "html", lambda result: f"<p>{result.verdict}</p>")
    assert inline.runpytest_inprocess("--parity-html=page.html").ret == 0
    assert (inline.path / "page.html").read_text() == "<p>incomplete</p>"
    monkeypatch.setattr(plugin, "find_spec", lambda library: library != "jinja2" or None)
    run = inline.runpytest_inprocess("--parity-html=other.html")
    assert run.ret is pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines(["ERROR: --parity-html: jinja2 is not installed, and reports are written with it"])
