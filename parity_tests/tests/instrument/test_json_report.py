"""The JSON of a run: it keeps its published schema, which notices every change, and it is read again as it was."""

import json
import re
from copy import deepcopy
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from parity_tests import report
from parity_tests.cli import main
from parity_tests.report import as_json, read_json
from parity_tests.report.json_file import FORMAT, from_json
from parity_tests.rule.errors import UsageError
from parity_tests.rule.record import Record, Tag, Where
from parity_tests.rule.result import Coverage, Example, Result
from parity_tests.tests.support.results import PIXEL, whole_result

SCHEMA: dict[str, Any] = json.loads((Path(report.__file__).parent / "schema.json").read_text())


def problems(run: Any) -> list[str]:
    """What the schema has against a run."""
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors(run)]


def test_a_run_with_everything_and_one_with_nothing_keep_the_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    for result in (whole_result(), Result(records=[])):
        assert problems(json.loads(as_json(result))) == []


@pytest.mark.parametrize(
    ("inputs", "extent"),
    [(((64, 64),), "64x64"), (((4, 16, 12, 3),), "4x16x12x3"), (((4, 3), (4,)), "4x3+4"), (((),), "scalar"), ((), "")],
)
def test_the_shapes_of_users_own_inputs_keep_the_schema(inputs: tuple[tuple[int, ...], ...], extent: str) -> None:
    where = Where(inputs=inputs, dtype="float64", mode="isolated")
    assert where.extent == extent
    record = Record(rung="forward", where=where, name="mix", verdict="equal", reference_shape=(), port_shape=())
    text = as_json(Result(records=[record]))
    assert problems(json.loads(text)) == []
    assert from_json(text).records == [record]


def test_the_schema_is_that_of_the_version_which_is_written() -> None:
    assert SCHEMA["properties"]["format"]["const"] == FORMAT
    assert SCHEMA["$id"].endswith(f":{FORMAT.split()[-1]}")


LATER = {"coarse", "own_errors", "vacuous"}
"""Fields that the first files of this version lack."""


@pytest.mark.parametrize("kind", [Record, Where, Tag, Coverage, Example])
def test_the_schema_names_every_field_there_is(kind: Any) -> None:
    of_schema = SCHEMA["$defs"][kind.__name__.lower()]
    computed = {"used", "case"} if kind is Record else set()
    named = kind._fields if kind is Tag else [field.name for field in fields(kind)]
    assert set(of_schema["properties"]) == {*named} | computed
    assert set(of_schema["required"]) == set(of_schema["properties"]) - LATER


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
        (("records", 0, "case"), ["64x64", "float64"]),
        (("records", 0, "where"), "64x64 float64 isolated"),
        (("records", 0, "where", "dtype"), "float16"),
        (("records", 0, "where", "mode"), "alone"),
        (("records", 0, "where", "size"), "64x64"),
        (("records", 0, "where", "size"), [64]),
        (("records", 0, "where", "size"), [0, 64]),
        (("records", 0, "where", "inputs"), [4, 3]),
        (("records", 0, "where", "columns"), "jax"),
        (("records", 0, "where", "added"), 1),
        (("records", 0, "tag"), "tap"),
        (("records", 0, "tag", "kind"), "weight"),
        (("records", 0, "tag", "group"), "backbone"),
        (("records", 0, "tag", "added"), 1),
        (("records", -1, "values", "growth"), 1.0),
        (("coverage", 0, "skipped"), ["bn"]),
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
    of_record = (("records", 0), ("records", 0, "where"), ("records", 0, "tag"))
    for place in ((), *of_record, ("coverage", 0), ("examples", 0), ("ablation",), ("ablation", "rows", 0)):
        whole: Any = run
        for step in place:
            whole = whole[step]
        for name in whole.keys() - LATER:
            broken = deepcopy(run)
            inner: Any = broken
            for step in place:
                inner = inner[step]
            del inner[name]
            assert problems(broken), (place, name)


def test_a_file_without_the_later_fields_is_read() -> None:
    run = json.loads(as_json(whole_result()))
    for record in run["records"]:
        for name in LATER:
            del record[name]
    assert problems(run) == []
    assert {record.coarse for record in from_json(json.dumps(run)).records} == {()}


def test_a_file_that_breaks_the_schema_is_refused_with_the_place_and_both_ends_of_what_is_there(tmp_path: Path) -> None:
    run = json.loads(as_json(whole_result())) | {"warnings": "x" * 1000}
    (tmp_path / "run.json").write_text(json.dumps(run))
    with pytest.raises(UsageError, match=r"run.json: \$.warnings: 'x{79} ... x+' is not of type 'array'$"):
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
    with pytest.raises(UsageError, match=rf"run.json: not JSON \(it has {why}\)$"):
        read_json(tmp_path / "run.json")


def test_a_budget_without_a_difference_is_refused(tmp_path: Path) -> None:
    run = json.loads(as_json(whole_result()))
    run["records"][0]["difference"] = None
    (tmp_path / "run.json").write_text(json.dumps(run))
    with pytest.raises(UsageError, match=r"run.json: \$.records\[0\].difference: None is not of type 'number'$"):
        read_json(tmp_path / "run.json")


def test_fields_of_a_later_version_are_passed_over(tmp_path: Path) -> None:
    run = json.loads(as_json(whole_result()))
    record = run["records"][0]
    for place in (run, record, record["where"], record["tag"], run["coverage"][0], run["examples"][0]):
        place["added"] = 1
    (tmp_path / "run.json").write_text(json.dumps(run))
    assert read_json(tmp_path / "run.json") == whole_result()


