"""The command `retinanet train`: what it says of wrong flags, and how it runs in several processes."""

import csv
import gc
import json
import math
import multiprocessing
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from parity_tests.tests.support.data_sets import write_digits, write_voc
from torch_retinanet.cli import main
from torch_retinanet.data.digits import Digits
from torch_retinanet.train import TrainConfig, Trainer, processes
from torch_retinanet.train.checkpoint import read_checkpoint

MODEL = ["--backbone", "resnet18", "--width", "16", "--head-depth", "1", "--min-side", "64", "--max-side", "64"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_digits(tmp_path_factory.mktemp("digits"), Digits("train", length=6, size=(64, 64)))


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
    small = TrainConfig(data=data, backbone="resnet18", width=16, head_depth=1, min_side=64, max_side=64)
    gc.disable()
    try:
        Trainer(replace(small, out=tmp_path / "run", steps=2, batch=2)).fit()
        assert not multiprocessing.active_children()
    finally:
        gc.enable()


def apart(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> float:
    """The distance of two models' weights."""
    return math.sqrt(sum(float((one[name] - other[name]).double().square().sum()) for name in one))


def in_two_processes(flags: Sequence[str], said: Path) -> str:
    """What `retinanet train` says in two processes that share the CPU, and meet at a port that is free.

    It says so in a file: whoever reads a pipe waits for all that hold it, though they never end.
    """
    address = ["--standalone", "--local-addr", "127.0.0.1"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", *address]
    words = [*launch, "-m", "torch_retinanet", "train", *flags]
    with said.open("w") as file, subprocess.Popen(words, stdout=file, stderr=subprocess.STDOUT) as launched:
        try:
            assert launched.wait(timeout=300) == 0, said.read_text()
        finally:
            launched.terminate()  # and with it those that it launched
    return said.read_text()


SHORT = ["--steps", "3", "--batch", "2", "--optimizer", "sgd", "--rate", "1e-3", "--frozen-norm", "--log-every", "1"]


@pytest.fixture(scope="module")
def shared(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a run in two processes, and what it said."""
    folder = tmp_path_factory.mktemp("runs") / "two"
    flags = [str(data), *MODEL, *SHORT, "--val", str(data), "--out", str(folder)]
    return folder, in_two_processes(flags, folder.with_suffix(".txt"))


@pytest.mark.ci
def test_two_processes_learn_what_one_learns_from_twice_the_batches(
    data: Path, shared: tuple[Path, str], tmp_path: Path
) -> None:
    flags = [str(data), *MODEL, *SHORT]
    assert main(["train", *flags, "--accumulate", "2", "--out", str(tmp_path / "one")]) == 0
    assert main(["train", *flags, "--out", str(tmp_path / "half")]) == 0
    folders = (tmp_path / "one", tmp_path / "half", shared[0])
    one, half, two = (load_file(folder / "model.safetensors") for folder in folders)
    assert apart(one, two) < apart(one, half) / 1000, "half of the pictures lead elsewhere"


def train(data: Path, out: Path, *flags: str) -> int:
    return main(["train", str(data), "--out", str(out), *MODEL, "--batch", "1", "--log-every", "1", *flags])


def error(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.splitlines()[-1]


def test_a_picture_that_cannot_be_read_ends_no_run_of_single_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_digits(tmp_path, Digits("train", length=3, size=(64, 64)))
    (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:-200])
    assert train(data, tmp_path / "run", "--steps", "3") == 0
    assert "lost from the data in 1 places" in capsys.readouterr().out
    with (tmp_path / "run" / "metrics.csv").open() as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert [math.isnan(loss) for loss in losses].count(True) == 1
    assert len(losses) == 3


def test_what_is_left_of_damaged_data_is_trained_on_and_evaluated(tmp_path: Path) -> None:
    data = write_digits(tmp_path, Digits("train", length=3, size=(64, 64)))
    content = json.loads(data.read_text())
    content["annotations"] += [
        {"id": 100, "image_id": 0, "category_id": 3, "bbox": [5, 5, 0, 4]},
        {"id": 101, "image_id": 0, "category_id": 77, "bbox": [5, 5, 4, 4]},
        {"id": 102, "image_id": 0, "category_id": 3, "bbox": [5, 5, "four", 4]},
        {"id": 103, "image_id": 99, "category_id": 3, "bbox": [5, 5, 4, 4]},
        {"id": 104, "image_id": 2, "category_id": 3, "bbox": [0, 0, 40, 40], "iscrowd": 1},
    ]
    content["images"].append({"id": 50, "file_name": "nowhere.png", "width": 64, "height": 64})
    data.write_text(json.dumps(content))
    run = tmp_path / "run"
    assert train(data, run, "--val", str(data), "--steps", "3") == 0
    assert {"model.safetensors", "losses.png", "map.png", "problems.csv"} <= {path.name for path in run.iterdir()}
    assert main(["evaluate", str(run), str(data), "--out", str(tmp_path / "evaluation")]) == 1, "a picture is missing"


def test_pictures_to_evaluate_on_must_hold_an_object_of_the_classes(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    val = write_digits(tmp_path, Digits("train", length=2, size=(64, 64)))
    content = json.loads(val.read_text())
    for category in content["categories"]:
        category["name"] = f"digit {category['name']}"
    val.write_text(json.dumps(content))
    assert train(data, tmp_path / "run", "--val", str(val), "--steps", "2") == 2
    assert error(capsys).startswith(f"retinanet: val: {val} has no object of the classes 0, 1, 2")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--steps", str(10**30)], f"steps: {10**30} must be at most 1,000,000,000 steps"),
        (["--epochs", str(10**30)], f"epochs: {10**30} of 6 pictures must be at most 1,000,000,000 steps"),
        (["--batch", str(10**9)], "batch: 1000000000 must be smaller: 1000000000 pictures in a step need 57,220 GiB"),
        (["--batch", "1", "--accumulate", str(10**9)], "accumulate: 1000000000 must be smaller: 1000000000 pictures"),
        (["--workers", "1000000"], "workers: 1000000 must be at most "),
    ],
)
def test_a_run_that_could_not_end_or_fit_into_memory_is_refused(
    flags: list[str], sentence: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(data, tmp_path / "run", *flags) == 2
    assert error(capsys).startswith(f"retinanet: {sentence}")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("flag", ["--patience", "--evaluate-every"])
def test_what_needs_an_evaluation_is_refused_without_one(
    flag: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(data, tmp_path / "run", flag, "2") == 2
    assert "must not be given without pictures to evaluate on" in error(capsys)


def test_the_split_is_asked_for_where_none_is_called_train(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_voc(tmp_path)
    (folder / "ImageSets" / "Main" / "train.txt").rename(folder / "ImageSets" / "Main" / "trainval.txt")
    assert train(folder, tmp_path / "run") == 2
    assert error(capsys).startswith("retinanet: split: one of trainval, val must be given")


def test_a_precision_that_the_device_has_not_is_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if torch.cuda.is_available():
        pytest.skip("a GPU has this precision")
    assert train(data, tmp_path / "run", "--precision", "fp16") == 2
    assert error(capsys).startswith("retinanet: precision: 'fp16' must be one that this device has")


@pytest.mark.parametrize(("has", "said"), [(True, 0), (False, 1)])
def test_bfloat16_that_a_processor_imitates_is_said(
    has: bool, said: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(processes, "has_bfloat16", lambda device: has)
    processes.accelerator_for(TrainConfig(data="pictures", precision="bf16", device="cpu"))
    assert capsys.readouterr().err.count("this processor has no bfloat16 and imitates it") == said


def test_without_a_compiler_nothing_is_compiled(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "lacks_compiler", lambda device: "there is no C++ compiler here")
    assert train(data, tmp_path / "run", "--compile") == 2
    sentence = "compile: True must be for a machine with a compiler; there is no C++ compiler here"
    assert error(capsys) == f"retinanet: {sentence}"


@pytest.mark.slow
def test_a_compiled_network_takes_the_same_steps(data: Path, tmp_path: Path) -> None:
    weights = {}
    for name, flags in {"plain": [], "compiled": ["--compile"], "other": ["--accumulate", "2"]}.items():
        assert main(["train", str(data), *MODEL, *SHORT, *flags, "--out", str(tmp_path / name)]) == 0
        weights[name] = load_file(tmp_path / name / "model.safetensors")
    assert apart(weights["plain"], weights["compiled"]) < apart(weights["plain"], weights["other"]) / 1000


def test_gradients_that_are_not_finite_end_the_run_before_the_weights_follow(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(accelerator: Accelerator, loss: torch.Tensor, **_: object) -> None:
        torch.autograd.backward(loss * float("inf"))

    monkeypatch.setattr(Accelerator, "backward", broken)
    assert train(data, tmp_path / "run", "--steps", "2") == 2
    assert error(capsys).startswith("retinanet: step 1 is not finite: gradient_norm nan; its batch is in ")


@pytest.mark.ci
def test_two_processes_leave_one_record(shared: tuple[Path, str]) -> None:
    folder, said = shared
    assert said.count("the weights are in") == 1
    steps = [line.split(",")[0] for line in (folder / "metrics.csv").read_text().splitlines()]
    assert steps == ["step", "1", "2", "3"]
    assert main(["train", "--resume", str(folder)]) == 2, "one process would draw other pictures"


@pytest.mark.slow
def test_a_process_that_is_killed_ends_the_others_with_a_sentence(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    flags = [str(data), *MODEL, *SHORT, "--out", str(folder), "--workers", "0", "--save-every", "1"]
    killed = str(Path(__file__).parents[1] / "support" / "killed_rank.py")
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]
    words = [*launch, "--local-addr", "127.0.0.1", killed, "train", *flags]
    with (tmp_path / "said.txt").open("w") as file, pytest.raises(subprocess.CalledProcessError):
        subprocess.run(words, stdout=file, stderr=subprocess.STDOUT, timeout=300, check=True)
    said = (tmp_path / "said.txt").read_text()
    sentence = f"processes: one of 2 was ended from outside; `retinanet train --resume {folder}` in as many goes on"
    assert f"retinanet: {sentence} from the last checkpoint\n" in said
    assert read_checkpoint(folder / "checkpoint.safetensors").progress.step == 2
    assert not list(folder.rglob(".*")), "nothing half written"
