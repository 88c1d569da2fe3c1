"""The Keras reference on each of its backends, and the port, as columns of one table: who disagrees with whom.

Each column is computed in a process of its own, from the same weights and pictures, in float64, each module on its own
input all the way. Keras on torch runs the port's own kernels: it stands in the table, and does not judge.
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import numpy as np

from parity_tests.retinanet.inputs import Size, random_images, random_variables
from parity_tests.retinanet.names import tag_of
from parity_tests.retinanet.side import values_of
from parity_tests.rule.budgets import CASCADED
from parity_tests.rule.compare import compare_taps
from parity_tests.rule.errors import UsageError
from parity_tests.rule.record import Array, Record, Where, verdict_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parity_tests.retinanet.side import DetectorSide

BACKENDS = ("tensorflow", "jax", "torch")
"""Of Keras."""

NOT_INDEPENDENT = ("torch",)
"""Backends whose kernels are the port's own."""

PORT = "port"
"""The column of the PyTorch port."""

SIZES: tuple[Size, ...] = ((128, 128), (96, 160))
"""Picture sizes, at which the padding of P6 and P7 shows."""

BOXES = np.array([[3.5, 5.25, 40.5, 44.0], [30.25, 20.5, 88.75, 70.0], [60.0, 4.5, 92.5, 30.25]])
"""Boxes (3,4) xyxy of each picture, in pixels; anchors match all of them."""

LABELS = np.array([0, 3, 1])
"""Their classes."""

Column = Mapping[Size, Mapping[str, Array]]
"""Everything that one column computes, by size and name."""


@dataclass(frozen=True)
class Table:
    """All columns held against each other.

    Attributes:
        columns: their names.
        records: the comparisons of each pair, by the names of both.
    """

    columns: Sequence[str]
    records: Mapping[tuple[str, str], Sequence[Record]]

    def agree(self, left: str, right: str) -> bool:
        """Whether two columns are equal."""
        pair = (left, right) if (left, right) in self.records else (right, left)
        return left == right or verdict_of(self.records[pair]) == "equal"

    @property
    def odd_ones(self) -> list[str]:
        """The columns that differ from most of those that judge; without a majority all that differ from some."""
        judges = [name for name in self.columns if name not in NOT_INDEPENDENT]
        camps = [[other for other in judges if self.agree(name, other)] for name in judges]
        largest = max(camps, key=len)
        if 2 * len(largest) <= len(judges):
            return [name for name in judges if any(not self.agree(name, other) for other in judges)]
        return [name for name in self.columns if not all(self.agree(name, other) for other in largest)]

    @property
    def judged(self) -> list[Record]:
        """The comparisons of those that judge."""
        pairs = (records for pair, records in self.records.items() if not {*pair} & {*NOT_INDEPENDENT})
        return [record for records in pairs for record in records]


def compare_backends(preset: str, backends: Sequence[str], seed: int, overrides: Sequence[str] = ()) -> Table:
    """The table of these backends and the port, in the conventions of a preset, the port's changed where asked."""
    columns = {PORT: _in_a_process(PORT, preset, seed, overrides)}  # first, since it may refuse an override
    columns |= {name: _in_a_process(name, preset, seed, ()) for name in backends}
    names = [*backends, PORT]
    pairs = [(left, right) for i, left in enumerate(names) for right in names[i + 1 :]]
    return Table(names, {pair: _compare(preset, pair, columns[pair[0]], columns[pair[1]]) for pair in pairs})


def column(name: str, preset: str, seed: int, overrides: Sequence[str]) -> Column:
    """What one column computes, in the process whose environment has its backend.

    Raises:
        UsageError: for an override that the port does not know.
    """
    side = _side(name, preset, overrides)
    shapes = {variable: values.shape for variable, values in sorted(side.parameters().items())}
    side.assign(random_variables(shapes, seed=seed))
    cases = {size: _case(side, size, seed) for size in SIZES}
    side.release()
    return cases


def _case(side: "DetectorSide", size: Size, seed: int) -> Mapping[str, Array]:
    """All that a side makes of two pictures."""
    taps = values_of(side.forward([random_images(size, seed=seed)]))
    outputs = taps["outputs"]
    targets = side.targets(size, [BOXES] * len(outputs), [LABELS] * len(outputs))
    around = {"anchors": side.anchors(size)} | targets | side.losses(outputs, targets)
    return taps | around | _detections(side, outputs, size)


def _side(name: str, preset: str, overrides: Sequence[str]) -> "DetectorSide":
    if name == PORT:
        from parity_tests.retinanet.setup import override
        from parity_tests.retinanet.side import PACKAGES
        from parity_tests.retinanet.torch_side import TorchDetectorSide
        from parity_tests.retinanet.torch_surroundings import Config
        from parity_tests.rule.errors import refusals

        try:
            config, optimizer_overrides = override(Config.preset(preset), overrides)
        except refusals(*PACKAGES) as error:
            raise UsageError(str(error)) from None
        return TorchDetectorSide(config, "float64", optimizer_overrides=optimizer_overrides)
    from parity_tests.retinanet.keras_side import KerasDetectorSide, preset_classes

    return KerasDetectorSide(preset, preset_classes(preset), "float64")


def _detections(side: "DetectorSide", outputs: Array, size: Size) -> dict[str, Array]:
    """What is found in both pictures, best first."""
    found = side.detections(outputs, size)
    each = {f"det.{name}.{i}": getattr(d, name) for i, d in enumerate(found) for name in d._fields}
    return {name: values.astype("float64") for name, values in each.items()}


def _in_a_process(name: str, preset: str, seed: int, overrides: Sequence[str]) -> Column:
    backend = "tensorflow" if name == PORT else name
    environment = _environment(KERAS_BACKEND=backend, JAX_ENABLE_X64="1", JAX_PLATFORMS="cpu")
    with environment, ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(column, name, preset, seed, overrides).result()


def _compare(preset: str, pair: tuple[str, str], left: Column, right: Column) -> list[Record]:
    records = []
    for size, taps in left.items():
        where = Where(size=size, dtype="float64", mode="cascaded", columns=pair)
        records += compare_taps("backends", where, taps, right[size], units=CASCADED, tag_of=tag_of)
    return [replace(record, preset=preset) for record in records]


@contextmanager
def _environment(**values: str) -> "Iterator[None]":
    before: dict[str, Any] = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
