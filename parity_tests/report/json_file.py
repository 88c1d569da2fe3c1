"""A run as JSON, and back. `schema.json` beside this file is its published schema."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from parity_tests.compare import Record
from parity_tests.errors import InputError, in_one_line
from parity_tests.result import Coverage, Exhibit, Result

FORMAT = "retinanet-parity 2"
"""Name and version of the JSON; the version counts up where old readers could not read new files."""

OF_THE_RUN = ("reference", "port", "settings", "provenance", "cost", "warnings", "sources", "ablation")
"""What is written as it is."""

T = TypeVar("T", Record, Coverage, Exhibit)


def as_json(result: Result) -> str:
    """The run as JSON: verdict, settings, provenance, what it cost, and every record."""
    run = {
        "format": FORMAT,
        "verdict": result.verdict,
        "exit_code": result.exit_code,
        "summary": result.summary,
        **{name: getattr(result, name) for name in OF_THE_RUN},
        "coverage": [asdict(coverage) for coverage in result.coverage],
        "exhibits": [asdict(exhibit) for exhibit in result.exhibits],
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
        InputError: for a file that is no such JSON, or of another version.
        FileNotFoundError: where there is no file.
    """
    try:
        return from_json(path.read_text(encoding="utf-8"), where=str(path))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not JSON ({error})") from None


def from_json(text: str, *, where: str) -> Result:
    """The run of a text that `as_json` gave; `where` is what a refusal names.

    Raises:
        InputError: for a text that is no such JSON, or of another version.
    """
    try:
        run = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON ({error})") from None
    if not isinstance(run, dict) or run.get("format") != FORMAT:
        found = run.get("format") if isinstance(run, dict) else type(run).__name__
        raise InputError(f"{where}: holds {found!r}, and must be the format {FORMAT!r}")
    try:
        _check_ablation(run.get("ablation"), where)
        return Result(
            records=[_read(Record, record) for record in run["records"]],
            coverage=[_read(Coverage, coverage) for coverage in run["coverage"]],
            exhibits=[_read(Exhibit, exhibit) for exhibit in run["exhibits"]],
            **{name: run[name] for name in OF_THE_RUN},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{where}: not a whole run ({in_one_line(error)})") from None


def _check_ablation(ablation: Any, where: str) -> None:
    """Refuse an ablation that lacks what the schema asks for: reports of it would fail where all else is done."""
    if ablation is None:
        return
    kinds = json.loads((files("parity_tests.report") / "schema.json").read_text(encoding="utf-8"))["$defs"]
    _check_keys(ablation, kinds["ablation"]["required"], f"{where}: the ablation")
    for number, row in enumerate(ablation["rows"], 1):
        _check_keys(row, kinds["convention"]["required"], f"{where}: row {number} of the ablation")


def _check_keys(values: Any, required: Sequence[str], what: str) -> None:
    if not isinstance(values, dict):
        raise InputError(f"{what} must be an object, and is {type(values).__name__}")
    if missing := [key for key in required if key not in values]:
        raise InputError(f"{what} lacks {missing[0]!r}")


def _record(record: Record) -> dict[str, Any]:
    parts = {"size": record.size, "dtype": record.dtype, "mode": record.mode}
    return asdict(record) | {"used": record.used} | parts


def _read(kind: type[T], values: Mapping[str, Any]) -> T:
    names = {field.name for field in fields(kind)}
    given = {name: value for name, value in values.items() if name in names}
    shapes = {name: tuple(value) for name, value in given.items() if name.endswith(("shape", "size")) and value}
    curves = given.get("values")
    if curves:
        given["values"] = {name: [math.nan if v is None else v for v in curve] for name, curve in curves.items()}
    return kind(**given | shapes)
