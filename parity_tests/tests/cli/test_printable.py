"""What a terminal would obey is shown and not obeyed, wherever names of files and classes reach it."""

import ast
import io
import warnings
from pathlib import Path

import pytest

from parity_tests import cli as parity
from parity_tests.cli.options import plain_console
from parity_tests.rule import printable as of_parity
from parity_tests.tests.support.data_sets import write_csv
from parity_tests.tests.support.paths import ROOT
from torch_retinanet import terminal
from torch_retinanet.cli import main
from torch_retinanet.cli.tables import TableConsole

HOSTILE = "a\x00b\x1b[31mc\x9b2Jd\u202egnp\u2066\rx\u200b\udc80"
SHOWN = "a\\x00b\\x1b[31mc\\x9b2Jd\\u202egnp\\u2066\\rx\\u200b\\udc80"


def test_each_is_shown_as_python_escapes_it() -> None:
    for made in (terminal.printable, of_parity.printable):
        assert made(HOSTILE) == SHOWN
        assert made("straße 写真\u3000é ✓") == "straße 写真\u3000é ✓", "letters, and spaces of other scripts, stay"
        assert made("two\nlines") == "two\\nlines"
    assert terminal.OBEYED.pattern == of_parity.OBEYED.pattern


def test_errors_of_both_commands(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    name = HOSTILE.replace("\x00", "")
    assert main(["inspect", str(tmp_path / name)]) == 2
    assert f"/{SHOWN.replace(chr(92) + 'x00', '')}: there is no such file" in capsys.readouterr().err
    assert parity.main(["--weights", str(tmp_path / name), "--preset", "notebook"]) == 2
    error = capsys.readouterr().err
    assert SHOWN.replace("\\x00", "") in error
    assert not terminal.OBEYED.search(error.rstrip("\n"))


@pytest.mark.parametrize("command", [main, parity.main])
def test_wrong_usage(command: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert callable(command)
    with pytest.raises(SystemExit):
        command(["inspect", "data", f"--all{HOSTILE}"] if command is main else [f"--all{HOSTILE}"])
    assert not terminal.OBEYED.search(capsys.readouterr().err.rstrip("\n"))


def test_names_of_classes_and_pictures_in_tables_and_the_last_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_csv(tmp_path)
    with path.open("a", encoding="utf-8") as file:
        file.write("a.png,1,1,9,9,\u202ered\x9b\x00[/bold]\nb\x1b[2Jc.png,1,2,3,4,cat\n")
    assert main(["inspect", str(path)]) == 1
    output = capsys.readouterr().out
    assert "b\\x1b[2Jc.png" in output
    assert "\\u202ered\\x9b" in output.splitlines()[-1]
    assert not terminal.OBEYED.search(output.replace("\n", ""))


@pytest.mark.parametrize("is_terminal", [True, False])
def test_what_rich_prints(is_terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("name")
    table.add_row(f"[bold]{HOSTILE}")
    table.add_row(Text("\x9b31m\u202e"))
    monkeypatch.setenv("FORCE_COLOR" if is_terminal else "NO_COLOR", "1")
    for console in (TableConsole(80), plain_console()):
        console.file = io.StringIO()
        console.print(table, "\x9b[red]red", Text("b\x1b[2J"))
        written = console.file.getvalue()
        assert ("\x1b[1m" in written) == is_terminal, "rich's own codes are obeyed"
        assert not {"\x9b", "\u202e", "\x00"} & set(written)
        assert "\x1b[2J" not in written
        assert "b\\x1b[2J" in written


def test_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.printable_warnings(), warnings.catch_warnings():
        warnings.simplefilter("always")
        print(warnings.formatwarning("a\x1b[2J\nb", UserWarning, "file.py", 1, ""))
    assert "a\\x1b[2J\nb" in capsys.readouterr().out


def test_nothing_else_prints() -> None:
    """A bare `print` would take names to the terminal as they are."""
    ways_out = {"torch_retinanet/terminal.py", "parity_tests/rule/printable.py"}
    peers = ROOT / "parity_tests" / "peers"  # which are run by `make` alone, on names of their own
    folders = (
        ROOT / "torch_retinanet",
        *(ROOT / "parity_tests" / room for room in ("cli", "report", "rule", "ladder")),
    )
    for path in (path for folder in folders for path in folder.rglob("*.py") if not path.is_relative_to(peers)):
        calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        prints = [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]
        assert not prints or path.relative_to(ROOT).as_posix() in ways_out, (path, prints)
