"""A pair of one's own: its reference is recorded, and its port checked against what was recorded."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from parity_tests import KerasModel, TorchModule, check_model, compare_models, record_model
from parity_tests.bundle.files import Bundle
from parity_tests.bundle.models import recorded
from parity_tests.cli import main
from parity_tests.rule.errors import UsageError
from parity_tests.tests.support.paths import ROOT
from parity_tests.tests.support.small_models import IMAGES, TAPS, Port, keras_model


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Keras model, recorded."""
    folder = tmp_path_factory.mktemp("models") / "own.parity"
    record_model(KerasModel(keras_model(), taps=TAPS), IMAGES, folder)
    return folder


def test_a_right_port_is_equal_to_what_was_recorded_as_to_the_model_itself(bundle: Path) -> None:
    checked = check_model(bundle, TorchModule(Port(), taps=TAPS))
    itself = compare_models(KerasModel(keras_model(), taps=TAPS), TorchModule(Port(), taps=TAPS), IMAGES)
    assert checked.verdict == "equal", checked.summary
    assert [(r.rung, r.where, r.name, r.used) for r in checked.records] == [
        (r.rung, r.where, r.name, r.used) for r in itself.records
    ]


@pytest.mark.planted
def test_a_wrong_port_is_named_against_what_was_recorded(bundle: Path) -> None:
    wrong = check_model(bundle, TorchModule(Port(norm=nn.BatchNorm2d(4, eps=1e-5)), taps=TAPS))
    assert wrong.summary.startswith("different: norm is where it starts")


def test_what_the_port_lacks_makes_it_incomplete(bundle: Path) -> None:
    without = {name: path for name, path in TAPS.items() if name != "act"}
    checked = check_model(bundle, TorchModule(Port(), taps=without))
    assert (checked.verdict, [list(c.missing) for c in checked.coverage if c.missing]) == ("incomplete", [["act"]])


