"""The command as its users meet it: what it prints and writes, what it takes and refuses, how it ends."""

import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity_tests import cli
from parity_tests.cli import ladder
from parity_tests.ladder.case import Answer
from parity_tests.retinanet import setup
from parity_tests.retinanet.comparison import PRESETS
from parity_tests.retinanet.keras_side import REFERENCES, KerasDetectorSide
from parity_tests.retinanet.names import tag_of
from parity_tests.retinanet.pictures import picture_batch, read_pictures
from parity_tests.retinanet.setup import prepare, start_run
from parity_tests.rule.record import Record, Where
from parity_tests.rule.result import Result
from parity_tests.tests.support import climbs
from parity_tests.tests.support.commands import photo
from parity_tests.tests.support.pages import TEXT
from parity_tests.tests.support.planted import narrowed
from torch_retinanet import RetinaNet, RetinaNetConfig, save_weights

forward: Any = importlib.import_module("parity_tests.retinanet.rungs.forward")


@pytest.fixture(scope="module")
def keras_weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[KerasDetectorSide, Path]:
    """A reference with three classes, and its weights in a file."""
    side = KerasDetectorSide("notebook", 3, "float32", seed=5)
    path = tmp_path_factory.mktemp("weights") / "model.weights.h5"
    side.model.save_weights(path)
    return side, path


