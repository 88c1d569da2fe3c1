"""The case study's mistakes planted again: a strict load passes, and each is found in the line that the page shows."""

import json
import runpy
from dataclasses import replace
from typing import Any

import pytest

from parity_tests.tests.support.pages import PAGES
from parity_tests.tests.support.paths import ROOT

PAGE = "docs/case-study.md"
KEPT = json.loads((ROOT / "docs" / "case-study.json").read_text(encoding="utf-8"))
NAMES = ("stride_in_1x1", "pixel_deviation", "clipping", "top_k", "resize_library")

LONGEST = 60
"""Seconds that a comparison may take on two cores."""


@pytest.fixture(scope="module")
def study() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "benchmarks" / "case_study.py"))


def planted(study: dict[str, Any], name: str) -> Any:
    return next(mistake for mistake in study["MISTAKES"] if mistake.name == name)


@pytest.mark.planted
@pytest.mark.parametrize("name", NAMES)
def test_a_mistake_passes_a_strict_load_and_is_found_in_the_line_of_the_page(study: dict[str, Any], name: str) -> None:
    mistake = planted(study, name)
    assert study["loads_strictly"](mistake)
    line = mistake.compare(mistake).summary
    assert line.startswith("different: it starts at ")
    shown = PAGES[PAGE].partition(f"### `{name}`\n")[2].partition("\n### ")[0]
    assert f"```\n{line}\n```" in shown


@pytest.mark.parametrize("name", NAMES[1:])
def test_without_its_mistake_the_port_is_equal(study: dict[str, Any], name: str) -> None:
    mistake = replace(planted(study, name), wrong={}, clip_scope="global")
    assert mistake.compare(mistake).verdict == "equal"


def test_the_table_of_the_page_is_that_of_the_run_that_is_kept(study: dict[str, Any]) -> None:
    assert study["as_table"](KEPT) in PAGES[PAGE]
    assert tuple(row["name"] for row in KEPT["mistakes"]) == NAMES
    assert all(f"```\n{row['line']}\n```" in PAGES[PAGE] for row in KEPT["mistakes"])
    assert max(row["seconds"] for row in KEPT["mistakes"]) <= LONGEST
