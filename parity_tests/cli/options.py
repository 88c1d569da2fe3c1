"""What all commands share: a parser of one sentence, targets that can be written, the console, the progress bar."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from parity_tests.ladder.climb import ClimbProgress
from parity_tests.rule.errors import UsageError
from parity_tests.rule.printable import printable, printable_lines, say

if TYPE_CHECKING:
    from rich.console import Console

    from parity_tests.rule.result import Result

FORMATS = {
    "json": "every record, for programs (report/schema.json is its schema)",
    "html": "one self-contained page, for people",
    "junit": "an XML that CI systems show, a test case for each comparison",
}
"""The files that a report can be written to."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, printable(f"{self.prog.split()[0]}: {message}") + "\n")


def add_version(parser: argparse.ArgumentParser) -> None:
    """The option that prints the version of all three packages and ends."""
    try:
        number = version("torch-retinanet")
    except PackageNotFoundError:  # the sources alone
        number = "0+unknown"
    parser.add_argument("--version", action="version", version=f"%(prog)s {number}")


def add_seed(parser: argparse.ArgumentParser) -> None:
    """The option that all random numbers follow from."""
    words = "of random weights and pictures (default: 0)"
    parser.add_argument("--seed", type=_seed, default=0, metavar="N", help=words)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number of at least 0")
    return int(text)


def add_pair(parser: argparse.ArgumentParser, words: str) -> None:
    """The option that names a `ModelPair` of a user's own."""
    parser.add_argument("--pair", metavar="MODULE:NAME", help=words)


def refuse_beside(parser: argparse.ArgumentParser, options: argparse.Namespace, names: Sequence[str], of: str) -> None:
    """Refuse options that say nothing of what another one, `of`, asks for.

    Raises:
        UsageError: naming the first.
    """
    if given := next((name for name in names if getattr(options, name) != parser.get_default(name)), None):
        what = "the RetinaNets" if of == "pair" else "both frameworks"
        raise UsageError(f"--{given}: is of {what}, and says nothing of --{of} {getattr(options, of)}; leave it out")


def add_override(parser: argparse.ArgumentParser) -> None:
    """The option that makes the port wrong."""
    words = "conventions of the PyTorch side to override, to see it fail"
    parser.add_argument("--override", nargs="+", metavar="NAME=VALUE", default=[], help=words)


def add_report_options(parser: argparse.ArgumentParser, formats: Sequence[str] = tuple(FORMATS)) -> None:
    """An option for each file that a report can be written to."""
    for name, what in FORMATS.items():
        if name not in formats:
            parser.set_defaults(**{name: None})
            continue
        parser.add_argument(f"--{name}", metavar="FILE", type=Path, help=f"where to write {what}")


def check_reports(options: argparse.Namespace) -> None:
    """Refuse files that cannot be written, before anything is computed, and what writes them not being installed.

    Raises:
        UsageError: naming the option and the file.
        ModuleNotFoundError: naming the package.
    """
    import parity_tests.report  # noqa: F401

    for name in FORMATS:
        check_target(f"--{name}", getattr(options, name))


def check_target(option: str, path: Path | None) -> None:
    """Refuse a file that cannot be written."""
    if path is None:
        return
    if not path.parent.is_dir():
        raise UsageError(f"{option}: {path} lies in a folder that does not exist")
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise UsageError(f"{option}: {path} must be a file in a folder that can be written to")


def report_on(result: "Result", options: argparse.Namespace) -> int:
    """Print a result, write the files that were asked for, and give the exit code; GitHub's workflows are told, too."""
    from parity_tests.report import annotations, print_report

    if os.environ.get("GITHUB_ACTIONS"):
        for line in annotations(result):
            say(line)
    print_report(result, plain_console())
    write_reports(result, options)
    return result.exit_code


def write_reports(result: "Result", options: argparse.Namespace) -> None:
    """Write the files that were asked for, each beside and then renamed."""
    from parity_tests.report import AS
    from parity_tests.rule.files import atomic_write

    for name in FORMATS:
        if path := getattr(options, name):
            with atomic_write(path) as beside:
                beside.write_text(AS[name](result), encoding="utf-8")


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """What was asked for, without where reports go."""
    return {name: _plain(value) for name, value in vars(options).items() if name not in (*FORMATS, "repro")}


def _plain(value: Any) -> Any:
    """Paths by their name alone: a report says what was compared, and not whose machine it was on."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.name if isinstance(value, Path) else value


def plain_console() -> "Console":
    """A console of 120 columns where there is no terminal."""
    from rich.console import Console
    from rich.segment import Segment
    from rich.text import Text

    class PlainConsole(Console):
        """A console that prints names as `printable` has them.

        A reader's going away is left to the command; rich would end it with 1.
        """

        def render_str(self, text: str, **how: Any) -> Text:
            return super().render_str(printable_lines(text), **how)

        def render(self, renderable: Any, options: Any = None) -> Iterator[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else Segment(printable_lines(segment.text), segment.style)

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return PlainConsole(width=None if sys.stdout.isatty() else 120)


@contextmanager
def progress_bars() -> "Iterator[Callable[[ClimbProgress], None]]":
    """What shows how far each preset has come, on a terminal alone."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.fields[preset]}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    has_terminal = sys.stderr is not None and sys.stderr.isatty()
    with Bars(*columns, console=Console(stderr=True), transient=True, disable=not has_terminal) as bars:
        tasks: dict[str, Any] = {}

        def show(progress: ClimbProgress) -> None:
            if progress.preset not in tasks:
                tasks[progress.preset] = bars.add_task("", total=progress.total, preset=progress.preset)
            bars.update(tasks[progress.preset], completed=progress.done, description=printable(progress.case))

        yield show
