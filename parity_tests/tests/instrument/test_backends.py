"""Columns against each other: who is the odd one out, and what Keras on torch's own kernels may say."""

import importlib.util
import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations

import pytest

from parity_tests import cli
from parity_tests.retinanet.backends import BOXES, LABELS, PORT, SIZES, Table, column
from parity_tests.retinanet.comparison import DetectorComparison
from parity_tests.rule.errors import UsageError
from parity_tests.rule.record import Record, Where

COLUMNS = ("tensorflow", "jax", "torch", PORT)


def table(columns: Iterable[str], *camps: set[str]) -> Table:
    """Columns that agree within a camp, and differ at p6 from all outside it."""
    names = list(columns)

    def records(left: str, right: str) -> list[Record]:
        agree = any({left, right} <= camp for camp in camps)
        where = Where(size=(128, 128), dtype="float64", mode="cascaded", columns=(left, right))
        p5 = Record(rung="backends", where=where, name="p5", verdict="equal")
        return [p5, replace(p5, name="p6", verdict="equal" if agree else "different")]

    return Table(names, {pair: records(*pair) for pair in combinations(names, 2)})


@pytest.mark.parametrize(
    ("columns", "camps", "odd"),
    [
        (COLUMNS, [{*COLUMNS}], []),
        (COLUMNS, [{"tensorflow", "jax"}, {"torch", PORT}], ["torch", PORT]),
        (COLUMNS, [{"tensorflow", "jax", "torch"}], [PORT]),
        (COLUMNS, [{"tensorflow", "torch", PORT}], ["jax"]),
        (COLUMNS, [{"jax", PORT}, {"tensorflow", "torch"}], ["tensorflow", "torch"]),
        (COLUMNS, [], ["tensorflow", "jax", PORT]),
        (("tensorflow", PORT), [], ["tensorflow", PORT]),
        (("tensorflow", "torch", PORT), [{"torch", PORT}], ["tensorflow", PORT]),
    ],
)
def test_the_odd_one_out_parts_from_most_of_those_that_judge(
    columns: tuple[str, ...], camps: list[set[str]], odd: list[str]
) -> None:
    assert table(columns, *camps).odd_ones == odd


def test_keras_on_torch_does_not_judge() -> None:
    found = table(COLUMNS, {"tensorflow", "jax", PORT})
    assert found.odd_ones == ["torch"]
    assert {record.verdict for record in found.judged} == {"equal"}


@pytest.mark.slow
def test_each_column_is_computed_and_a_changed_port_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["backends", "--backends", "tensorflow", "--override", "stride2_padding=symmetric"]) == 1
    printed = capsys.readouterr().out
    assert re.search(r"PyTorch port +p6 +-", printed)
    assert "PyTorch port is the odd one out: it parts from Keras on tensorflow at p6 (128x128: " in printed
    assert printed.splitlines()[-1].startswith("different: notebook, Keras on tensorflow and PyTorch port of 2 columns")


@pytest.mark.slow
def test_all_columns_agree(capsys: pytest.CaptureFixture[str]) -> None:
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    assert cli.main(["backends"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert re.fullmatch(r"equal: notebook, Keras on tensorflow and Keras on jax and PyTorch port agree in \d+ .*", last)


def test_a_backend_that_is_not_installed_is_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("parity_tests.cli.backends.find_spec", lambda name: None)
    assert cli.main(["backends", "--backends", "jax"]) == 2
    assert capsys.readouterr().err.startswith("retinanet-parity: --backends: jax is not installed")


def test_the_boxes_of_a_column_are_matched(run: DetectorComparison) -> None:
    for size in SIZES:
        classes = run.sides.port("float64").targets(size, [BOXES], [LABELS])["targets.classes"]
        assert {*LABELS} <= {*classes.ravel().astype(int)}


def test_an_override_that_the_port_does_not_know_is_refused_in_a_sentence() -> None:
    with pytest.raises(UsageError, match="p7_relu: 'never' must be one of 'after', 'before'"):
        column(PORT, "notebook", 0, ["p7_relu=never"])
