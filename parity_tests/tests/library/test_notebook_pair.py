"""The built-in pair is one that `compare_models` holds against each other as it does any other."""

import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from parity_tests.retinanet.climb import climb_rungs
from parity_tests.retinanet.comparison import DetectorComparison
from parity_tests.rule.record import Record
from parity_tests.tests.support.paths import ROOT

pytestmark = pytest.mark.slow  # .ci/run runs the example as a command


@pytest.fixture(scope="module")
def example() -> Iterator[Any]:
    """The example as a module."""
    sys.path.insert(0, str(ROOT / "examples"))
    yield importlib.import_module("notebook_pair")
    sys.path.remove(str(ROOT / "examples"))


def of_rungs(records: list[Record]) -> set[tuple[str, ...]]:
    """What is compared of taps and gradients; layers of the heads have other names in Keras itself."""
    kept = [r for r in records if r.where.mode in ("isolated", "cascaded") or r.rung == "gradients"]
    names = {r.name for r in kept if "_head/" in r.name}
    heads = dict(zip(sorted(names, key=_place), range(len(names)), strict=True))
    return {(r.rung, r.where.dtype, r.where.mode, str(heads.get(r.name, r.name)), r.verdict) for r in kept}


def _place(name: str) -> tuple[str, int, str]:
    head, layer, variable = name.split("/")
    return head, int(layer.rpartition("_")[2]), variable


def test_it_has_the_records_of_the_command_on_forward_and_gradients(example: Any, run: DetectorComparison) -> None:
    found = [*example.compare(("forward", "gradients", "training")).records]
    command = climb_rungs(replace(run, sizes=[(32, 64)]), ["forward", "gradients"])
    ours = of_rungs([record for record in found if record.name != "loss"])
    assert ours == of_rungs([*command.records])
    assert {verdict for *_, verdict in ours} == {"equal"}


def test_its_file_is_short_and_says_how_it_ends(example: Any) -> None:
    assert len((ROOT / "examples" / "notebook_pair.py").read_text().splitlines()) < 60
    assert example.compare().summary in (example.__doc__ or "")
