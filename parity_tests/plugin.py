"""The pytest plugin: a fixture that compares, and one file of all that was compared, for `pytest --parity-json FILE`.

What it works with is loaded by the first comparison; a suite without one does not pay for it.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from parity_tests.rule.result import Result

FORMATS = {"json": "every comparison, for programs", "html": "a page to look at"}
"""What can be written at the end of a session."""

SHOWN_DIFFERENCES = 6

KEPT = pytest.StashKey["dict[str, list[Result]]"]()
"""What was compared, by the name of the test."""

SENT = "parity"
"""Under which a process of pytest-xdist sends what it has compared."""


class Parity:
    """What a test compares with; each comparison is kept for the files, under the name of the test."""

    def __init__(self, kept: "list[Result]") -> None:
        self._kept = kept

    def compare(self, reference: Any, port: Any, inputs: Any, **settings: Any) -> "Result":
        """Compare as `parity_tests.compare_models` does, and fail the test where the models are not equal."""
        __tracebackhide__ = True
        from parity_tests import compare_models

        return self.check(compare_models(reference, port, inputs, **settings))

    def check(self, result: "Result") -> "Result":
        """Keep a result, and fail the test where it is not equal.

        Raises:
            AssertionError: with the summary, the first differences, and what was not compared.
        """
        __tracebackhide__ = True
        self._kept.append(result)
        if result.exit_code:
            raise AssertionError("\n".join([result.summary, *_details(result)]))
        return result


@pytest.fixture
def parity(request: pytest.FixtureRequest) -> Parity:
    """Compares two models, and fails the test where they differ: `parity.compare(reference, port, inputs)`."""
    return Parity(request.config.stash[KEPT].setdefault(request.node.nodeid, []))


def pytest_addoption(parser: pytest.Parser) -> None:
    """The files that can be asked for."""
    group = parser.getgroup("parity", "models that are compared")
    for name, what in FORMATS.items():
        group.addoption(f"--parity-{name}", metavar="FILE", type=Path, help=f"write {what}")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse files that cannot be written before a test runs.

    Raises:
        pytest.UsageError: naming the option and why.
    """
    config.stash[KEPT] = {}
    for name, path in _asked_for(config):
        from parity_tests.cli.options import check_target
        from parity_tests.rule.errors import UsageError

        if missing := [library for library in ("rich", "jinja2") if find_spec(library) is None]:
            raise pytest.UsageError(f"--parity-{name}: {missing[0]} is not installed, and reports are written with it")
        try:
            check_target(f"--parity-{name}", path)
        except UsageError as error:
            raise pytest.UsageError(str(error)) from None


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the files; a process of pytest-xdist sends what it has to the one that writes them."""
    config, kept = session.config, session.config.stash[KEPT]
    if hasattr(config, "workeroutput"):
        config.workeroutput[SENT] = _as_texts(kept)
        return
    for name, path in _asked_for(config):
        from parity_tests.report import AS
        from parity_tests.rule.files import atomic_write
        from parity_tests.rule.result import Result

        with atomic_write(path) as beside:
            beside.write_text(AS[name](Result.merge(kept)), encoding="utf-8")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a process of pytest-xdist has compared."""
    sent = getattr(node, "workeroutput", {}).get(SENT, {})
    for test, texts in sent.items():
        from parity_tests.report.json_file import from_json

        kept = node.config.stash[KEPT].setdefault(test, [])
        kept += [from_json(text) for text in texts]


def _asked_for(config: pytest.Config) -> Iterator[tuple[str, Path]]:
    options = ((name, config.getoption(f"parity_{name}")) for name in FORMATS)
    return ((name, path) for name, path in options if path is not None)


def _as_texts(kept: "dict[str, list[Result]]") -> dict[str, list[str]]:
    """Results as what may be sent from process to process."""
    if not kept:
        return {}
    from parity_tests.report.json_file import as_json

    return {test: [as_json(result) for result in results] for test, results in kept.items()}


def _details(result: "Result") -> Iterator[str]:
    failed = [record for record in result.records if record.verdict not in ("equal", "tie")]
    for record in failed[:SHOWN_DIFFERENCES]:
        yield f"  {record.verdict} {record.rung} {record.where.text}, {record.name}: {record.reason}"
    if len(failed) > SHOWN_DIFFERENCES:
        yield f"  and {len(failed) - SHOWN_DIFFERENCES} more"
    for covered in result.coverage:
        if covered.missing:
            yield f"  not compared, {covered.kind} of the {covered.side}: {', '.join(covered.missing)}"
