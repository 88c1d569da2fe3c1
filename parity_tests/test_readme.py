"""What the README shows is what its commands print."""

from pathlib import Path

import pytest

from parity_tests import cli as parity_cli
from torch_retinanet import cli

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_its_table_of_conventions_is_printed_by_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["conventions"]) == 0
    assert capsys.readouterr().out in README


def test_its_example_of_a_turned_convention_ends_as_the_command_does(capsys: pytest.CaptureFixture[str]) -> None:
    shown = README[README.index("$ retinanet-parity --preset") :].partition("\n```")[0].splitlines()
    assert parity_cli.main(shown[0].split()[2:]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == shown[-1]
