"""`examples/ray_detect.py` finds with Ray what `detect_pictures` finds; nothing else needs `ray[data]`."""

import subprocess
import sys
from pathlib import Path

import pytest

from parity_tests.tests.support.commands import photo, save_run
from parity_tests.tests.support.paths import ROOT
from torch_retinanet.cli.detector import read_detector
from torch_retinanet.predict import Detected, detect_pictures


@pytest.mark.slow
def test_two_workers_find_what_one_process_finds(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="pip install 'ray[data]'")
    parquet = pytest.importorskip("pyarrow.parquet")
    run, folder, out = save_run(tmp_path), tmp_path / "pictures", tmp_path / "out"
    for i in range(5):
        photo(folder / f"{i}.png", seed=i)
    (folder / "3.png").write_bytes(b"no picture")
    script = str(ROOT / "examples" / "ray_detect.py")
    subprocess.run([sys.executable, script, run, folder, out, "--batch", "2"], check=True, timeout=300)
    lines = {Path(line["path"]).name: line for line in parquet.read_table(out).to_pylist()}
    assert sorted(lines) == [f"{i}.png" for i in range(5)]
    assert "not a picture that Pillow can read" in lines["3.png"]["error"]
    found = detect_pictures(read_detector(run, score_threshold=0.3), sorted(folder.iterdir()))
    expected = {one.path.name: one.detections for one in found if isinstance(one, Detected)}
    assert len(expected) == 4
    assert any(len(one["labels"]) for one in expected.values())
    for name, detections in expected.items():
        assert lines[name]["error"] is None
        for key, values in detections.items():
            assert lines[name][key] == values.tolist()