@pytest.fixture
def of_narrow_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command compares has a sixteenth of the channels; `.ci/run` has it compare whole networks."""
    monkeypatch.setattr(setup, "start_run", lambda *given, **settings: narrowed(start_run(*given, **settings)))


FAST = ["--preset", "notebook", "--rungs", "forward", "--dtype", "float64", "--sizes", "32x64"]


@pytest.mark.usefixtures("of_narrow_networks")
def test_the_command_prints_tables_and_writes_every_record(
    keras_weights: tuple[KerasDetectorSide, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "parity.json"
    picture = photo(tmp_path / "photo.png", size=(40, 60))
    page, junit = tmp_path / "parity.html", tmp_path / "parity.xml"
    files = ["--json", str(target), "--html", str(page), "--junit", str(junit)]
    assert cli.main([*FAST[2:], "--weights", str(keras_weights[1]), "--image", str(picture), *files]) == 0
    output = capsys.readouterr().out
    assert "weights: model.weights.h5;" in output
    assert "2x396x7" in output, "three classes"
    assert re.search(r"^ p6 +2x1x1x16 +2x16x1x1 +\d\.\de-\d+ +\d+% +equal", output, re.MULTILINE)
    assert output.splitlines()[-1] == "equal: 83 taps agree, in 693 comparisons"
    report = json.loads(target.read_text())
    assert (report["verdict"], report["exit_code"], report["summary"]) == ("equal", 0, output.splitlines()[-1])
    assert len(report["records"]) == 693
    assert all(0 <= record["used"] <= 1 for record in report["records"])
    assert report["settings"]["image"] == ["photo.png"]
    assert report["provenance"]["threads"]["torch"] >= 1
    assert report["provenance"]["threads"]["tensorflow"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("parity.html", "parity.json", "parity.xml", "photo.png"),
    ]
    assert "83 taps agree, in 693 comparisons" in page.read_text(encoding="utf-8")
    assert 'tests="693" failures="0" errors="0"' in junit.read_text(encoding="utf-8")


BROKEN = {"broken_data_stream.png", "truncated_image.png", "truncated_jpeg.jpg"}


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_awkward_pictures_are_read_and_broken_ones_refused_in_a_sentence(
    awkward: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [path for path in awkward.iterdir() if path.suffix in (".png", ".jpg", ".mpo", ".tif")]
    pictures = read_pictures([path for path in paths if path.name not in BROKEN])
    batch = picture_batch(pictures, (32, 64))
    assert batch.shape == (len(paths) - len(BROKEN), 32, 64, 3)
    assert -1 <= batch.min() < batch.max() <= 1
    for name in sorted(BROKEN):
        assert cli.main(["--image", str(awkward / name), "--preset", "notebook"]) == 2
        assert capsys.readouterr().err.startswith(f"retinanet-parity: {awkward / name}: not a picture that Pillow")


def test_weights_that_are_not_finite_are_no_difference_but_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    side = KerasDetectorSide("notebook", 1, "float32")
    broken = {name: np.full_like(v, np.nan) if name.endswith("beta") else v for name, v in side.parameters().items()}
    side.assign(broken)
    side.model.save_weights(tmp_path / "model.weights.h5")
    assert cli.main([*FAST, "--weights", str(tmp_path / "model.weights.h5")]) == 2
    assert "tensor fpn.backbone.bn1.bias has 64 values that are not finite" in capsys.readouterr().err


def test_the_run_has_the_weights_of_the_file(keras_weights: tuple[KerasDetectorSide, Path]) -> None:
    side, path = keras_weights
    config, variables = prepare("notebook", path)
    assert config.num_classes == 3
    assert all(np.array_equal(variables[name], values) for name, values in side.parameters().items())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--preset", "ssd"], "preset: 'ssd' must be one of notebook, keras_io, torchvision"),
        (
            ["--preset", "torchvision"],
            "--preset: 'torchvision' has no Keras reference; there is one for notebook, k",
        ),
        (
            ["--preset", "notebook", "keras_io", "--weights", "a.keras"],
            "--preset: notebook keras_io are several, and a.keras holds the weights of one",
        ),
        (["--override", "decay=never"], "decay: 'never' must be one of 'decoupled', 'in_gradient'"),
        (["--sizes", "128"], "--sizes: '128' must be HEIGHTxWIDTH in pixels, as 128x128"),
        (["--sizes", "0x64"], "--sizes: '0x64' must be HEIGHTxWIDTH in pixels, as 128x128"),
        (["--sizes", "32000x32000"], "--sizes: '32000x32000' must have 2097152 pixels at most"),
        (["--sizes", "99999999999999999968x32"], "--sizes: '99999999999999999968x32' must have"),
        (["--sizes", "64x64", "100x64"], "--sizes: 100x64 does not divide by 32, which preset notebook needs"),
        (["--image", "nowhere.png"], "nowhere.png: there is no such file"),
        (["--image", __file__], f"{__file__}: not a picture that Pillow can read"),
        (["--weights", "nowhere.keras"], "nowhere.keras: there is no such file"),
        (["--weights", "{empty}.keras"], "{empty}.keras: not a whole .keras archive"),
        (["--weights", "{empty}.weights.h5"], "{empty}.weights.h5: not a whole HDF5 file"),
        (["--weights", "{empty}.safetensors"], "{empty}.safetensors: not a whole safetensors file"),
        (["--image", "{empty}.png"], "{empty}.png: an empty file, of 0 bytes"),
        (["--seed", "-1"], "argument --seed: '-1' must be a whole number of at least 0"),
        (["--dtype", "half"], "argument --dtype: invalid choice: 'half'"),
        (["--json", "."], "--json: . must be a file in a folder that can be written to"),
        (["--override", "p7_relu=never"], "p7_relu: 'never' must be one of 'after', 'before'"),
        (["--json", "nowhere/parity.json"], "--json: nowhere/parity.json lies in a folder that does not exist"),
    ],
)
def test_wrong_usage_ends_in_one_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = str(tmp_path / "empty")
    for suffix in (".keras", ".weights.h5", ".safetensors", ".png"):
        Path(empty + suffix).touch()
    alone = [] if {"--preset", "--weights"} & {*arguments} else ["--preset", "notebook"]
    with pytest.raises(SystemExit) as ending:
        sys.exit(cli.main([*alone, *(argument.format(empty=empty) for argument in arguments)]))
    assert ending.value.code == 2
    output, error = capsys.readouterr()
    assert output == ""
    assert error.count("\n") == 1
    assert error.startswith(f"retinanet-parity: {sentence.format(empty=empty)}")


@pytest.mark.parametrize(
    ("backend", "sentence"),
    [("torch", "'torch' runs torch's own kernels and is no independent"), ("abacus", "'abacus' must be tensorflow")],
)
def test_only_an_independent_backend_judges(
    backend: str, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", backend)
    assert cli.main([]) == 2
    assert f"KERAS_BACKEND: {sentence}" in capsys.readouterr().err


def test_a_fault_of_the_instrument_itself_never_says_that_the_models_differ(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fault(*arguments: object) -> None:
        raise AssertionError("a fault")

    monkeypatch.setattr(ladder, "run", fault)
    assert cli.main([]) == 3
    assert "AssertionError: a fault" in capsys.readouterr().err


def test_the_last_line_says_what_was_compared() -> None:
    def record(rung: str, name: str) -> Record:
        return Record(rung=rung, where=Where(), name=name, tag=tag_of(name), verdict="equal")

    variable, shape, tap = record("parameters", "cls_head/0/kernel"), record("shapes", "p3"), record("forward", "p3")
    assert Result(records=[variable]).summary == "equal: 1 variable agrees, in 1 comparison"
    assert Result(records=[variable, shape]).summary == "equal: 1 tap agrees in shape, in 2 comparisons"
    assert Result(records=[variable, shape, tap]).summary == "equal: 1 tap agrees, in 3 comparisons"


def test_the_command_knows_the_references() -> None:
    assert tuple(REFERENCES) == PRESETS


@pytest.mark.usefixtures("of_narrow_networks")
def test_what_cannot_be_run_is_incomplete_and_never_green(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With weights of the port, which say their preset."""

    def out_of_memory(*arguments: object) -> Answer:
        raise MemoryError

    save_weights(RetinaNet(RetinaNetConfig.notebook(3)), tmp_path / "model.safetensors")
    monkeypatch.setattr(forward, "of_port", out_of_memory)
    assert cli.main([*FAST[2:], "--weights", str(tmp_path / "model.safetensors")]) == 3
    output = capsys.readouterr().out
    assert "weights: model.safetensors;" in output
    assert "2x396x7" in output, "three classes"
    last = output.splitlines()[-1]
    assert last == "incomplete: 1 comparison could not be made, first forward 96x160 float64 training (MemoryError)"
    assert f"\n{last}\n" in TEXT


