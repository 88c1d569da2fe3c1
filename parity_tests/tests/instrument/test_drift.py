"""What moved between two runs is shown, and a verdict that changed is an exit code."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from parity_tests.cli import main
from parity_tests.report import as_json
from parity_tests.rule.drift import drift
from parity_tests.rule.record import Record
from parity_tests.rule.result import Coverage, Result
from parity_tests.tests.support.results import ISOLATED


def record(name: str, used: float = 0.1, **values: Any) -> Record:
    settings: dict[str, Any] = {"rung": "forward", "where": ISOLATED, "verdict": "equal"} | values
    return Record(name=name, difference=used, budget=1.0, scale=1.0, **settings)


def run(records: Sequence[Record], **values: Any) -> Result:
    return Result(records=records, cost={"seconds": 1.0, "peak_gib": 1.0}, **values)


def test_a_run_has_not_moved_from_itself() -> None:
    same = run([record("p5"), record("p6")])
    found = drift(same, same)
    assert (found.changed, found.moved, found.compared, found.appeared) == ([], [], 2, 0)
    assert found.provenance == {}
    assert found.exit_code == 0


@pytest.mark.parametrize(("new", "moved"), [(0.19, False), (0.21, True), (0.06, False), (0.04, True)])
def test_a_margin_has_moved_where_it_doubled_or_halved(new: float, moved: bool) -> None:
    found = drift(run([record("p5", 0.1)]), run([record("p5", new)]))
    assert (len(found.moved), found.exit_code) == (int(moved), 0)


def test_margins_that_nobody_would_see_have_not_moved() -> None:
    assert not drift(run([record("p5", 1e-5)]), run([record("p5", 9e-3)])).moved


def test_a_margin_that_was_nothing_has_moved_once_it_is_seen() -> None:
    assert drift(run([record("p5", 0.0)]), run([record("p5", 0.99)])).moved


def test_of_several_comparisons_of_one_name_each_is_held_against_its_own() -> None:
    twice = [record("p5"), record("p5")]
    broken = [record("p5", 2.0, verdict="different"), record("p5")]
    assert drift(run(twice), run(broken)).exit_code == 1


def test_a_run_that_covers_less_has_changed() -> None:
    gap = Coverage(preset="", side="port", kind="taps", compared=1, missing=["p7"])
    found = drift(run([record("p5")]), run([record("p5")], coverage=[gap]))
    assert (found.verdicts, found.exit_code) == (("equal", "incomplete"), 1)


def test_the_farthest_move_is_shown_first() -> None:
    old = run([record("p5", 0.1), record("p6", 0.1), record("p7", 0.4)])
    new = run([record("p5", 0.3), record("p6", 0.9), record("p7", 0.08)])
    assert [move.key[-1] for move in drift(old, new).moved] == ["p6", "p7", "p5"]


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ([record("p5")], [record("p5", 2.0, verdict="different")], 1),
        ([record("p5", 2.0, verdict="different")], [record("p5")], 1),
        ([record("p5")], [record("p5", verdict="tie")], 1),
        ([record("p5"), record("p6")], [record("p5")], 1),
        ([record("p5")], [record("p5"), record("p6")], 0),
        ([record("p5")], [record("p5"), record("p6", verdict="incomplete")], 1),
        ([record("p5", preset="notebook")], [record("p5", preset="keras_io")], 1),
    ],
    ids=["breaks", "mended", "becomes a tie", "gone", "new", "new and incomplete", "of another preset"],
)
def test_a_verdict_that_changed_is_exit_1(old: list[Record], new: list[Record], changed: int) -> None:
    found = drift(run(old), run(new))
    assert (len(found.changed), found.exit_code) == (changed, min(changed, 1))


def test_versions_and_settings_that_differ_are_named() -> None:
    old = run([record("p5")], provenance={"versions": {"torch": "2.14.0", "keras": "3.15.1"}}, settings={"seed": 0})
    new = run([record("p5")], provenance={"versions": {"torch": "2.14.1", "keras": "3.15.1"}}, settings={"seed": 1})
    assert drift(old, new).provenance == {"versions torch": ("2.14.0", "2.14.1"), "settings seed": ("0", "1")}


def test_the_command_shows_both_and_ends_with_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / "old.json", tmp_path / "new.json"]
    new = [record("p5", 0.4), record("p6", 3.0, verdict="different")]
    files[0].write_text(as_json(run([record("p5"), record("p6")], provenance={"commit": "a"})))
    files[1].write_text(as_json(run(new, provenance={"commit": "b"})))
    assert main(["diff", *map(str, files)]) == 1
    output = capsys.readouterr().out
    assert output.startswith("commit: a -> b\n")
    assert "different" in output
    assert "10.0%" in output
    assert "40.0%" in output
    assert output.splitlines()[-1] == "1 verdict changed, 1 margin moved in 2 comparisons"
    assert main(["diff", str(files[0]), str(files[0])]) == 0


def test_a_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "nowhere.json", "nowhere.json"]) == 2
    assert capsys.readouterr().err == "retinanet-parity: nowhere.json: no such file or directory\n"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "not JSON"),
        ("[]", "holds 'list', and must be the format 'retinanet-parity 3'"),
        ('{"format": "retinanet-parity 1"}', "holds 'retinanet-parity 1', and must be"),
        ('{"format": "retinanet-parity 2"}', "is not as 'retinanet-parity 2' was written (KeyError: 'records')"),
        ('{"format": "retinanet-parity 3"}', "$: 'verdict' is a required property"),
    ],
)
def test_what_is_no_run_is_refused_in_a_sentence(
    content: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old.json").write_text(content)
    assert main(["diff", str(tmp_path / "old.json"), str(tmp_path / "nowhere.json")]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
