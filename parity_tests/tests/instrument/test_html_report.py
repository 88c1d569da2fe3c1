"""The page of a run: what it says, what it leaves out, and that names in it are text and nothing else."""

import fnmatch
import importlib
import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from parity_tests import report
from parity_tests.ladder import compared
from parity_tests.report import as_html
from parity_tests.report.colours import shade_of, share_text
from parity_tests.report.effects import effect_text
from parity_tests.report.pictures import pictures
from parity_tests.report.plots import HEIGHT, panel, trainings
from parity_tests.report.tree import module_tree
from parity_tests.retinanet import names
from parity_tests.rule.printable import OBEYED
from parity_tests.rule.record import Record, Tag, Where
from parity_tests.rule.result import Coverage, Example, Result
from parity_tests.tests.support.paths import ROOT
from parity_tests.tests.support.results import ABLATION, ISOLATED, tap, training_steps, whole_result


def sections(page: str) -> list[str]:
    return re.findall(r'<section id="([a-z]+)"', page)


def test_the_verdict_and_where_it_starts_stand_on_top() -> None:
    page = as_html(whole_result())
    assert "<title>different: Keras reference and PyTorch port</title>" in page
    assert re.search(r'class="verdict different">.*it starts at p6 \(notebook, forward', page, re.DOTALL)
    assert page.index('class="verdict') < page.index('id="warnings"') < page.index('id="ladder"')
    assert "keras_reference/fpn.py:55" in page
    assert "torch_retinanet/fpn.py:57" in page


def test_a_run_with_everything_has_every_section() -> None:
    assert sections(as_html(whole_result())) == [
        *("warnings", "first", "ladder", "modules", "sizes", "training", "detections", "conventions", "coverage"),
        *("provenance", "records"),
    ]


def test_sections_without_data_are_left_out() -> None:
    shapes = Result(records=[Record(rung="shapes", where=Where(size=(32, 32)), name="p3", verdict="equal")])
    assert sections(as_html(shapes)) == ["ladder", "records"]
    assert sections(as_html(Result(records=[tap("stem")]))) == ["ladder", "modules", "sizes", "records"]


def test_an_ablation_alone_is_shown_without_a_verdict() -> None:
    page = as_html(Result(records=[], ablation=ABLATION))
    assert sections(page) == ["conventions"]
    assert "1 conventions changed, one at a time; at some picture sizes 1 of them cannot be seen" in page
    assert ">refused<" in page
    assert 'class="verdict neutral"' in page
    assert "incomplete" not in page.split("</style>")[1]
    assert "<script" not in page


def test_a_run_of_nothing_is_incomplete() -> None:
    assert 'class="verdict incomplete"' in as_html(Result(records=[]))


HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&{{ 7 * 7 }}"


def test_names_are_text_wherever_they_stand() -> None:
    record = replace(tap("p6", "different", 2.0), name=HOSTILE, preset=HOSTILE, rung="forward", reason=HOSTILE)
    row = ABLATION["rows"][0] | dict.fromkeys(("convention", "meaning", "from", "to", "starts_at", "note"), HOSTILE)
    found = {"box": [0, 0, 1, 1], "score": 0.5, "label": HOSTILE}
    result = Result(
        records=[record, *(replace(step, where=Where(data=HOSTILE)) for step in training_steps())],
        reference=HOSTILE,
        port=HOSTILE,
        settings={HOSTILE: [HOSTILE], "override": [HOSTILE]},
        provenance={HOSTILE: {HOSTILE: HOSTILE}, "commit": HOSTILE},
        warnings=[HOSTILE],
        sources={HOSTILE: {"reference": HOSTILE, "port": HOSTILE}},
        coverage=[Coverage(preset=HOSTILE, side="port", kind="taps", compared=0, skipped={HOSTILE: HOSTILE})],
        examples=[Example(preset=HOSTILE, case=HOSTILE, png="", size=(9, 9), reference=[found], port=[])],
        ablation=ABLATION | {"rows": [row], "preset": HOSTILE},
    )
    page = as_html(result)
    assert page.count("<script") == page.count("</script>") == 2
    assert "<img" not in page
    assert "49" not in re.findall(r"<h1>.*</h1>", page)[0]
    assert page.count("&lt;script&gt;alert(1)") > 20


