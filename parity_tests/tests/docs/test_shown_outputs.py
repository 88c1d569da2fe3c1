"""Each output that a page shows is held: by a test here, or by the one that is named."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from parity_tests import cli as parity_cli
from parity_tests.tests.support.data_sets import coco, write_coco
from parity_tests.tests.support.pages import PAGES, README
from parity_tests.tests.support.paths import ROOT
from torch_retinanet import cli

HELD = {
    "README.md": {
        "300 pictures, 1,029 objects": "docs/test_shown_outputs.py",
        "equal: 83 taps agree": "docs/test_shown_outputs.py",  # and `.ci/run`
    },
    "docs/ablation.md": {"85 conventions changed": "instrument/test_ablation.py"},
    "docs/benchmarks.md": {
        "300 pictures, 1,029 objects": "docs/test_shown_outputs.py",
        " preset    rung        comparisons": "instrument/test_parity_on_pictures.py",
    },
    "docs/case-study.md": {"different: it starts at": "docs/test_case_study.py"},
    "docs/data.md": {"COCO in test/": "docs/test_shown_outputs.py"},
    "docs/export.md": {
        "digits.onnx: 584 detections": "cli/test_export_on_data.py",
        "digits.onnx: 2063 detections": "cli/test_export_on_data.py",
        "model.onnx: int8, all layers": "cli/test_export_on_data.py",
    },
    "docs/false-alarms.md": {"0 false alarms in": "docs/test_pages.py"},
    "docs/parity-ci.md": {
        "equal: 83 taps agree": "docs/test_shown_outputs.py",
        "incomplete: 1 comparison": "cli/test_command.py",
        " preset    rung     comparisons": "docs/test_pages.py",
    },
    "docs/parity-your-models.md": {"different: conv is where it starts": "library/test_own_models.py"},
    "docs/parity.md": {
        "Ladder": "docs/test_shown_outputs.py",
        "equal: 83 taps agree, in 168": "docs/test_shown_outputs.py",
        "different: p6 is where it starts": "docs/test_pages.py",
        "warning: P6/P7 padding is invisible": "instrument/test_blind_spots.py",
        "warning: channel_order=rgb": "instrument/test_blind_spots.py",
        "Largest share of the float64 budget": "instrument/test_backends.py",
    },
    "docs/small-objects.md": {"to train with them": "data/test_anchor_search.py"},
    "docs/weights.md": {"retinanet: weights: they cannot": "torch/test_dialect.py"},
}
"""What holds an output, by its page and by how a line of it begins."""

COMMAND = re.compile(
    r"(\$ )?(\.venv/bin/)?(retinanet|pip|make|pytest|python|git|torchrun|curl|ovms|tritonserver|npm|cd|\.\.\.)"
)


def outputs(page: str) -> list[str]:
    """The blocks of a page, of no language, in which something stands that is no command."""
    text = re.sub(r"\\\n *", " ", PAGES[page])
    blocks = re.findall(r"^ *```(\w*)\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    return [block for language, block in blocks if not language and any(map(is_printed, block.splitlines()))]


def is_printed(line: str) -> bool:
    return bool(line.strip()) and not COMMAND.match(line.strip())


LAYOUTS = ("docs/serve.md",)
"""Pages whose blocks are files and folders; `docs/test_serve.py` holds them."""

WRITTEN = ("docs/parity.md: retinanet-parity [--preset", "docs/how-to/")
"""Blocks that show code or usage, which other tests read."""


@pytest.mark.parametrize("page", [page for page in PAGES if page not in (*LAYOUTS, "docs/cli.md")])
def test_each_output_has_what_holds_it(page: str) -> None:
    for block in outputs(page):
        if f"{page}: {block}".startswith(WRITTEN):
            continue
        holding = [test for start, test in HELD.get(page, {}).items() if shows(block, start)]
        assert holding, block
        assert all((ROOT / "parity_tests" / "tests" / test).is_file() for test in holding)


def shows(text: str, start: str) -> bool:
    """Whether a line begins so."""
    return any(line.startswith(start) or line.strip().startswith(start) for line in text.splitlines())


@pytest.mark.parametrize("page", HELD)
def test_nothing_is_held_that_is_not_shown(page: str) -> None:
    for start in HELD[page]:
        assert shows(PAGES[page], start), start


def test_the_table_of_the_default_run_has_the_comparisons_of_its_last_line() -> None:
    rows = re.findall(r"^ (?:notebook|keras_io)  \w+ +([\d,]+) ", PAGES["docs/parity.md"], re.MULTILINE)
    count = sum(int(row.replace(",", "")) for row in rows)
    for page in ("README.md", "docs/parity.md", "docs/parity-ci.md"):
        assert f"equal: 83 taps agree, in {count} comparisons" in PAGES[page]


@pytest.mark.parametrize(
    ("runtime", "code"),
    [pytest.param("bf16", 1, marks=pytest.mark.ci), pytest.param("onnx", 0, marks=pytest.mark.slow)],
    ids=["bf16", "onnx"],
)
def test_another_runtime_ends_as_the_page_says(runtime: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    lines = PAGES["docs/parity.md"].splitlines()
    [place] = [i for i, line in enumerate(lines) if line.startswith(f"$ retinanet-parity --against {runtime} ")]
    assert parity_cli.main(lines[place].split()[2:]) == code
    assert capsys.readouterr().out.splitlines()[-1] == lines[place + 2]


def test_the_first_line_of_inspect_says_what_it_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for split in ("train", "valid", "test"):
        content = coco()
        (tmp_path / split).mkdir()
        write_coco(tmp_path / split, content).rename(tmp_path / split / "_annotations.coco.json")
    cli.main(["inspect", str(tmp_path)])
    said = capsys.readouterr().out.splitlines()[0]
    assert said in PAGES["docs/data.md"]
    assert said.endswith("; splits: test, train, valid")


def test_pages_have_one_result_of_the_demo() -> None:
    [line] = set(re.findall(r"300 pictures, .*", README + PAGES["docs/benchmarks.md"]))
    reached = re.search(r"mAP ([\d.]+)", line)
    assert reached is not None
    assert f"({reached[1]} on two cores)" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_demo_ends_as_the_readme_says(tmp_path: Path) -> None:
    """It trains for some ten minutes; its last digits are those of two cores."""
    demo = [sys.executable, str(ROOT / "examples" / "demo.py")]
    ended = subprocess.run(demo, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=3000)
    shown = README.partition("It ends with\n\n")[2].partition("\n- ")[0]
    for line in (row.strip() for row in shown.splitlines()):
        assert line.strip("`") in ended.stdout
