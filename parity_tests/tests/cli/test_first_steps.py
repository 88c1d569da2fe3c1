"""What a newcomer meets: help, a mistyped word, a device that is not there, how far it has come, and what is lost."""

import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from parity_tests.cli import main as retinanet_parity
from parity_tests.tests.support.data_sets import write_digits
from torch_retinanet.cli import main
from torch_retinanet.data import progress
from torch_retinanet.data.digits import Digits

SMALL = ["--backbone", "resnet18", "--width", "16", "--head-depth", "1", "--min-side", "64", "--max-side", "64"]


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("usage: retinanet ")
    assert shown.err == ""


@pytest.mark.parametrize(("command", "name"), [(main, "retinanet"), (retinanet_parity, "retinanet-parity")])
def test_a_command_says_its_version(
    command: Callable[[list[str]], int], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"{name} {version('torch-retinanet')}\n")


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["trian", "data"], "did you mean train?"),
        (["detect", "RUN", "a.jpg", "--treshold", "0.5"], "did you mean --threshold?"),
        (["train", "data", "--step", "3"], "did you mean --steps?"),
        (["train", "data", "--learning_rate", "1"], "did you mean --rate?"),
        (["train", "data", "--lr", "1"], "did you mean --rate?"),
        (["train", "data", "--min-level", "2"], "did you mean --conventions min_level=VALUE?"),
        (["predict", "RUN", "a.jpg"], "did you mean detect?"),
        (
            ["detect", "RUN", "a.jpg", "--gpu"],
            "retinanet detect: unrecognized arguments: --gpu; did you mean --device?",
        ),
        (["detect", "RUN", "a.jpg", "--device", "gpu"], "did you mean cuda?"),
        (["evaluate", "RUN", "data", "--half"], "did you mean --precision?"),
        (["conventions", "--preset", "keras_io"], "retinanet conventions: unrecognized arguments: --preset keras_io\n"),
        (["inspect", "data", "--xyz"], "unrecognized arguments: --xyz\n"),
    ],
)
def test_what_was_meant_is_said(arguments: list[str], meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code: Any = main(arguments)
    except SystemExit as ended:
        code = ended.code
    said = capsys.readouterr().err
    assert (code, said.count("\n")) == (2, 1)
    assert meant in said


def test_a_device_that_is_not_there_is_named_beside_those_that_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.accelerator.is_available", lambda: False)
    data = write_digits(tmp_path, Digits("train", length=2, size=(64, 64)))
    for command in (["detect", "RUN", "a.jpg"], ["evaluate", "RUN", str(data)], ["train", str(data), *SMALL]):
        if command[0] == "detect":
            (tmp_path / "a.jpg").touch()
            command[2] = str(tmp_path / "a.jpg")
        assert main([*command, "--device", "cuda", "--out", str(tmp_path / "out")]) == 2
        assert "device: cuda is not there; this machine has cpu" in capsys.readouterr().err


def test_a_log_has_a_line_a_minute(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter(range(0, 1000, 25))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    assert list(progress.track(iter("abcdef"), total=6, words="detecting")) == list("abcdef")
    assert capsys.readouterr().err == "detecting: 2 of 6\ndetecting: 5 of 6\n"


def test_pictures_too_small_for_a_norm_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_digits(tmp_path, Digits("train", length=2, size=(64, 64)))
    tiny = ["--backbone", "resnet18", "--width", "8", "--head-depth", "1", "--min-side", "32", "--max-side", "32"]
    assert main(["train", str(data), *tiny, "--steps", "1", "--batch", "1", "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert "pictures: one in a batch is so small that a norm sees one pixel of it; --min-side makes it larger\n" in said


def test_pictures_that_are_not_there_are_said_before_the_first_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_digits(tmp_path, Digits("train", length=4, size=(64, 64)))
    for missing in ("0.png", "2.png"):
        (tmp_path / missing).unlink()
    assert main(["train", str(data), *SMALL, "--steps", "1", "--batch", "2", "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().err
    assert "retinanet: 2 entries cannot be used, `retinanet inspect` lists them; " in said
    assert "; 2 pictures and " in said
    assert f"retinanet: pictures that were not found: 2, looked for in {tmp_path}" in said
    assert "; they are left out; --images names their folder\n" in said
