"""`retinanet benchmark`: contenders take turns in processes of their own, and what they took is told as it was."""

import json
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from parity_tests.tests.support import contenders as support
from torch_retinanet.benchmark import contenders
from torch_retinanet.benchmark.report import Measured, as_json, plot
from torch_retinanet.benchmark.task import Task, write_pictures
from torch_retinanet.benchmark.turns import Seconds, ratio, take_turns
from torch_retinanet.cli import main
from torch_retinanet.pictures import read_picture

MODULE = support.__name__
TASK = Task(kind="network", height=64, width=96)


@pytest.fixture(scope="module")
def taken() -> dict[str, Seconds]:
    names = [one.name for one in support.CONTENDERS if not one.missing]
    found = take_turns(TASK, dict.fromkeys(names, MODULE), threads=1, rounds=3)
    return {one.contender: one for one in found}


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The contenders of these tests are all that there are."""
    monkeypatch.setattr(contenders, "OWN", ())
    entry = EntryPoint("tests", MODULE, contenders.GROUP)
    monkeypatch.setattr(contenders, "entry_points", lambda group: [entry] if group == contenders.GROUP else [])


@pytest.mark.ci
def test_each_takes_as_many_turns_and_more_work_takes_longer(taken: dict[str, Seconds]) -> None:
    assert [len(taken[name].cpu) for name in ("one", "ten")] == [3, 3]
    assert ratio(taken["ten"].cpu, taken["one"].cpu).least > 1


@pytest.mark.ci
def test_one_that_does_no_such_task_is_left_out(taken: dict[str, Seconds]) -> None:
    assert "unable" not in taken


@pytest.mark.ci
def test_failures_are_told_and_the_others_go_on(taken: dict[str, Seconds]) -> None:
    assert taken["refuses"].failed == "ValueError: a picture of 64 pixels is too high"
    assert taken["dies"].failed == "its process ended"
    assert not taken["ten"].failed


def test_a_ratio_is_the_median_of_those_of_turns_beside_each_other() -> None:
    found = ratio([2.0, 9.0, 3.0], [1.0, 3.0, 6.0])
    assert (found.median, found.least, found.most) == (2.0, 0.5, 3.0)


def test_cpu_time_counts_with_one_thread_and_the_clock_with_more() -> None:
    seconds = [Seconds("a", cpu=[4.0], wall=[1.0]), Seconds("b", cpu=[2.0], wall=[3.0])]
    for threads, expected in ((1, 0.5), (2, 3.0)):
        found = Measured(task=TASK, threads=threads, seconds=seconds, reference="a").ratio(seconds[1])
        assert found is not None
        assert found.median == expected


def test_the_share_of_the_limit_is_of_what_convolutions_reach() -> None:
    one = Seconds("a", cpu=[1.0, 2.0, 4.0], wall=[1.0, 1.0, 1.0])
    measured = Measured(task=TASK, threads=1, seconds=[one], reference="a", operations=100.0, operations_a_second=200.0)
    assert measured.share_of_limit(one) == 0.25


def test_where_the_reference_failed_there_is_no_ratio_and_still_a_plot() -> None:
    one, other = Seconds("a", failed="why"), Seconds("b", cpu=[1.0], wall=[1.0])
    measured = Measured(task=TASK, threads=1, seconds=[one, other], reference="a")
    assert measured.ratio(other) is None
    plot([measured])
    assert as_json([measured], {})["measured"][0]["contenders"][1]["ratio"] is None


def test_pictures_are_the_same_each_time_and_of_their_size(tmp_path: Path) -> None:
    task = Task(kind="detect", height=40, width=56, batch=2)
    assert np.array_equal(task.pictures(), task.pictures())
    assert [tuple(read_picture(path).shape) for path in write_pictures(task, tmp_path)] == [(3, 40, 56)] * 2


def test_boxes_lie_in_the_picture_and_have_an_extent() -> None:
    task = Task(kind="step", height=40, width=56, batch=3, boxes=50)
    boxes = task.boxes_xyxy()
    assert boxes.shape == (3, 50, 4)
    assert (boxes[..., 2:] > boxes[..., :2]).all()
    assert (boxes >= 0).all()
    assert (boxes[..., 2:] <= [56, 40]).all()


@pytest.mark.ci
@pytest.mark.usefixtures("made_up")
def test_the_command_names_what_is_missing_and_writes_what_it_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["benchmark", "--tasks", "step", "--sizes", "64", "--rounds", "1", "--contenders", "ten", "one", "missing"]
    assert main([*words, "--json", str(tmp_path / "a.json")]) == 0
    assert "not measured: missing (no_such_package not installed)" in capsys.readouterr().out
    written = json.loads((tmp_path / "a.json").read_text())
    assert written["missing"] == {"missing": ["no_such_package"]}
    assert [one["contender"] for one in written["measured"][0]["contenders"]] == ["one", "ten"]


@pytest.mark.usefixtures("made_up")
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--contenders", "ome"], "--contenders: ome must be one of one, ten, unable, refuses, dies, missing; did you"),
        (["--sizes", "8"], "8 must be pixels from 32 to 10000, as 640 or 800x1333"),
        (["--rounds", "0"], "0 must be a whole number of at least 1"),
        (["--plot", "a.pdf"], "--plot: a.pdf must end in .png"),
        (["nowhere.safetensors", "--contenders", "one"], "nowhere.safetensors"),
        (["--contenders", "missing"], "missing (no_such_package not installed); one at least must be there"),
    ],
)
def test_wrong_usage_is_a_sentence(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code: object = main(["benchmark", *words])
    except SystemExit as end:
        code = end.code
    assert code == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.slow
def test_this_package_and_torchvision_do_every_task(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["benchmark", "--tasks", "network", "detect", "step", "--sizes", "96", "--rounds", "1"]
    assert main([*words, "--contenders", "torchvision", "ours eager", "ours eager bf16", "onnx file int8"]) == 0
    assert "failed" not in capsys.readouterr().out
