"""A run that is killed at any moment and gone on with ends with the very weights of one that never was."""

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from parity_tests.tests.support.data_sets import write_digits
from torch_retinanet import RetinaNet, RetinaNetConfig, save_weights
from torch_retinanet.cli import main
from torch_retinanet.data.dataset import Batch, PictureDataset, SampleKey
from torch_retinanet.data.digits import Digits
from torch_retinanet.train import settings_of
from torch_retinanet.train.checkpoint import read_checkpoint
from torch_retinanet.train.train_step import TrainStep
from torch_retinanet.weights.digest import save_with_digest
from torch_retinanet.weights.safetensors_file import read_safetensors
from torch_retinanet.weights.weights_file import WeightsFile

MODEL = ["--backbone", "resnet18", "--width", "16", "--head-depth", "1", "--min-side", "64", "--max-side", "64"]
RUN = ["--steps", "12", "--batch", "2", "--rate", "1e-3", "--ema", "0.9", "--save-every", "4", "--log-every", "1"]
EVALUATED = ["--evaluate-every", "6", "--scale", "0.8", "1.2", "--colour", "0.2", "--crop", "0.3"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_digits(tmp_path_factory.mktemp("digits"), Digits("train", length=6, size=(64, 64)))


def arguments(data: Path, out: Path) -> list[str]:
    return ["train", *map(str, (data, "--val", data, "--out", out)), *MODEL, *RUN, *EVALUATED]


def resume(folder: Path) -> None:
    assert main(["train", "--resume", str(folder)]) == 0


@pytest.fixture(scope="module")
def undisturbed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    assert main(arguments(data, folder)) == 0
    return folder


def assert_same_run(left: Path, right: Path) -> None:
    for name in ("model.safetensors", "checkpoint.safetensors"):
        first, second = load_file(left / name), load_file(right / name)
        assert first.keys() == second.keys()
        assert all(torch.equal(first[key], second[key]) for key in first)
    assert (left / "evaluations.csv").read_text() == (right / "evaluations.csv").read_text()
    steps = [[line.split(",")[:6] for line in (run / "metrics.csv").read_text().splitlines()] for run in (left, right)]
    assert steps[0] == steps[1]
    assert not list(right.rglob(".*")), "nothing half written"


KILLS = {
    "before the first checkpoint": ("torch_retinanet.train.train_step.TrainStep.step", 2),
    "within a step": ("torch_retinanet.train.train_step.MovingAverage.update", 7),
    "as a checkpoint is renamed": ("pathlib.Path.replace", 2),
    "between the weights and the checkpoint": ("torch_retinanet.train.trainer.write_checkpoint", 1),
}
"""What is called as a run is killed, one time after the other, and for which time since it went on."""

KILLED = """
import gc, importlib, json, os, signal, sys
from torch_retinanet.cli import main
from torch_retinanet.train import Trainer

folder, kills, flags = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3:]


def killed_at(target, calls):
    owner, _, name = target.rpartition(".")
    module, _, attribute = owner.rpartition(".")
    place = getattr(importlib.import_module(module), attribute)
    original, done = getattr(place, name), 0

    def killed(*args, **settings):
        nonlocal done
        done += 1
        if done == calls:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **settings)

    setattr(place, name, killed)


gc.freeze()  # no child looks at, and thereby copies, what is there
for moment, (target, calls) in kills.items():
    child = os.fork()
    if not child:
        killed_at(target, calls)
        sys.exit(main(flags))
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert ended == -signal.SIGKILL, (moment, ended)
    assert not os.path.exists(f"{folder}/losses.png"), moment
    flags = ["train", "--resume", folder]
"""
"""Runs that are killed, each a fork of one process that has loaded what they need, and has computed nothing."""


@pytest.mark.ci
def test_a_run_that_is_killed_again_and_again_goes_on_to_the_same_weights(
    data: Path, undisturbed: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    flags = [*arguments(data, folder), "--workers", "1"]
    command = [sys.executable, "-c", KILLED, str(folder), json.dumps(KILLS), *flags]
    subprocess.run(command, stdout=subprocess.DEVNULL, timeout=300, check=True)
    resume(folder)
    assert_same_run(undisturbed, folder)


def test_a_run_goes_on_from_any_folder_until_its_data_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_digits(tmp_path, Digits("train", length=4, size=(64, 64)))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["train", data.name, "--val", data.name, "--out", "run", *MODEL, "--steps", "2", "--batch", "2"]) == 0
    monkeypatch.chdir(tmp_path / "elsewhere")
    resume(Path("..") / "run")
    settings = settings_of(tmp_path / "run")
    assert (settings.data, settings.val, settings.out) == (data, data, tmp_path / "run")
    capsys.readouterr()
    data.rename(tmp_path / "elsewhere" / "moved.json")
    assert main(["train", "--resume", "../run"]) == 2
    rule = "data in ../run/config.toml must say where it is now"
    assert capsys.readouterr().err == f"retinanet: data: {data} is not there any more; {rule}\n"


def test_weights_to_begin_with_are_read_once_and_not_when_a_run_goes_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    monkeypatch.setattr("torch_retinanet.weights.read_safetensors", lambda path: noted(path))

    def noted(path: Path) -> WeightsFile:
        read.append(path.name)
        return read_safetensors(path)

    small = RetinaNetConfig.torchvision(10, backbone="resnet18", width=16, head_depth=1)
    save_weights(RetinaNet(small), tmp_path / "first.safetensors")
    first = ["--weights", str(tmp_path / "first.safetensors")]
    assert main(["train", str(data), "--out", str(tmp_path / "run"), *MODEL, *first, "--steps", "1"]) == 0
    assert read == ["first.safetensors"]
    (tmp_path / "first.safetensors").unlink()
    resume(tmp_path / "run")
    assert read == ["first.safetensors"]


@pytest.mark.slow
def test_ten_kills_at_random_moments_change_nothing(data: Path, tmp_path: Path) -> None:
    rng, folder, killed = random.Random(0), tmp_path / "killed", 0
    long = ["--steps", "150", "--evaluate-every", "40"]
    assert main([*arguments(data, tmp_path / "undisturbed"), *long]) == 0
    command = [sys.executable, "-c", "import sys; from torch_retinanet.cli import main; sys.exit(main(sys.argv[1:]))"]
    while killed < 10:
        begun = (folder / "config.toml").exists()
        flags = ["train", "--resume", str(folder)] if begun else [*arguments(data, folder), *long]
        with subprocess.Popen([*command, *flags]) as run:
            with contextlib.suppress(subprocess.TimeoutExpired):
                run.wait(timeout=rng.uniform(1, 7))
            assert run.poll() is None, "a run that is killed ten times must be longer"
            run.kill()
        killed += 1
    resume(folder)
    assert_same_run(tmp_path / "undisturbed", folder)


@pytest.mark.ci
def test_ctrl_c_ends_between_two_steps_with_a_sentence(
    data: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(training: TrainStep, batches: Sequence[Batch]) -> dict[str, float]:
        if training.progress.step == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return step(training, batches)

    step, folder = TrainStep.step, tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(TrainStep, "step", interrupted)
        assert main(arguments(data, folder)) == 130
    sentence = f"retinanet: stopped after step 5 of 12; `retinanet train --resume {folder}` goes on"
    assert capsys.readouterr().err.splitlines()[-1] == sentence
    resume(folder)
    assert_same_run(undisturbed, folder)


def test_a_full_disk_is_a_sentence_and_the_last_checkpoint_whole(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*arguments: Any) -> None:
        if saved.exists():
            raise SafetensorError("I/O error: No space left on device (os error 28)")
        save_with_digest(*arguments)

    folder = tmp_path / "run"
    saved = folder / "checkpoint.safetensors"
    monkeypatch.setattr("torch_retinanet.train.checkpoint.save_with_digest", full)
    assert main(arguments(data, folder)) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"retinanet: {saved}: cannot be written, I/O error: No space left on device")
    assert error.endswith("; the last checkpoint is whole")
    assert read_checkpoint(saved)[0].step == 4


def test_a_reader_that_is_killed_is_a_sentence(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def killed(dataset: PictureDataset, draw: SampleKey) -> Any:
        if draw.number == 18:
            os.kill(os.getpid(), signal.SIGKILL)
        return read(dataset, draw)

    read = PictureDataset.__getitem__
    monkeypatch.setattr(PictureDataset, "__getitem__", killed)
    assert main(arguments(data, tmp_path / "run")) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == "retinanet: workers: a process that reads pictures was ended from outside, as for want of memory"
    assert read_checkpoint(tmp_path / "run" / "checkpoint.safetensors")[0].step >= 4


def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_its_batch(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(training: TrainStep, batches: Sequence[Batch]) -> dict[str, float]:
        if training.progress.step == 4:
            torch.nn.init.constant_(training.detector.model.fpn.conv_c3_1x1.weight, float("nan"))
        return step(training, batches)

    step, folder = TrainStep.step, tmp_path / "run"
    monkeypatch.setattr(TrainStep, "step", broken)
    assert main(arguments(data, folder)) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert re.match(r"retinanet: step 5 is not finite: classification nan, .*; its batch is in .*bad_batch", error)
    kept = load_file(folder / "bad_batch.safetensors")
    assert {name.partition(".")[0] for name in kept} == {"images", "targets"}
    assert kept["images.0"].shape == (3, 64, 64)