def test_characters_that_turn_text_around_or_are_no_text_are_shown_as_escapes() -> None:
    name = "a\x00\x1b[2J\x9b\u202eb\ud800"
    record = replace(tap("p6", "different", 2.0), name=name, reason=name)
    page = as_html(Result(records=[record], reference=name, warnings=[name], sources={name: {"port": name}}))
    assert page.count(r"a\x00\x1b[2J\x9b\u202eb\ud800") > 2
    assert not OBEYED.search(page.replace("\n", ""))
    assert r"a\\x00\\x1b[2J\\x9b\\u202eb\\ud800" in page, "in the data of its table too"


def test_nothing_in_the_page_is_fetched_and_its_policy_forbids_it() -> None:
    page = as_html(whole_result())
    assert not re.search(r"""(src|href|url\()\s*=?\s*["']?(https?:|//|\.|/)""", page)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy.startswith("default-src &#39;none&#39;; img-src data:; style-src &#39;sha256-")
    assert "unsafe" not in policy


def test_a_page_of_twelve_thousand_comparisons_stays_small() -> None:
    wheres = [replace(ISOLATED, size=(height, 64)) for height in range(1, 10)]
    records = [tap(f"cls.p{i % 5}.{i % 83}", used=i / 12000, where=wheres[i % 9]) for i in range(12000)]
    assert len(as_html(Result(records=records))) < 1_500_000


def test_the_other_reports_need_no_jinja() -> None:
    code = "import sys, parity_tests.report; print('jinja2' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout == "False\n"


def test_the_package_brings_what_the_page_is_made_of() -> None:
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    setuptools = toml.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    brought = setuptools["package-data"]["parity_tests.report"]
    folder = Path(report.__file__).parent
    others = [path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    assert len(others) > 10
    for path in others:
        assert any(fnmatch.fnmatch(path.relative_to(folder).as_posix(), pattern) for pattern in brought), path


@pytest.mark.parametrize(
    ("share", "text"),
    [
        *((0, "0"), (0.004, "<1 %"), (0.344, "34 %"), (1.0, "100 %"), (1.001, ">100 %"), (1.32, "132 %")),
        *((9.99, "999 %"), (10, "×1e1"), (2e13, "×2e13"), (math.inf, "×∞")),
    ],
)
def test_a_share_is_said_in_a_few_characters(share: float, text: str) -> None:
    assert share_text(share) == text


def test_the_shade_is_that_of_the_worst() -> None:
    zero = replace(tap("a", "different"), budget=0.0)
    unmeasured = replace(tap("a"), budget=None, difference=None)
    assert (shade_of([zero]).level, shade_of([zero]).text) == ("over", "×∞")
    assert (shade_of([tap("a", used=0.1), tap("b", used=0.3)]).level, shade_of([]).level) == ("s3", "none")
    assert [shade_of([tap("a", used=used)]).level for used in (0, 0.1, 0.25, 0.5, 0.75, 1)] == [
        f"s{step}" for step in range(6)
    ]
    assert shade_of([unmeasured]).level == "none"
    assert shade_of([replace(unmeasured, verdict="different")]).text == "≠"
    assert shade_of([tap("a"), replace(unmeasured, verdict="incomplete")]).level == "unknown"
    assert shade_of([tap("a", "tie", used=40)]).level == "s5"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("stem", ("backbone",)),
        ("conv4_block6", ("backbone", "conv4")),
        ("c5", ("backbone",)),
        ("lateral3", ("pyramid",)),
        ("p7", ("pyramid",)),
        ("cls.p3.0", ("heads", "cls", "p3")),
        ("deltas", ("outputs",)),
        ("anything", ()),
    ],
)
def test_a_tap_of_the_network_belongs_to_its_modules(name: str, path: tuple[str, ...]) -> None:
    assert names.tag_of(name).group == path


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("anything", ()),
        ("encoder.layer.0.norm", ("encoder", "layer", "0")),
        ("encoder/layer/norm", ("encoder", "layer")),
        ("a.b.c.d.e.f.g", ("a", "b", "c", "d", "e", "f")),
    ],
)
def test_a_tap_of_any_model_belongs_to_the_modules_in_its_path(name: str, path: tuple[str, ...]) -> None:
    assert compared.tag_of(name) == Tag("tap", group=path)


def test_what_lies_too_deep_stays_at_the_last_level_of_the_tree() -> None:
    records = [replace(tap(name), tag=Tag("tap", group=tuple("abcdef"))) for name in ("a.b.c.d.e.f.g", "a.b.c.d.e.f.h")]
    depth, branches = 0, module_tree(Result(records=records))
    while branches[0].children:
        depth, branches = depth + 1, branches[0].children
    assert (depth, [branch.name for branch in branches]) == (4, ["a.b.c.d.e.f.g", "a.b.c.d.e.f.h"])


