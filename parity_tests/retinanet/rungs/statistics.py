"""The running statistics that a batch in training mode leaves, each block fed the reference's input.

Taps are not judged: what BatchNorm makes of a channel that hardly varies within the batch magnifies rounding without
bound. The statistics themselves do not.
"""

from collections.abc import Mapping

from parity_tests.ladder.case import Answer
from parity_tests.ladder.training import statistic_scale
from parity_tests.retinanet.names import tag_of
from parity_tests.retinanet.side import DetectorSide, fed_with, values_of
from parity_tests.rule.budgets import ISOLATED, rounding_budget
from parity_tests.rule.compare import compare_taps
from parity_tests.rule.record import Array, Record, Where

BLOCKS = ("stem", "conv")
"""How the names of the taps begin that blocks with BatchNorm are fed."""


def of_reference(side: DetectorSide, images: Array) -> Answer:
    """The statistics, the taps that the blocks of the port are fed, and what the modules behind them make."""
    taps = values_of(side.forward([images], training=True))
    fed = {name: value for name, value in taps.items() if name.startswith(BLOCKS)}
    return {"fed": fed, "made": _behind(taps), "statistics": side.statistics()}


def of_port(side: DetectorSide, images: Array, fed: Mapping[str, Array]) -> Answer:
    """The statistics of a side that is fed these taps, and what its modules behind the blocks make."""
    taps = values_of(side.forward([images], fed=fed_with(fed), training=True))
    return {"made": _behind(taps), "statistics": side.statistics()}


def _behind(taps: Mapping[str, Array]) -> dict[str, Array]:
    """The taps of what has no BatchNorm."""
    return {name: value for name, value in taps.items() if not name.startswith(BLOCKS)}


def judge_statistics(rung: str, where: Where, reference: Answer, port: Answer) -> list[Record]:
    """A mean is judged on the scale of what it averages, the deviation: it may itself be nothing but rounding."""
    left, right = reference["statistics"], port["statistics"]
    budgets = {name: rounding_budget(statistic_scale(name, left), ISOLATED) for name in left}
    return compare_taps(rung, where, left, right, budgets=budgets, tag_of=tag_of)
