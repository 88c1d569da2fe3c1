"""The first module that differs is cut out: a script shows the difference by itself, without the instrument."""

import re
import runpy
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from torch import Tensor, nn

from parity_tests import KerasModel, TorchModule, compare_models, randomise
from parity_tests.rule.errors import UsageError
from parity_tests.tests.support.small_models import IMAGES, TAPS, Port, keras_model


class WrongNorm(nn.Module):
    """A port whose norm has torch's own epsilon, in a class that takes no arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.port = Port(norm=nn.BatchNorm2d(4, eps=1e-5))

    def forward(self, x: Tensor) -> Any:
        return self.port(x)


class HalvedLinear(nn.Linear):
    """A layer of the user's own."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / 2


class OwnModel(nn.Module):
    """A model that takes no arguments and has such a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = HalvedLinear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.dense(x)
        return found


def shown_by(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> float:
    """What the script says, run where this package cannot be imported, unless it has a model of these tests."""
    script = folder / "repro.py"
    capsys.readouterr()
    with monkeypatch.context() as patched:
        if "parity_tests" not in script.read_text().partition('"""')[2].partition('"""')[2]:
            for name in [name for name in sys.modules if name.partition(".")[0] == "parity_tests"]:
                patched.setitem(sys.modules, name, None)
        runpy.run_path(str(script))
    said = capsys.readouterr().out.strip()
    found = re.fullmatch(r"largest difference (.*), of values up to .*", said)
    assert found, said
    return float(found[1])


def difference(result: Any, name: str) -> float:
    [record] = [
        r
        for r in result.records
        if (r.name, r.rung, r.where.mode, r.where.dtype) == (name, "forward", "isolated", "float64")
    ]
    return float(f"{record.difference:.1e}")


def test_a_layer_of_the_frameworks_is_made_by_their_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    taps = {tap: f"port.{path}" for tap, path in TAPS.items()}
    result = compare_models(
        KerasModel(keras_model(), TAPS), TorchModule(WrongNorm(), taps), IMAGES, repro=tmp_path / "found"
    )
    assert result.warnings[-1] == "repro: norm by itself is in found/repro.py, with what it is given"
    script = (tmp_path / "found" / "repro.py").read_text()
    assert "port = nn.BatchNorm2d(4, eps=1e-05" in script
    assert "reference = keras.layers.BatchNormalization.from_config({" in script
    assert shown_by(tmp_path / "found", monkeypatch, capsys) == difference(result, "norm")


def test_a_module_of_the_user_s_is_taken_from_its_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, name="dense")])
    randomise(model)
    rows = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    result = compare_models(model, OwnModel(), rows, repro=tmp_path)
    assert "port = OwnModel().get_submodule('dense')" in (tmp_path / "repro.py").read_text()
    assert shown_by(tmp_path, monkeypatch, capsys) == difference(result, "dense")


def test_a_module_of_which_nothing_says_how_it_is_made_is_left_to_the_user(tmp_path: Path) -> None:
    class Local(OwnModel):
        """A model that cannot be imported."""

    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, name="dense")])
    randomise(model)
    said = compare_models(model, Local(), IMAGES[:, 0, 0, :1].repeat(6, 1), repro=tmp_path).warnings[-1]
    assert said.endswith("; put your own model's module where it has ...")
    assert "port = ...  # dense of your own model" in (tmp_path / "repro.py").read_text()


def test_nothing_is_written_where_nothing_differs_or_no_module_does(tmp_path: Path) -> None:
    assert (
        compare_models(KerasModel(keras_model(), TAPS), TorchModule(Port(), TAPS), IMAGES, repro=tmp_path / "x").verdict
        == "equal"
    )
    said = compare_models(np.tanh, np.sinh, IMAGES, repro=tmp_path / "x").warnings[-1]
    assert said == "repro: no module that both sides have differs by itself; nothing was written"
    assert not (tmp_path / "x").exists()


def test_a_file_in_its_place_is_refused_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(UsageError, match=r"^repro: .*x is a file, and must be a folder"):
        compare_models(np.tanh, np.sinh, IMAGES, repro=tmp_path / "x")
