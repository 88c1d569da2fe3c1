"""Runs with a fault in the port, and the name at which the ladder finds it."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from parity_tests.retinanet.inputs import Size
from parity_tests.retinanet.prepare import turn
from parity_tests.retinanet.rungs import RUNGS, Run
from parity_tests.retinanet.start import build_sides
from parity_tests.retinanet.torch_side import TorchSide
from parity_tests.rule.compare import verdict_of
from parity_tests.rule.divergence import divergence


def turned_run(run: Run, *assignments: str, **settings: Any) -> Run:
    """The run in float64 with conventions of the port turned; the network stays, and is not built again."""
    config, optimizer_turns = turn(run.config, assignments)
    reference, port = run.sides("float64")
    faulty: Any = copy.copy(port)
    faulty.surround(config)
    faulty.optimizer_turns = optimizer_turns | settings
    return replace(run, config=config, dtypes=("float64",), _sides={"float64": (reference, faulty)})


def with_port(run: Run, port: Any, *, sizes: Sequence[Size] = ()) -> Run:
    """The run with another port, in float64."""
    sides = {"float64": (run.sides("float64")[0], port)}
    return replace(run, config=port.config, sizes=sizes, dtypes=("float64",), _sides=sides)


def turned_network(run: Run, *assignments: str, sizes: Sequence[Size] = ()) -> Run:
    """The run with a port that is built with conventions turned."""
    port = TorchSide(turn(run.config, assignments)[0], "float64")
    port.assign(run.variables)
    build = partial(build_sides, run.preset, port.config, {}, run.config.anchor_scale)
    return replace(with_port(run, port, sizes=sizes), build=build)


def where_it_starts(run: Run, rung: str, case: str = "") -> str:
    """The name of the first difference on a rung, in the case of this name, or in all."""
    records = [r for c in RUNGS[rung](run) if case in ("", c.name) for r in c.compare()]
    assert records
    parting = divergence(records)
    return parting.first.name if parting else verdict_of(records)
