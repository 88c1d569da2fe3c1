"""The table of ingredients: its runs, its samples, and that the page shows what is kept."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from parity_tests.tests.support.pages import PAGES
from parity_tests.tests.support.paths import ROOT
from torch_retinanet.data.formats import read_annotations
from torch_retinanet.data.screening import screen
from torch_retinanet.tiles import Window
from torch_retinanet.train import TrainConfig


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "benchmarks" / "ingredients.py"))


def test_every_ingredient_has_three_seeds_and_settings_that_a_run_knows(script: dict[str, Any]) -> None:
    plans = list(script["plans"]())
    assert len(plans) == len(set(plans)) == 3 * (6 + 6)
    for sample, ingredient, _ in plans:
        config = TrainConfig(data="a.json", **script["settings"](sample, ingredient))
        assert (config.tiling() is not None) == (sample == "trees" and ingredient != script["WHOLE"])


def test_a_piece_of_a_picture_has_its_objects_and_what_it_cuts_in_half_is_a_crowd(
    script: dict[str, Any], tmp_path: Path
) -> None:
    Image.fromarray(np.zeros((40, 80, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "a.csv").write_text("a.png,44,4,60,20,tree\na.png,30,8,44,28,tree\na.png,2,2,20,20,tree\n")
    whole = screen(read_annotations(tmp_path / "a.csv"), decode=False)
    piece = script["Piece"](whole, 0, Window(40, 0, 80, 40), 2)
    script["write_split"](tmp_path, "test", [piece])
    written = screen(read_annotations(tmp_path / "test.json"), decode=False)
    assert written.sizes.tolist() == [[20, 20]]
    assert written.boxes.tolist() == [[2, 2, 10, 10], [0, 4, 2, 14]]
    assert written.ignored.tolist() == [False, True]


def test_the_table_has_mean_and_spread(script: dict[str, Any]) -> None:
    lines = [
        {"sample": "BCCD", "ingredient": "mosaic", "seed": seed, "map": value}
        for seed, value in enumerate((0.1, 0.2, 0.6))
    ]
    assert "| mosaic | 0.300, 0.100 to 0.600 | - | - |" in script["in_words"](lines)


@pytest.mark.parametrize("kept", sorted((ROOT / "docs").glob("ingredients.jsonl")))
def test_the_page_shows_the_runs_that_are_kept(script: dict[str, Any], kept: Path) -> None:
    assert script["in_words"](script["read_lines"](kept)) in PAGES["docs/benchmarks.md"]
