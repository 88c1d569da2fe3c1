"""The example ends as its docstring says, and the README's part on models of one's own does what it shows."""

import importlib
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from parity_tests.tests.support.paths import ROOT

EXAMPLE = ROOT / "examples" / "own_models.py"


@pytest.fixture(scope="module")
def example() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLE.parent)
        yield importlib.import_module("own_models")
        patch.delitem(sys.modules, "own_models")


def test_it_ends_as_its_docstring_says(example: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert example.main() == 0
    shown = [line.strip() for line in example.__doc__.partition("ends with")[2].split("\n") if line.strip()]
    printed = capsys.readouterr().out.splitlines()
    assert len(shown) == 2
    assert printed[-2:] == shown
    assert "network (Keras) and Network (torch)" in printed[0]
    assert any(line.lstrip().startswith("conv  ") and line.rstrip().endswith("different") for line in printed)


def test_its_mistake_is_found_in_the_convolution_alone_and_nothing_is_warned_of_but_the_mode(example: Any) -> None:
    wrong = example.compare(example.nn.Conv2d(3, 8, 3, stride=2, padding=1))
    isolated = [record for record in wrong.records if (record.rung, record.where.mode) == ("forward", "isolated")]
    assert {record.name for record in isolated if record.verdict == "different"} == {"conv"}
    assert [warning.partition(":")[0] for warning in wrong.warnings] == ["mode"]
    assert wrong.sources["norm"]["port"].startswith("examples/own_models.py:")