def test_a_run_is_read_again_as_it_was(tmp_path: Path) -> None:
    result = whole_result()
    (tmp_path / "run.json").write_text(as_json(result))
    again = read_json(tmp_path / "run.json")
    assert again == result
    assert (again.verdict, again.summary) == (result.verdict, result.summary)


OF_BEFORE: dict[str, Any] = {
    "format": "retinanet-parity 2",
    **{"verdict": "different", "exit_code": 1, "summary": "different: it starts at p6"},
    **{"reference": "Keras reference", "port": "PyTorch port", "warnings": [], "sources": {}, "ablation": None},
    **{"settings": {"seed": 0}, "provenance": {"commit": "2e49d43b4644"}, "cost": {"seconds": 1.0, "peak_gib": 0.5}},
    "coverage": [
        {
            **{"preset": "notebook", "side": "port", "kind": "taps", "compared": 2, "missing": []},
            "exempt": {"fpn.backbone.bn1.num_batches_tracked": "counts steps"},
        }
    ],
    "exhibits": [
        {
            **{"preset": "notebook", "case": "digits 128x128", "png": PIXEL, "size": [128, 128], "reference": []},
            "port": [{"box": [90.6, 6.3, 114.58, 51.67], "score": 0.9993, "label": 3}],
        }
    ],
    "records": [
        {
            **{"preset": "notebook", "rung": "shapes", "case": "32x32", "name": "stem", "verdict": "equal"},
            **{"reference_shape": [1, 8, 8, 64], "port_shape": [1, 8, 8, 64], "difference": None, "scale": None},
            **{"budget": None, "reason": "", "values": None, "used": None, "size": "32x32", "dtype": "", "mode": ""},
        },
        {
            **{"preset": "notebook", "rung": "forward", "case": "128x128 float64 isolated", "name": "p6"},
            **{"verdict": "different", "reference_shape": [2, 2, 2, 256], "port_shape": [2, 2, 2, 256]},
            **{"difference": 2e-12, "scale": 2.0, "budget": 1e-12, "reason": "they differ", "values": None},
            **{"used": 2.0, "size": "128x128", "dtype": "float64", "mode": "isolated"},
        },
        {
            **{"preset": "notebook", "rung": "trajectory", "case": "float64 inference", "name": "loss.20"},
            **{"verdict": "equal", "reference_shape": [1], "port_shape": [1], "difference": 1e-14, "scale": 3.0},
            **{"budget": 1e-12, "reason": "", "values": {"reference": [3.0, None]}, "used": 0.01},
            **{"size": "", "dtype": "float64", "mode": "inference"},
        },
    ],
}
"""A run as version 2 wrote it."""


def same_run() -> Result:
    """The run of `OF_BEFORE` as this version has it."""
    stem, p6, loss = ({k: r[k] for k in ("preset", "rung", "name", "verdict", "reason")} for r in OF_BEFORE["records"])
    measured = Where(size=(128, 128), dtype="float64", mode="isolated")
    of_p6 = Record(**p6, where=measured, tag=Tag("tap"), difference=2e-12, scale=2.0, budget=1e-12)
    trained = Where(dtype="float64", mode="inference")
    of_loss = Record(**loss, where=trained, difference=1e-14, scale=3.0, budget=1e-12, values={"reference": [3.0]})
    return Result(
        records=[Record(**stem, where=Where(size=(32, 32)), tag=Tag("tap")), of_p6, of_loss],
        settings=OF_BEFORE["settings"],
        provenance=OF_BEFORE["provenance"],
    )


def test_a_file_of_the_version_before_is_read_as_far_as_it_is_compared(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text(json.dumps(OF_BEFORE))
    old = read_json(tmp_path / "old.json")
    assert (old.verdict, old.exit_code) == ("different", 1)
    assert [record.where.text for record in old.records] == [record["case"] for record in OF_BEFORE["records"]]
    assert [record.used for record in old.records] == [None, 2.0, pytest.approx(0.01)]
    assert [record.reference_shape for record in old.records] == [(1, 8, 8, 64), (2, 2, 2, 256), (1,)]
    assert [(covered.kind, covered.compared) for covered in old.coverage] == [("taps", 2)]
    assert (old.settings, old.provenance) == ({"seed": 0}, {"commit": "2e49d43b4644"})


def test_runs_of_both_versions_are_held_against_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(json.dumps(OF_BEFORE))
    new.write_text(as_json(same_run()))
    assert main(["diff", str(old), str(new)]) == 0
    assert capsys.readouterr().out == "no verdict changed, 0 margins moved in 3 comparisons\n"
    mended = [replace(record, verdict="equal", difference=0.0) for record in same_run().records[1:2]]
    new.write_text(as_json(replace(same_run(), records=[same_run().records[0], *mended, same_run().records[2]])))
    assert main(["diff", str(old), str(new)]) == 1
    printed = capsys.readouterr().out
    assert re.search(r"notebook +forward +128x128 float64 isolated +p6 +different +equal", printed)
    assert printed.endswith("1 verdict changed, 0 margins moved in 3 comparisons\n")


@pytest.mark.parametrize("number", [1, 2])
def test_a_file_of_the_version_before_in_which_something_is_gone_is_refused(number: int, tmp_path: Path) -> None:
    broken = deepcopy(OF_BEFORE)
    del broken["records"][number]["case"]
    (tmp_path / "old.json").write_text(json.dumps(broken))
    with pytest.raises(UsageError, match=r"old.json: is not as 'retinanet-parity 2' was written \(KeyError: 'case'\)$"):
        read_json(tmp_path / "old.json")
