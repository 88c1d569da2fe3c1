"""What the README shows is what its commands print."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from parity_tests import cli as parity_cli
from parity_tests.tests.support.paths import ROOT
from torch_retinanet import cli

README = (ROOT / "README.md").read_text()


def test_its_table_of_conventions_is_printed_by_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["conventions"]) == 0
    assert capsys.readouterr().out in README


def test_its_example_of_a_changed_convention_ends_as_the_command_does(capsys: pytest.CaptureFixture[str]) -> None:
    shown = README[README.index("$ retinanet-parity --preset") :].partition("\n```")[0].splitlines()
    assert parity_cli.main(shown[0].split()[2:]) == 1
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert printed[-1] == shown[-1]
    in_ci = README.partition("### In CI")[2].partition("\n### ")[0]
    log = in_ci[in_ci.index(" preset ") :].partition("\n```")[0].splitlines()
    assert (log[-1], log[-2][:5]) == (printed[-1], "took ")
    assert {*log[:-2]} <= {*printed, "  ..."}


@pytest.mark.parametrize("name", ["false_alarms.jsonl", "false_alarms_around.jsonl"])
def test_its_figure_of_false_alarms_is_that_of_the_seeds_that_are_kept(name: str, tmp_path: Path) -> None:
    kept = Path(shutil.copy(ROOT / "docs" / name, tmp_path))
    rungs = json.loads(kept.read_text().splitlines()[0])["rungs"]
    command = [sys.executable, str(ROOT / "benchmarks" / "false_alarms.py"), "--seeds", "1", "--out", str(kept)]
    ended = subprocess.run([*command, "--rungs", *rungs], capture_output=True, text=True, timeout=100, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout in README