@pytest.mark.usefixtures("of_narrow_networks")
def test_a_changed_convention_that_nothing_shows_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--rungs", "anchors", "--sizes", "64x64", "--dtype", "float64", "--override", "channel_order=rgb"]
    assert cli.main(["--preset", "notebook", *asked]) == 0
    [warning] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning: ")]
    assert f"\n{warning}\n" in TEXT


def test_presets_are_climbed_beside_each_other_and_reported_together(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The climb is another's; `.ci/run` climbs both presets with their own, and compares the last line."""
    monkeypatch.setattr(ladder, "climb_preset", climbs.equal_anchors)
    assert cli.main(["--preset", *PRESETS, "notebook"]) == 0
    output = capsys.readouterr().out
    assert re.search(r"^ notebook +anchors +1 .*equal", output, re.MULTILINE)
    assert re.search(r"^ keras_io +anchors +1 .*equal", output, re.MULTILINE)
    assert output.splitlines()[-1] == "equal: anchors agree, in 2 comparisons"


def test_what_fails_in_another_process_ends_the_command_in_its_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ladder, "climb_preset", climbs.refused)
    assert cli.main(["--sizes", "100x64"]) == 2
    assert re.search("--sizes: 100x64 does not divide by 32, which preset .* needs\n$", capsys.readouterr().err)


@pytest.mark.parametrize("status", [0, 1, 3])
def test_the_program_ends_with_the_exit_code_of_main(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """And leaves at once: frameworks are not taken down."""
    ended: list[int] = []
    monkeypatch.setattr(cli, "main", lambda: status)
    monkeypatch.setattr("os._exit", ended.append)
    cli.run()
    assert ended == [status]
