"""Presets that are not run against their originals: what the sources say is what our network does."""

import json

import pytest

from parity_tests.peers.figures import FIGURES, HELD, NOT_RUN, Figure
from parity_tests.tests.support.pages import PAGES
from parity_tests.tests.support.paths import ROOT
from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.config.presets import PRESETS


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.measure.__name__)
def test_a_figure_of_the_source_is_ours(figure: Figure) -> None:
    assert figure.measure(RetinaNetConfig.preset(HELD)) == figure.figure
    assert f"{figure.says}: {figure.figure} ({figure.source})." in " ".join(PAGES["docs/peers.md"].split())


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.measure.__name__)
def test_a_figure_tells_presets_apart(figure: Figure) -> None:
    assert {figure.measure(RetinaNetConfig.preset(name)) for name in ("torchvision", "notebook")} != {figure.figure}


def test_every_preset_is_run_or_said_not_to_be() -> None:
    run = json.loads((ROOT / "docs" / "peers.json").read_text(encoding="utf-8"))
    not_run = [row.preset for row in NOT_RUN]
    assert sorted([*run, *not_run]) == sorted(PRESETS)
    rows = [line for line in PAGES["docs/peers.md"].splitlines() if line.startswith("| `")]
    for preset in not_run:
        assert any(row.startswith(f"| `{preset}` |") and "*not run against the original*" in row for row in rows)
