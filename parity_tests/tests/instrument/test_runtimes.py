"""`retinanet-parity --against`: a runtime of the torch network is held against eager torch, tap by tap."""

from collections.abc import Iterator

import pytest
import torch

from parity_tests.cli import main
from parity_tests.cli.ladder import RUNTIMES as WORDS
from parity_tests.retinanet import runtimes
from parity_tests.retinanet.comparison import DetectorComparison
from parity_tests.retinanet.runtimes import RUNTIMES, Run, Watched, compare_runtime
from parity_tests.retinanet.setup import start_run
from parity_tests.rule.divergence import divergence
from parity_tests.rule.result import Result

SIZE = (64, 96)


@pytest.fixture(scope="module")
def run() -> Iterator[DetectorComparison]:
    started = start_run("keras_io", sizes=[SIZE])
    yield started
    started.sides.release()


def first(result: Result) -> str:
    """The tap at which a result says that the sides part."""
    parting = divergence(result.records)
    assert parting is not None
    return parting.first.name


def test_the_command_knows_every_runtime() -> None:
    assert set(WORDS) == set(RUNTIMES)


def test_a_runtime_that_only_lays_pictures_out_otherwise_is_equal_at_every_tap(run: DetectorComparison) -> None:
    result = compare_runtime(run, "channels-last")
    assert result.verdict == "equal"
    assert {"stem", "c5", "p3", "cls.p7.3", "logits", "deltas"} <= {record.name for record in result.records}


def test_bfloat16_is_beyond_the_budgets_of_float32_from_the_first_tap_on(run: DetectorComparison) -> None:
    result = compare_runtime(run, "bf16")
    assert result.verdict == "different"
    assert first(result) == "stem"


@pytest.mark.planted
@pytest.mark.parametrize(
    ("parameter", "tap"), [("fpn.conv_c4_1x1.weight", "lateral4"), ("box_head.4.bias", "box.p3.4")]
)
def test_a_runtime_with_one_other_weight_is_named_where_it_is(
    run: DetectorComparison, monkeypatch: pytest.MonkeyPatch, parameter: str, tap: str
) -> None:
    def other_weight(watched: Watched, images: torch.Tensor) -> Run:
        values = {name: value.clone() for name, value in watched.network.state_dict().items()}
        values[parameter].view(-1)[0] += 0.5

        def taps(given: torch.Tensor) -> list[torch.Tensor]:
            found: dict[str, torch.Tensor] = {}
            torch.func.functional_call(watched.network, values, (given,), {"taps": found})
            return [found[name] for name in watched.names]

        return runtimes._eager(taps)

    monkeypatch.setitem(runtimes.RUNTIMES, "other", other_weight)
    assert first(compare_runtime(run, "other")) == tap


@pytest.mark.slow
@pytest.mark.parametrize("name", ["onnx", "openvino", "compiled"])
def test_a_runtime_computes_every_tap_as_eager_torch_does(run: DetectorComparison, name: str) -> None:
    assert compare_runtime(run, name).verdict == "equal"


@pytest.mark.parametrize("words", [["--rungs", "losses"], ["--dtype", "float64"]])
def test_what_says_nothing_of_a_runtime_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--against", "bf16", *words]) == 2
    assert f"{words[0]}: is of both frameworks, and says nothing of --against bf16" in capsys.readouterr().err
