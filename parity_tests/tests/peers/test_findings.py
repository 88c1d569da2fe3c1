"""The findings about the originals: each has a command, and prints what the page says."""

import re
from importlib.util import find_spec

import numpy as np
import pytest

from parity_tests.peers.environments import names
from parity_tests.peers.finding import Finding
from parity_tests.peers.findings import FINDINGS, main
from parity_tests.tests.support.pages import PAGES


def is_here(finding: Finding) -> bool:
    """Whether it can be measured without an environment of its own."""
    return finding.recorded or find_spec(finding.package) is not None


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding.name)
def test_a_finding_stands_on_the_page_with_its_command_and_figure(finding: Finding) -> None:
    assert finding.package in names()
    page = " ".join(PAGES["docs/peers.md"].split())
    assert f"{finding.says}: {finding.figure}. `{finding.command}`" in page


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding.name)
def test_its_command_prints_the_figure(finding: Finding, capsys: pytest.CaptureFixture[str]) -> None:
    if not is_here(finding):  # in one line of the summary, since all have one reason
        pytest.skip("its package is not installed here; `make peers` sets it up, and docs/peers.md has the command")
    assert main([finding.name]) == 0
    assert capsys.readouterr().out == f"{finding.figure}\n"


def test_a_figure_that_is_not_that_of_the_page_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parity_tests.peers.findings.recorded", lambda peer: {"coder/clipped": np.zeros((4, 4))})
    assert main(["yhenon_clipping"]) == 1


def test_all_are_listed_with_their_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    listed = re.findall(r"findings (\w+):", capsys.readouterr().out)
    assert listed == [finding.name for finding in FINDINGS]