PAIR = """
import torch
from parity_tests import KerasModel, ModelPair, TorchModule
from parity_tests.tests.support.small_models import IMAGES, TAPS, Port, keras_model

def wrong():
    return TorchModule(Port(norm=torch.nn.BatchNorm2d(4, eps=1e-5)), taps=TAPS)

def right():
    return TorchModule(Port(), taps=TAPS)

def reference():
    return KerasModel(keras_model(), taps=TAPS)

pair = ModelPair(reference=reference, port=right, inputs=IMAGES)
mistaken = ModelPair(reference=reference, port=wrong, inputs=IMAGES, settings={"names": {}})
misspelt = ModelPair(reference=reference, port=right, inputs=IMAGES, settings={"nmaes": {}})
one_loss = ModelPair(reference=reference, port=right, inputs=IMAGES, settings={"loss": 5})
failing = ModelPair(reference=lambda: 1 / 0, port=right, inputs=IMAGES)
number = 5

def made():
    return pair
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module of a user's own, in which the command runs."""
    (tmp_path / "own_pair_of_a_user.py").write_text(PAIR)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_the_command_records_and_checks_a_pair(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", "--pair", "own_pair_of_a_user:pair", "--out", "own.parity"]) == 0
    assert main(["check", "own.parity", "--pair", "own_pair_of_a_user:pair"]) == 0
    assert main(["check", "own.parity", "--pair", "own_pair_of_a_user:mistaken", "--json", "wrong.json"]) == 1
    assert main(["--pair", "own_pair_of_a_user:mistaken"]) == 1
    last = [line for line in capsys.readouterr().out.splitlines() if line.startswith("different: ")]
    assert len(last) == 2
    assert last[0] == last[1]
    assert last[0].startswith("different: norm is where it starts")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nothing", "--pair: 'nothing' must be MODULE:NAME, as my_models:pair"),
        ("no_such_module:pair", "'no_such_module:pair' cannot be loaded (ModuleNotFoundError: No module named"),
        ("own_pair_of_a_user:nobody", "'own_pair_of_a_user:nobody' cannot be loaded (AttributeError: module"),
        ("own_pair_of_a_user:number", "'own_pair_of_a_user:number' gives int, and must be, or make, a ModelPair"),
        ("own_pair_of_a_user:right", "'own_pair_of_a_user:right' gives TorchModule, and must be, or make"),
        ("own_pair_of_a_user:misspelt", "the setting 'nmaes' must be one of names, layouts"),
        ("own_pair_of_a_user:one_loss", "the setting 'loss': 5 must be two functions, the reference's and the port's"),
        ("own_pair_of_a_user:failing", "the function that makes the reference fails (ZeroDivisionError: "),
        ("", "'' must be MODULE:NAME"),
    ],
)
def test_what_is_no_pair_is_refused(own: Path, name: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--pair", name]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_a_function_may_make_the_pair(own: Path) -> None:
    assert main(["--pair", "own_pair_of_a_user:made"]) == 0


def test_an_option_of_the_retinanets_is_refused_beside_a_pair(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--pair", "own_pair_of_a_user:pair", "--rungs", "forward"]) == 2
    assert "--rungs: is of the RetinaNets, and says nothing of --pair" in capsys.readouterr().err


def test_a_reference_with_a_loss_is_checked_with_one(tmp_path: Path) -> None:
    record_model(KerasModel(keras_model(), taps=TAPS), IMAGES, tmp_path / "x", loss=lambda y: (y**2)[0, 0])
    with pytest.raises(UsageError, match=r"^loss: the reference was recorded with one"):
        check_model(tmp_path / "x", TorchModule(Port(), taps=TAPS))


def test_a_bundle_of_the_retinanets_is_not_one_of_a_model(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match=r"is no bundle, since it has no manifest\.json"):
        check_model(tmp_path, TorchModule(Port()))
    assert main(["check", str(bundle)]) == 2
    assert "was recorded of a pair of one's own, and is checked with its --pair" in capsys.readouterr().err


def test_a_port_is_checked_where_the_framework_of_the_reference_is_not_imported(bundle: Path) -> None:
    code = """
import sys
from pathlib import Path
import torch
from torch import nn
from parity_tests import TorchModule, check_model
class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2)
        self.norm, self.act = nn.BatchNorm2d(4, eps=1e-3), nn.ReLU()
        self.mix, self.dense = nn.Conv2d(4, 4, 1), nn.Linear(4, 5)
    def forward(self, x):
        x = nn.functional.pad(x, (0, 1, 0, 1))
        return self.dense(self.mix(self.act(self.norm(self.conv(x)))).mean((2, 3)))
taps = {name: name for name in ("conv", "norm", "act", "mix", "dense")}
result = check_model(Path(sys.argv[1]), TorchModule(Network(), taps), skip={"conv.input": "padded by a function"})
print(result.verdict, "keras" in sys.modules)
"""
    words = [sys.executable, "-c", code, str(bundle)]
    ended: Any = subprocess.run(words, capture_output=True, text=True, timeout=200, check=False, cwd=ROOT)
    assert ended.stdout.split() == ["equal", "False"], ended.stderr[-2000:]


def test_a_port_with_a_loss_is_held_against_the_loss_that_was_recorded(tmp_path: Path) -> None:
    import keras

    folder = tmp_path / "loss.parity"
    record_model(KerasModel(keras_model(), taps=TAPS), IMAGES, folder, loss=lambda y: keras.ops.mean(y**2))
    right = check_model(folder, TorchModule(Port(), taps=TAPS), loss=lambda y: (y**2).mean())
    assert right.verdict == "equal", right.summary
    wrong = check_model(folder, TorchModule(Port(), taps=TAPS), loss=lambda y: torch.mean(y**2) * 1.001)
    assert wrong.verdict == "different"


def test_what_is_skipped_is_skipped_against_what_was_recorded_too(bundle: Path) -> None:
    skip, port = {"dense/bias": "it is not carried over"}, TorchModule(Port(), taps=TAPS)
    checked = check_model(bundle, port, skip=skip)
    itself = compare_models(KerasModel(keras_model(), taps=TAPS), port, IMAGES, skip=skip)
    assert [(r.rung, r.name, r.verdict) for r in checked.records] == [
        (r.rung, r.name, r.verdict) for r in itself.records
    ]
    assert "dense/bias" not in {r.name for r in checked.records if r.rung == "gradients"}


def test_recorded_weights_that_are_changed_are_not_changed_for_the_next_who_asks(bundle: Path) -> None:
    model = recorded(Bundle(bundle))
    for values in model.parameters().values():
        values[:] = 0
    assert all(values.any() for values in model.parameters().values())
