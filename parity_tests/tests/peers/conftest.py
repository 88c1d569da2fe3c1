"""`--peers-table FILE` keeps how near each peer was: `make peers-table` makes the table of the docs of it."""

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from parity_tests.rule.drift import PASSING
from parity_tests.rule.record import Record
from parity_tests.tests.support.peer_rungs import by_rung
from parity_tests.tests.support.peers import RECORDINGS, SEEN, read_facts


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--peers-table", type=Path, metavar="FILE", help="write how near each peer was as JSON")


@pytest.fixture(autouse=True)
def _records_by_peer(request: pytest.FixtureRequest) -> Iterator[None]:
    """The records that a test looks at belong to the peer that its file is named after."""
    SEEN.current = request.node.path.stem.removeprefix("test_")
    yield
    SEEN.current = ""


def pytest_sessionfinish(session: pytest.Session) -> None:
    path: Path | None = session.config.getoption("peers_table", None)
    if path is not None:
        found = {name: row for peer, records in SEEN.by_peer.items() if records for name, row in _rows(peer, records)}
        path.write_text(json.dumps(dict(sorted(found.items())), indent=1) + "\n", encoding="utf-8")


def _rows(peer: str, records: list[Record]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is known of each preset of a peer; records of no variant are of the first."""
    test = vars(importlib.import_module(f"{__package__}.test_{peer}"))
    presets: dict[str, str] = test.get("PRESETS", {"": peer})
    first, left_out = next(iter(presets.values())), test.get("NOT_REPRODUCED", {})
    for preset in dict.fromkeys(presets.values()):
        of_preset = [record for record in records if presets.get(record.where.subject, first) == preset]
        yield preset, _row(peer, of_preset, left_out if preset == first else {})


def _row(peer: str, records: list[Record], left_out: dict[str, str]) -> dict[str, Any]:
    facts = read_facts(RECORDINGS / peer)
    package, precisions = facts["package"], ("float64", "float32")
    return {
        "package": package,
        "version": facts["versions"].get(package, facts.get("commit", "")[:7]),
        "comparisons": len(records),
        "different": sum(record.verdict not in PASSING for record in records),
        "ties": sum(record.verdict == "tie" for record in records),
        "sizes": sorted({record.where.extent for record in records if record.where.size}),
        "largest": {dtype: by_rung([r for r in records if r.where.dtype == dtype]) for dtype in precisions},
        "not_reproduced": left_out,
    }
