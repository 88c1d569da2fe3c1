"""The JSON of a run: it keeps its published schema, which notices every change, and it is read again as it was."""

import json
from copy import deepcopy
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from parity_tests import report
from parity_tests.report import as_json, read_json
from parity_tests.report.json_file import FORMAT
from parity_tests.rule.errors import InputError
from parity_tests.rule.record import Record
from parity_tests.rule.result import Coverage, Example, Result
from parity_tests.tests.support.results import whole_result

SCHEMA: dict[str, Any] = json.loads((Path(report.__file__).parent / "schema.json").read_text())


def problems(run: Any) -> list[str]:
    """What the schema has against a run."""
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors(run)]


def test_a_run_with_everything_and_one_with_nothing_keep_the_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    for result in (whole_result(), Result(records=[])):
        assert problems(json.loads(as_json(result))) == []


@pytest.mark.parametrize("shapes", ["64x64", "4x16x12x3", "4x3+4", ""])
def test_the_sizes_of_users_own_inputs_keep_the_schema(shapes: str) -> None:
    record = Record(rung="forward", case=f"{shapes} float64 isolated", name="mix", verdict="equal")
    assert record.size == shapes
    assert problems(json.loads(as_json(Result(records=[record])))) == []


def test_the_schema_is_that_of_the_version_which_is_written() -> None:
    assert SCHEMA["properties"]["format"]["const"] == FORMAT
    assert SCHEMA["$id"].endswith(f":{FORMAT.split()[-1]}")


@pytest.mark.parametrize(("kind", "name"), [(Record, "record"), (Coverage, "coverage"), (Example, "example")])
def test_the_schema_names_every_field_there_is(kind: type, name: str) -> None:
    of_schema = SCHEMA["$defs"][name]
    computed = {"used", "size", "dtype", "mode"} if kind is Record else set()
    assert set(of_schema["properties"]) == {field.name for field in fields(kind)} | computed
    assert set(of_schema["required"]) == set(of_schema["properties"])


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("format",), "retinanet-parity 1"),
        (("exit_code",), 2),
        (("verdict",), "tie"),
        (("added",), 1),
        (("warnings",), "a sentence"),
        (("cost", "seconds"), "75 s"),
        (("records", 0, "verdict"), "green"),
        (("records", 0, "difference"), "1e-12"),
        (("records", 0, "budget"), -1),
        (("records", 0, "reference_shape"), [2, 8.5]),
        (("records", 0, "added"), 1),
        (("records", 0, "dtype"), "float16"),
        (("records", -1, "values", "growth"), 1.0),
        (("coverage", 0, "exempt"), ["bn"]),
        (("coverage", 0, "side"), "left"),
        (("examples", 0, "size"), [1]),
        (("examples", 0, "port", 0, "box"), [0, 0, 1]),
        (("sources", "p6", "elsewhere"), "a.py:1"),
        (("ablation", "rows", 0, "loss"), "3e-5"),
        (("ablation", "rows", 0, "seen", "32x32"), "unseen"),
        (("ablation", "rows", 0, "seen", "small"), 1.0),
        (("ablation", "rows", 0, "refused"), ["small"]),
        (("ablation",), 5),
    ],
)
def test_a_field_that_is_changed_breaks_the_schema(place: tuple[str | int, ...], value: Any) -> None:
    run = json.loads(as_json(whole_result()))
    *path, last = place
    inner = run
    for step in path:
        inner = inner[step]
    inner[last] = value
    assert problems(run)


def test_a_field_that_is_gone_breaks_the_schema() -> None:
    run = json.loads(as_json(whole_result()))
    for place in ((), ("records", 0), ("coverage", 0), ("examples", 0), ("ablation",), ("ablation", "rows", 0)):
        whole: Any = run
        for step in place:
            whole = whole[step]
        for name in whole:
            broken = deepcopy(run)
            inner: Any = broken
            for step in place:
                inner = inner[step]
            del inner[name]
            assert problems(broken), (place, name)


def test_a_file_that_breaks_the_schema_is_refused_with_the_place_and_both_ends_of_what_is_there(tmp_path: Path) -> None:
    run = json.loads(as_json(whole_result())) | {"warnings": "x" * 1000}
    (tmp_path / "run.json").write_text(json.dumps(run))
    with pytest.raises(InputError, match=r"run.json: \$.warnings: 'x{79} ... x+' is not of type 'array'$"):
        read_json(tmp_path / "run.json")


@pytest.mark.parametrize(
    ("number", "why"),
    [
        ("Infinity", "Infinity, which JSON has not"),
        ("NaN", "NaN, which JSON has not"),
        ("-1e999", "-1e999, which is beyond all numbers of float64"),
    ],
)
def test_a_file_with_numbers_that_are_none_is_refused(tmp_path: Path, number: str, why: str) -> None:
    (tmp_path / "run.json").write_text(as_json(whole_result()).replace("0.25", number, 1))
    with pytest.raises(InputError, match=rf"run.json: not JSON \(it has {why}\)$"):
        read_json(tmp_path / "run.json")


def test_a_budget_without_a_difference_is_refused(tmp_path: Path) -> None:
    run = json.loads(as_json(whole_result()))
    run["records"][0]["difference"] = None
    (tmp_path / "run.json").write_text(json.dumps(run))
    with pytest.raises(InputError, match=r"run.json: \$.records\[0\].difference: None is not of type 'number'$"):
        read_json(tmp_path / "run.json")


def test_fields_of_a_later_version_are_passed_over(tmp_path: Path) -> None:
    run = json.loads(as_json(whole_result()))
    for place in (run, run["records"][0], run["coverage"][0]):
        place["added"] = 1
    (tmp_path / "run.json").write_text(json.dumps(run))
    assert read_json(tmp_path / "run.json") == whole_result()


def test_a_run_is_read_again_as_it_was(tmp_path: Path) -> None:
    result = whole_result()
    (tmp_path / "run.json").write_text(as_json(result))
    again = read_json(tmp_path / "run.json")
    assert again == result
    assert (again.verdict, again.summary) == (result.verdict, result.summary)
