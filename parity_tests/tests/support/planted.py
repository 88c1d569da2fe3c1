"""Comparisons with a fault in the port, and the name at which the ladder finds it."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from parity_tests.ladder.case import Answer
from parity_tests.ladder.climb import compared
from parity_tests.retinanet.comparison import DetectorCase, DetectorComparison, detector_sides
from parity_tests.retinanet.inputs import Size
from parity_tests.retinanet.narrow import narrow_variables
from parity_tests.retinanet.rungs import RUNGS
from parity_tests.retinanet.rungs.in_half import HALF
from parity_tests.retinanet.setup import override, start_run
from parity_tests.retinanet.side import DetectorSide, fed_with, values_of
from parity_tests.retinanet.torch_side import TorchDetectorSide
from parity_tests.rule.divergence import divergence
from parity_tests.rule.record import Array, Record, verdict_of

trained: Any = importlib.import_module("parity_tests.retinanet.rungs.gradients")

Build = Callable[[str], DetectorSide]
"""What builds a side in a precision."""


class Kept(dict[str, Answer]):
    """Answers of a reference that many ports are held against; the oldest go where they are too many."""

    limit = 2**30
    """Bytes of answers that are kept."""

    def __setitem__(self, case: str, answer: Answer) -> None:
        super().__setitem__(case, answer)
        while len(self) > 1 and sum(map(_bytes, self.values())) > self.limit:
            del self[next(iter(self))]


def _bytes(value: Any) -> int:
    """Those of all arrays of an answer."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    return sum(map(_bytes, parts))


ANSWERS: dict[tuple[Any, ...], Kept] = {}
"""What the reference of each preset has answered, by its width, the steps of a training run and the precisions."""


def taps_made_by(side: DetectorSide, images: Array, *, given: Mapping[str, Array] | None = None) -> dict[str, Array]:
    """What stands in each tap of a run on pictures (B,H,W,3), each module fed what is given."""
    return values_of(side.forward([images], fed=None if given is None else fed_with(given)))


def narrow_run(preset: str) -> DetectorComparison:
    """The default comparison of a preset with narrow networks: names and modules are those of the whole ones."""
    return narrowed(start_run(preset))


def narrowed(whole: DetectorComparison) -> DetectorComparison:
    """A comparison with narrow networks, whose weights are cut from its own."""
    build = {name: partial(_narrow, make) for name, make in whole.sides.build.items()}
    weights = narrow_variables(whole.weights)
    return replace(whole, sides=detector_sides(build, weights), weights=weights, is_narrow=True)


def _narrow(build: Build, dtype: str) -> DetectorSide:
    return build(dtype).narrow


def changed_run(run: DetectorComparison, *assignments: str, **settings: Any) -> DetectorComparison:
    """The comparison in float64 with conventions of the port changed; the network stays, and is not built again."""
    config, optimizer_overrides = override(run.config, assignments)
    port: Any = run.sides.port("float64")
    faulty = port.surrounded(config)
    faulty.optimizer_overrides = optimizer_overrides | settings
    return with_port(run, faulty, sizes=run.sizes)


def with_port(run: DetectorComparison, port: Any, *, sizes: Sequence[Size] = ()) -> DetectorComparison:
    """The comparison with another port, in float64; in bfloat16 the network is the run's own."""
    build: dict[str, Build] = {"port": lambda dtype: run.sides.port(dtype) if dtype == HALF else port}
    sides = detector_sides({"reference": run.sides.reference, **build}, run.weights)
    return replace(run, config=port.config, sizes=sizes, dtypes=("float64",), sides=sides)


def changed_network(run: DetectorComparison, *assignments: str, sizes: Sequence[Size] = ()) -> DetectorComparison:
    """The comparison in float64 with a port that is built with conventions changed, in each precision."""
    config = override(run.config, assignments)[0]
    build: dict[str, Build] = {
        "reference": run.sides.reference,
        "port": partial(TorchDetectorSide, config, is_narrow=run.is_narrow),
    }
    return replace(run, config=config, sizes=sizes, dtypes=("float64",), sides=detector_sides(build, run.weights))


def label(case: DetectorCase) -> str:
    """What tells a case from others of its rung: `SGD`, `training`, `pictures` or `96x160`."""
    where = case.where
    return where.subject or where.mode or where.data or where.extent


def cases_on(run: DetectorComparison, rung: str, case: str = "") -> list[DetectorCase]:
    """The cases of a rung, or the one of this label."""
    return [each for each in RUNGS[rung](run) if case in ("", label(each))]


def records_on(run: DetectorComparison, rung: str, case: str = "") -> list[Record]:
    """The records of a rung, or of one case; the reference of a preset answers once for all tests."""
    kept = ANSWERS.setdefault((run.preset, run.is_narrow, trained.STEPS, *run.precisions), Kept())
    return [record for each in cases_on(run, rung, case) for record in compared(each, run.sides, kept)]


def where_it_starts(run: DetectorComparison, rung: str, case: str = "") -> str:
    """The name of the first difference on a rung, in the case of this label, or in all."""
    records = records_on(run, rung, case)
    assert records
    parting = divergence(records)
    return parting.first.name if parting else verdict_of(records)
