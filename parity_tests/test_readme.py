"""What the README shows is what its commands print."""

from pathlib import Path

import pytest

from torch_retinanet import cli

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_its_table_of_conventions_is_printed_by_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["conventions"]) == 0
    assert capsys.readouterr().out in README
