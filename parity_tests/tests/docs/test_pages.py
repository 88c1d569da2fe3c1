"""What the README and the pages show is what commands print; every link leads somewhere, and every flag exists."""

import ast
import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from parity_tests import cli as parity_cli
from parity_tests.tests.support.pages import PAGES, README, TEXT
from parity_tests.tests.support.paths import ROOT

LARGEST = 12_000
"""Bytes that the README may have."""

LINK = re.compile(r"\]\(([^)#\s]+)(#[\w-]+)?\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_readme_is_short() -> None:
    assert len(README.encode()) <= LARGEST


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_and_a_heading(page: str) -> None:
    for target, heading in LINK.findall(PAGES[page]):
        if "://" in target:
            continue
        path = (ROOT / page).parent / target
        assert path.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.*)", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading[1:] in {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_code_on_a_page_is_python(page: str) -> None:
    for language, code in FENCE.findall(PAGES[page]):
        if language == "python":
            ast.parse(code)


@pytest.mark.parametrize("page", ["docs/conventions.md", "docs/cli.md", "docs/peers.md"])
def test_a_page_that_is_made_from_the_code_is_that_of_the_code(page: str) -> None:
    """`python docs/pages.py` writes them anew."""
    made = runpy.run_path(str(ROOT / "docs" / "pages.py"))["pages"]()
    assert made[Path(page).name] == PAGES[page]


def test_every_flag_on_a_page_is_one_of_its_command() -> None:
    known = PAGES["docs/cli.md"]
    commands = re.findall(r"^(?:\$ )?(retinanet(?:-parity)? [^\n#]*)", TEXT.replace("\\\n", " "), re.MULTILINE)
    assert len(commands) > 20
    for command in commands:
        name, first = command.split()[:2]
        title = f"{name} {first}" if f"\n## {name} {first}\n" in known else name
        section = known.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
        for flag in re.findall(r"(?<=[ [])--[\w-]+", command):
            assert flag in section, command


@pytest.mark.ci
def test_its_example_of_a_changed_convention_ends_as_the_command_does(capsys: pytest.CaptureFixture[str]) -> None:
    page = PAGES["docs/parity.md"]
    shown = page[page.index("$ retinanet-parity --preset") :].partition("\n```")[0].splitlines()
    assert parity_cli.main(shown[0].split()[2:]) == 1
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert printed[-1] == shown[-1]
    in_ci = PAGES["docs/parity-ci.md"].partition("### In CI")[2].partition("\n### ")[0]
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
    assert ended.stdout in PAGES["docs/false-alarms.md"]