def test_the_tree_opens_where_it_starts_to_differ_and_nowhere_else() -> None:
    taps = ("conv2_block1", "conv2_block2", "stem", "p5", "p6")
    records = [tap(name, "different" if name == "p6" else "equal", 0.4) for name in taps]
    backbone, pyramid = module_tree(Result(records=records))
    assert (backbone.name, backbone.opened, pyramid.name, pyramid.opened) == ("backbone", False, "pyramid", True)
    assert [child.name for child in backbone.children] == ["conv2", "stem"]
    assert [shade.level for _, shade in pyramid.squares] == ["s3", "over"]


def test_variables_are_no_modules_and_presets_are_a_floor_of_their_own() -> None:
    records = [tap("stem"), tap("c5"), tap("fpn/conv/kernel", where=Where(dtype="float64", subject="weights"))]
    (backbone,) = module_tree(Result(records=records))
    assert [name for name, _ in backbone.squares] == ["stem", "c5"]
    both = module_tree(Result(records=[*records, *(replace(record, preset="keras_io") for record in records)]))
    assert [(preset.name, preset.opened) for preset in both] == [("notebook", True), ("keras_io", True)]


def test_a_plot_has_every_step_and_a_line_for_what_is_zero() -> None:
    (training,) = trainings(training_steps())
    assert len(training.apart.dots) == 3
    lowest = training.apart.ticks[-1]
    assert lowest[1] == "0"
    assert training.apart.dots[0][1] == lowest[0] == max(y for _, y in training.apart.dots)
    assert [name.split()[0] for name in training.apart.lines] == [
        "difference",
        "budget",
        "self-difference",
        "reference",
    ]
    assert training.growth is not None, "growth from nothing has no place on the axis, the rest has"
    assert training.facts["growth"] == "×10 a step"


def test_heights_on_a_log_axis_go_by_powers_of_ten() -> None:
    low, middle, high = (y for _, y in panel({"difference": [1e-12, 1e-9, 1e-6]}, HEIGHT).dots)
    assert low - middle == pytest.approx(middle - high)
    assert low > high


def test_what_both_sides_found_is_labelled_once_and_within_the_picture() -> None:
    near: dict[str, Any] = {"box": [0.0, 0.0, 40.0, 20.0], "score": 0.9, "label": "cat"}
    far: dict[str, Any] = {"box": [90.0, 90.0, 100.0, 100.0], "score": 0.5, "label": 3}
    broken: dict[str, Any] = {"box": [0.0, 0.0, math.nan, 1.0], "score": 0.1, "label": 3}
    example = Example(preset="", case="a", png="", size=(100, 100), reference=[near], port=[near, far, broken])
    (picture,) = pictures([example])
    assert [[label.says for label in labels] for labels in picture.labels.values()] == [["cat 0.90"], ["3 0.50"]]
    assert [len(boxes) for boxes in picture.boxes.values()] == [1, 2]
    assert picture.counts == {"reference": 1, "port": 3}
    for label in (*picture.labels["reference"], *picture.labels["port"]):
        assert 0 <= label.x < 90
        assert picture.text <= label.y < 100


@pytest.mark.parametrize(
    ("effect", "text"),
    [(0, "0"), (3e-7, "3e-7"), (0.0123, "1.2 %"), (0.5, "50 %"), (1, "100 %"), (-0.25, "−25 %"), (12, "×12")],
)
def test_an_effect_is_said_in_a_few_characters(effect: float, text: str) -> None:
    assert effect_text(effect) == text


def test_the_rows_of_the_table_are_the_records() -> None:
    result = whole_result()
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', as_html(result), re.DOTALL)
    data = json.loads(text)
    column = data["words"].index("name")
    assert [data["strings"][row[column]] for row in data["rows"]] == [record.name for record in result.records]
    case = data["words"].index("case")
    for row, record in zip(data["rows"], result.records, strict=True):
        where = record.where
        assert data["cases"][data["strings"][row[case]]] == [where.extent, where.dtype, where.mode]
    assert [result.records[i].name for i in data["taps"]] == [r.name for r in result.records if r.rung == "forward"]
    used = [row[len(data["words"])] for row in data["rows"]]
    for share, record in zip(used, result.records, strict=True):
        assert share == (record.used and pytest.approx(record.used, rel=1e-2))
