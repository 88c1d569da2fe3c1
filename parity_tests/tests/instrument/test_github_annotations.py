"""Where GitHub runs a command, it is told at which line a run starts to differ; nothing else changes."""

from pathlib import Path
from typing import Any

import pytest

from parity_tests import cli
from parity_tests.report import annotations
from parity_tests.rule.record import Record, Verdict, Where
from parity_tests.rule.result import Result

ISOLATED = Where(size=(32, 64), dtype="float64", mode="isolated")


def record(name: str, verdict: Verdict, **values: Any) -> Record:
    return Record(rung="forward", where=ISOLATED, name=name, verdict=verdict, **values)


def test_each_module_that_differs_by_itself_has_a_line_at_its_source() -> None:
    different: Any = {"verdict": "different", "difference": 1.0, "budget": 1e-9, "reason": "50% off,\nby far"}
    result = Result(
        records=[record("p6", **different), record("p7", **different), record("p5", "equal", difference=0.0)],
        sources={"p6": {"port": "torch_retinanet/fpn.py:41", "reference": "keras_reference/fpn.py:3"}},
    )
    first, second = annotations(result)
    place = "file=torch_retinanet/fpn.py,line=41,title=retinanet-parity"
    assert first.startswith(f"::error {place}::different: p6 is where it starts")
    assert second == "::error title=retinanet-parity::p7: 50%25 off,%0Aby far (32x64 float64 isolated)"


def test_an_equal_run_has_none_and_an_incomplete_one_its_last_line() -> None:
    assert annotations(Result(records=[record("p6", "equal", difference=1.0)])) == []
    [line] = annotations(Result(records=[record("p6", "incomplete", reason="no value is finite")]))
    assert line.startswith("::error title=retinanet-parity::incomplete: 1 comparison could not be made")


PAIR = """
import numpy as np
from parity_tests import ModelPair
pair = ModelPair(reference=lambda: np.tanh, port=lambda: np.sinh, inputs=np.linspace(-1, 1, 12).reshape(3, 4))
"""


@pytest.mark.parametrize("told", [True, False])
def test_only_there_a_command_prints_them(
    told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = f"pair_of_functions_{told}"
    (tmp_path / f"{module}.py").write_text(PAIR)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("GITHUB_ACTIONS", "true" if told else "")
    assert cli.main(["--pair", f"{module}:pair"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.startswith("::error") for line in lines] == [told, *([False] * (len(lines) - 1))]
    assert lines[-1].startswith("different: it starts at output")
