"""A run as JSON, and back. `schema.json` beside this file is its published schema.

Files of version 2 are read as far as `diff` compares them: their records, and the words that say what each was made on.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from parity_tests.rule.errors import UsageError
from parity_tests.rule.record import Record, Tag, Where
from parity_tests.rule.result import Coverage, Example, Result

FORMAT, BEFORE = "retinanet-parity 3", "retinanet-parity 2"
"""Name and version of the JSON, and of the one before: it counts up where old readers could not read new files."""

OF_THE_RUN = ("reference", "port", "settings", "provenance", "cost", "warnings", "sources", "ablation")
"""What is written as it is."""

QUOTED = 80
"""Characters of each end of what is said of a value that breaks the schema."""

T = TypeVar("T", Record, Coverage, Example)


def as_json(result: Result) -> str:
    """The run as JSON: verdict, settings, provenance, what it cost, and every record."""
    run = {
        "format": FORMAT,
        "verdict": result.verdict,
        "exit_code": result.exit_code,
        "summary": result.summary,
        **{name: getattr(result, name) for name in OF_THE_RUN},
        "coverage": [asdict(coverage) for coverage in result.coverage],
        "examples": [asdict(example) for example in result.examples],
        "records": [_record(record) for record in result.records],
    }
    return json.dumps(_finite(run), indent=1, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    """The same with null for numbers that JSON has not: NaN and infinite ones."""
    if isinstance(value, Mapping):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: Path) -> Result:
    """The run of a file that `as_json` wrote.

    Raises:
        UsageError: for a file that is no such JSON, is of another version or does not keep the schema.
        FileNotFoundError: where there is no file.
    """
    try:
        run = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse, parse_float=_number)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not JSON ({error})") from None
    if isinstance(run, dict) and run.get("format") == BEFORE:
        return _result_of_before(run, path)
    if not isinstance(run, dict) or run.get("format") != FORMAT:
        found = run.get("format") if isinstance(run, dict) else type(run).__name__
        raise UsageError(f"{path}: holds {found!r}, and must be the format {FORMAT!r}")
    if problem := _problem(run):
        raise UsageError(f"{path}: {problem}")
    return _result(run)


def from_json(text: str) -> Result:
    """The run of a text that `as_json` gave."""
    return _result(json.loads(text))


def _refuse(constant: str) -> None:
    raise ValueError(f"it has {constant}, which JSON has not")


def _number(digits: str) -> float:
    if math.isinf(number := float(digits)):
        raise ValueError(f"it has {digits}, which is beyond all numbers of float64")
    return number


def _problem(run: Mapping[str, Any]) -> str:
    """Where and how a run first breaks the schema, or an empty string; fields of a later version are no problem."""
    from jsonschema import Draft202012Validator  # writing does not need it

    schema = json.loads((files("parity_tests.report") / "schema.json").read_text(encoding="utf-8"))
    errors = Draft202012Validator(schema).iter_errors(run)
    error = next((error for error in errors if error.validator != "additionalProperties"), None)
    if error is None:
        return ""
    words = error.message
    shortened = words if len(words) <= 2 * QUOTED else f"{words[:QUOTED]} ... {words[-QUOTED:]}"
    return f"{error.json_path}: {shortened}"


def _result(run: Mapping[str, Any]) -> Result:
    return Result(
        records=[_read(Record, record) for record in run["records"]],
        coverage=[_read(Coverage, coverage) for coverage in run["coverage"]],
        examples=[_read(Example, example) for example in run["examples"]],
        **{name: run[name] for name in OF_THE_RUN},
    )


def _result_of_before(run: Mapping[str, Any], path: Path) -> Result:
    """The records of a file of version 2; what a record was made on is there in words alone."""
    try:
        records = [_read(Record, record | {"where": Where(data=record["case"])}) for record in run["records"]]
        coverage = [_read(Coverage, each) for each in run["coverage"]]
        return Result(records=records, coverage=coverage, settings=run["settings"], provenance=run["provenance"])
    except (KeyError, TypeError) as error:
        raise UsageError(f"{path}: is not as {BEFORE!r} was written ({type(error).__name__}: {error})") from None


def _record(record: Record) -> dict[str, Any]:
    return asdict(record) | {"tag": record.tag._asdict(), "case": record.where.text, "used": record.used}


def _read(kind: type[T], values: Mapping[str, Any]) -> T:
    given = _known([field.name for field in fields(kind)], values)
    shapes = {
        name: tuple(value)
        for name, value in given.items()
        if name.endswith(("shape", "size", "coarse", "own_errors")) and value is not None
    }
    curves = given.get("values")
    if curves:
        given["values"] = {name: [math.nan if v is None else v for v in curve] for name, curve in curves.items()}
    if isinstance(where := given.get("where"), Mapping):
        given["where"] = Where(**_hashable(_known([field.name for field in fields(Where)], where)))
    if isinstance(tag := given.get("tag"), Mapping):
        given["tag"] = Tag(**_hashable(_known(Tag._fields, tag)))
    return kind(**given | shapes)


def _known(names: Sequence[str], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by name without those of a later version."""
    return {name: value for name, value in values.items() if name in names}


def _hashable(value: Any) -> Any:
    """The same with tuples for lists."""
    if isinstance(value, dict):
        return {name: _hashable(inner) for name, inner in value.items()}
    return tuple(map(_hashable, value)) if isinstance(value, list) else value
