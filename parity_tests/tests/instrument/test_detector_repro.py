"""The first module of the network that differs is cut out: a script shows the difference without the instrument."""

import runpy
from pathlib import Path

import pytest

from parity_tests import cli
from parity_tests.retinanet.comparison import DetectorComparison
from parity_tests.retinanet.frameworks import keras_precision
from parity_tests.retinanet.repro import NOTHING, module_that_differs, write_detector_repro
from parity_tests.rule.record import Record, Where
from parity_tests.tests.support.planted import changed_network, records_on


@pytest.mark.planted
def test_the_script_shows_the_difference_of_the_record(
    whole: DetectorComparison, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole.sides.restore()
    changed = changed_network(whole, "bn_eps=1e-5", sizes=[(32, 32)])
    record = module_that_differs(records_on(changed, "forward", "32x32"))
    assert record is not None
    assert record.name == "stem"
    words = write_detector_repro(changed, record, tmp_path / "cut", ["bn_eps=1e-5"])
    assert words == "repro: stem by itself is in cut/repro.py, with what it is fed"
    script = tmp_path / "cut" / "repro.py"
    assert "parity_tests" not in script.read_text()
    with keras_precision("float32"):  # and back to what it was
        runpy.run_path(str(script))
    assert capsys.readouterr().out.startswith(f"largest difference {record.difference:.1e}, of values up to ")


def test_a_loss_that_differs_is_no_module() -> None:
    loss = Record(rung="losses", where=Where(dtype="float64"), name="loss.box", verdict="different")
    assert module_that_differs([loss]) is None
    assert module_that_differs([]) is None


def test_the_command_says_where_there_is_nothing_to_cut_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--preset", "notebook", "--rungs", "anchors", "--sizes", "64x64", "--dtype", "float64"]
    assert cli.main([*asked, "--override", "anchor_scale=2", "--repro", str(tmp_path / "cut")]) == 1
    assert f"warning: {NOTHING}" in capsys.readouterr().out
    assert not (tmp_path / "cut").exists()
