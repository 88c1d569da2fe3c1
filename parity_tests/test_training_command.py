"""The command `retinanet train`: what it says of wrong flags, and how it runs in several processes."""

import gc
import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from parity_tests.data_sets import write_digits
from torch_retinanet.cli import main
from torch_retinanet.train import Run, TrainConfig

MODEL = ["--backbone", "resnet18", "--width", "16", "--head-depth", "1", "--min-side", "64", "--max-side", "64"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_digits(tmp_path_factory.mktemp("digits"), count=6)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ([], "missing from retinanet train: PATH annotations in any format"),
        (["data", "--foo", "3"], "unrecognized options: --foo, 3;"),
        (
            ["data", "--steps", "x"],
            "error parsing --steps: no type matching {None}|INT could be",
        ),
        (
            ["data", "--optimizer", "lion"],
            "invalid choice 'lion' for argument '--optimizer'. Expected one",
        ),
        (["data", "--rate", "-1"], "rate: -1.0 must be at least 0"),
        (["data", "--config"], "--config: must be followed by a value"),
    ],
)
def test_a_wrong_flag_is_refused_in_a_sentence(
    flags: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *flags]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"retinanet: {sentence}")
    assert said.count("\n") == 1


def test_no_process_is_left_after_a_run(data: Path, tmp_path: Path) -> None:
    """One that waits for more pictures would keep Python from ending."""
    model = {"backbone": "resnet18", "width": 16, "head_depth": 1, "min_side": 64, "max_side": 64}
    gc.disable()
    try:
        Run(TrainConfig(data=data, out=tmp_path / "run", steps=2, batch=2, **model)).go()  # type: ignore[arg-type]
        assert not multiprocessing.active_children()
    finally:
        gc.enable()


def test_two_processes_learn_what_one_learns_from_twice_the_batches(data: Path, tmp_path: Path) -> None:
    flags = [str(data), *MODEL, "--steps", "3", "--batch", "2", "--rate", "1e-3", "--frozen-norm"]
    assert main(["train", *flags, "--accumulate", "2", "--out", str(tmp_path / "one")]) == 0
    launch = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--cpu",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
    ]
    command = [*launch, "--mixed_precision", "no", "--dynamo_backend", "no", "-m", "torch_retinanet", "train"]
    subprocess.run([*command, *flags, "--out", str(tmp_path / "two")], check=True, capture_output=True)
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name, weights in one.items():
        torch.testing.assert_close(two[name], weights, rtol=1e-3, atol=1e-5, msg=name)
