"""Files that we write, read by the packages whose they are: what `make peers-back` says of it, and returns."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from parity_tests.peers import back
from parity_tests.peers.back import OUTPUTS, PRECISIONS, WAYS, Answers, WayBack, judged, keep, line_of, row_of
from parity_tests.peers.reads_ours import READERS
from parity_tests.rule.record import verdict_of
from parity_tests.tests.support.paths import ROOT
from parity_tests.tests.support.peers import different

SMALL = {"backbone": "resnet18", "width": 32, "head_depth": 1}

WAY = WayBack(preset="torchvision", file="weights.pth", environment="torchvision", sizes=((64, 96),), changes=SMALL)


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the command runs: no environment stands."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(back, "WAYS", (WAY,))
    return tmp_path


def stands(folder: Path, script: str) -> None:
    """Puts an interpreter into torchvision's environment."""
    python = folder / ".peers" / "torchvision" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)


def answered(dtype: str, off: float = 0.0) -> Answers:
    """Logits and deltas of one size, one of them off by so much."""
    drawn = np.random.default_rng(0)
    found: Answers = {f"64x96/{output}": drawn.normal(size=(2, 9, 4)).astype(dtype) for output in OUTPUTS}
    found["64x96/deltas"][1, 2, 3] += off
    return found


def both(off: float = 0.0) -> dict[str, Answers]:
    return {dtype: answered(dtype, off) for dtype in PRECISIONS}


def test_answers_that_are_the_same_are_equal() -> None:
    records = judged(WAY, both(), both())
    assert [(r.where.extent, r.name, r.where.dtype) for r in records] == [
        ("64x96", output, dtype) for output in OUTPUTS for dtype in PRECISIONS
    ]
    assert different(records) == []
    assert ": equal, 4 comparisons;" in line_of(WAY, records)


@pytest.mark.planted
@pytest.mark.parametrize(("off", "is_coarse"), [(1e-11, False), (1e-6, False), (1e-3, True)])
def test_an_answer_that_is_off_is_different_and_named(off: float, is_coarse: bool) -> None:
    way = replace(WAY, is_coarse=is_coarse)
    line = line_of(way, judged(way, both(), both(off)))
    assert "torchvision: weights.pth" in line
    assert ": different, " in line
    assert "; deltas at 64x96 float64" in line


def test_what_a_package_computes_in_float32_is_judged_as_float32() -> None:
    way = replace(WAY, is_coarse=True)
    double = [record for record in judged(way, both(), both(1e-6)) if record.where.dtype == "float64"]
    assert {record.coarse for record in double} == {("reference",)}
    assert verdict_of(double) == "equal"


def test_an_output_of_another_shape_is_different() -> None:
    cut = {dtype: {name: value[:1] for name, value in found.items()} for dtype, found in both().items()}
    assert verdict_of(judged(WAY, both(), cut)) == "different"


def test_a_missing_environment_is_named_and_returns_3(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert back.main(["--table", "table.json"]) == 3
    assert ": not run: .peers/torchvision is missing, which `make peers` makes" in capsys.readouterr().out
    assert not Path("table.json").exists()


def test_a_missing_checkout_is_named(there: Path) -> None:
    stands(there, "exit 0")
    said = replace(WAY, is_checkout=True).missing()
    assert said == ".peers/sources/torchvision is missing; put a checkout there"


def test_a_package_that_fails_is_named_and_returns_3(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stands(there, "echo 'ImportError: no such thing' >&2; exit 1")
    assert back.main([]) == 3
    assert ": not run: the package failed: ImportError: no such thing" in capsys.readouterr().out


def test_a_preset_that_is_not_read_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        back.main(["notebook"])
    assert ended.value.code == 2
    assert "'notebook' must be one of cvisionai, " in capsys.readouterr().err


@pytest.mark.ci
@pytest.mark.parametrize(("eps", "code"), [(1e-5, 0), (1e-3, 1)])
def test_torchvision_reads_ours(
    there: Path, eps: float, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stands(there, f'exec "{sys.executable}" "$@"')
    way, ours = replace(WAY, changes={}), back.ours
    monkeypatch.setattr(back, "WAYS", (way,))
    monkeypatch.setattr(
        back, "ours", lambda found, *given: ours(replace(found, config=found.config.changed(bn_eps=eps)), *given)
    )
    assert back.main(["--table", "table.json"]) == code, capsys.readouterr().out
    row = json.loads(Path("table.json").read_text())[way.title]
    assert (row["comparisons"], row["different"] > 0) == (4, code == 1)


def test_a_run_keeps_the_rows_of_what_it_did_not_run(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    keep(path, {"a": {"comparisons": 1}, "b": {"comparisons": 1}})
    keep(path, {"b": row_of(WAY, judged(WAY, both(), both()))})
    found = json.loads(path.read_text())
    assert (found["a"]["comparisons"], found["b"]["comparisons"]) == (1, 4)


def test_every_file_that_is_written_has_been_read_by_every_package_that_is_run() -> None:
    run = json.loads((ROOT / "docs" / "peers.json").read_text())
    assert {way.preset for way in WAYS} == set(run) == set(READERS)
    rows = json.loads((ROOT / "docs" / "peers_back.json").read_text())
    assert set(rows) == {way.title for way in WAYS}
    for way in WAYS:
        row = rows[way.title]
        assert (row["preset"], row["file"], row["different"]) == (way.preset, way.file, 0)
        assert row["comparisons"] == len(OUTPUTS) * len(PRECISIONS) * len(way.sizes)
        assert all(far["used"] < 1 for far in row["largest"].values())
