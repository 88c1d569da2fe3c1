"""Comparisons of the small models, and the names that differ in one."""

from typing import Any

from torch import nn

from parity_tests import TorchModule, compare_models
from parity_tests.rule.record import Array
from parity_tests.rule.result import Result
from parity_tests.tests.support.small_models import IMAGES, TAPS


def compare(reference: Any, port: nn.Module, images: Array = IMAGES, **settings: Any) -> Result:
    """In float64 alone, which is the verdict."""
    return compare_models(reference, TorchModule(port, TAPS), images, dtypes=["float64"], **settings)


def different(result: Result, rung: str = "forward", mode: str = "isolated") -> list[str]:
    """Names that differ, in order; of *forward* those of the first question."""
    records = [r for r in result.records if (r.rung, r.where.mode, r.where.subject) == (rung, mode, "")]
    assert records
    return [record.name for record in records if record.verdict == "different"]
