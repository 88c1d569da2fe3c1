"""The comparison rule: structure first, float64 as the verdict, float32 measured against it. Needs numpy alone.

Budgets are derived and not tuned. In float64 right code uses a few units of rounding, wrong code some 1e13, so 64 and
1024 of them leave no grey zone; but sums of many products round more, and those of more than 4096 have their root
(`isolated_units`). In float32 the sides are allowed what rounding costs them, their errors against their own float64
runs, within 64 and 1024 units.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from parity_tests.rule.errors import InputError, in_one_line
from parity_tests.rule.sampled import Sampled, viewed

Array = NDArray[np.floating]
Verdict = Literal["equal", "tie", "different", "incomplete"]

ISOLATED = 64
"""Units of rounding allowed to one module that is fed the reference's input; more (`isolated_units`) to long sums."""

CASCADED = 1024
"""Units of rounding allowed where errors of all modules before add up."""

FLOAT32_FACTOR = 3
"""Times the larger of both sides' own float32 errors; two sides that round independently differ by at most twice it."""

FEW_ROUNDINGS = 4
"""Units of rounding that are no mistake, however much less the reference's own error happens to be."""

GRADIENT = 1e-10
"""What a gradient may differ, as a share of the largest of its parameter."""

MAGNIFIED = 1e-8
"""What it may differ at most, as such a share, where BatchNorm in training mode magnifies rounding."""

SELF_FACTOR = 10
"""Times what a side differs from itself once its weights are moved by what sums of them may round."""

ALL = "all"
"""The name in a record of a case that failed to run, where no tap was compared."""

EXIT_CODES: dict[Verdict, int] = {"equal": 0, "tie": 0, "different": 1, "incomplete": 3}
"""What a command returns for a verdict; 2 is wrong usage."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One comparison: where, of what, and how it went.

    Attributes:
        preset: that of the reference.
        rung: the step of the ladder, `shapes`, `forward`, `gradients` and so on.
        case: what it was run on, `128x128 float64 isolated`.
        name: the tap or variable.
        verdict: `incomplete` where nothing could be compared; `tie` where detections differ only because a score or
            an overlap stood at a threshold, which counts as equal.
        reference_shape, port_shape: shapes, channels last; `None` where that side has no such thing.
        difference: the largest absolute difference; `None` where only structure is compared.
        scale: the largest absolute value of the reference.
        budget: the largest difference allowed.
        reason: one sentence where it is not equal.
        values: what else was measured, such as the curve of a loss, by name.
    """

    preset: str = ""
    rung: str
    case: str
    name: str
    verdict: Verdict
    reference_shape: tuple[int, ...] | None = None
    port_shape: tuple[int, ...] | None = None
    difference: float | None = None
    scale: float | None = None
    budget: float | None = None
    reason: str = ""
    values: Mapping[str, Sequence[float]] | None = None

    @property
    def size(self) -> str:
        """The picture's height by width, `128x128`, or the shapes of other inputs; empty where the case has none."""
        return _word(r"\d+([x+]\d+)*", self.case)

    @property
    def dtype(self) -> str:
        """`float64` or `float32`; empty where structure alone is compared."""
        return _word("float64|float32", self.case)

    @property
    def mode(self) -> str:
        """`isolated`, `cascaded`, or how BatchNorm ran; empty where there is one way alone."""
        return _word("isolated|cascaded|inference|training", self.case)

    @property
    def used(self) -> float | None:
        """The share of the budget used; `None` where there is no budget, or next to none and it was overdrawn."""
        if self.difference is None or self.budget is None:
            return None
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            share = float(np.float64(self.difference) / np.float64(self.budget)) if self.difference else 0.0
        return share if math.isfinite(share) else None


def _word(pattern: str, case: str) -> str:
    """The word of a case that is of this pattern."""
    return next((word for word in case.replace(",", "").split() if re.fullmatch(pattern, word)), "")


def isolated_units(terms: int) -> int:
    """Units of rounding that float64 allows a fed module whose longest sum has so many terms: their root, 64 at least.

    Terms of both signs that are added one after the other make partial sums about as large as the largest result, m.
    Each rounds by u m at most, and n such errors, independent, add up to sqrt(n) u m; the two sides together to twice
    that, sqrt(n) eps m. It is a rule of thumb, less than sums that cancel may round, and held by measurement
    (`test_sums.py`): TensorFlow and torch use 0.1 to 0.4 of it, from 576 to 100,352 products.
    """
    return max(ISOLATED, math.ceil(math.sqrt(terms)))


def rounding_budget(reference: Array | Sampled, units: int) -> float:
    """`units` roundings of the largest value of `reference`, in its own precision."""
    return units * float(np.finfo(reference.dtype).eps) * largest(reference)


def float32_budget(
    units: int,
    reference: Array | Sampled,
    reference64: Array | Sampled,
    port: Array | Sampled,
    port64: Array | Sampled,
) -> float:
    """What float32 may differ, from each side's own error against its float64 run, and `units` roundings at most.

    A port that is wrong in float32 alone would so allow itself its mistake: its error counts up to three times the
    reference's, or a few roundings where that is more.
    """
    most = rounding_budget(reference, units)
    if any(values.dtype != np.float64 for values in (reference64, port64)):
        return most  # whatever was asked for: there is no run to measure an error by
    own, of_port = (largest_difference(*viewed(*pair)) for pair in ((reference, reference64), (port, port64)))
    explained = max(FLOAT32_FACTOR * own, rounding_budget(reference, FEW_ROUNDINGS))
    return min(FLOAT32_FACTOR * max(own, min(of_port, explained)), most)


def largest(values: Array | Sampled) -> float:
    """The largest absolute value that is finite; 0 where there is none."""
    if isinstance(values, Sampled):
        return values.largest
    if not values.size:
        return 0.0
    most = float(max(values.max(), -values.min()))
    if math.isfinite(most):
        return most
    return largest(values[np.isfinite(values)])


def is_finite(values: Array | Sampled) -> bool:
    """Whether no value is NaN or infinite: such a value makes the least or the largest one so."""
    if isinstance(values, Sampled):
        return values.finite
    return not values.size or bool(np.isfinite(values.min()) and np.isfinite(values.max()))


def largest_difference(left: Array, right: Array) -> float:
    """The largest absolute difference where both are finite, taken in float64."""
    if not left.size:
        return 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        differences = np.subtract(left, right, dtype=np.float64)
    most = float(max(differences.max(), -differences.min()))
    if math.isfinite(most):
        return most
    both = np.isfinite(left) & np.isfinite(right)
    if both.all():
        return float(np.finfo(np.float64).max)  # the difference itself is beyond all numbers
    return largest_difference(left[both], right[both])


def compare_structure(reference: Array | Sampled | None, port: Array | Sampled | None) -> str:
    """Why two arrays cannot be compared value by value, or an empty string."""
    if reference is None or port is None:
        return f"missing in the {'reference' if reference is None else 'port'}"
    if reference.shape != port.shape:
        return f"shape {port.shape}, and the reference has {reference.shape}"
    if reference.dtype != port.dtype:
        return f"dtype {port.dtype}, and the reference has {reference.dtype}"
    if is_finite(reference) and is_finite(port):
        return ""
    if isinstance(reference, Sampled) or isinstance(port, Sampled):
        if is_finite(reference) != is_finite(port):
            return f"values of the {'port' if is_finite(reference) else 'reference'} alone are NaN or infinite"
        return ""
    for kind, value in {"NaN": np.nan, "infinite": np.inf, "infinite and negative": -np.inf}.items():
        expected, found = (np.isnan(array) if np.isnan(value) else array == value for array in (reference, port))
        if not np.array_equal(expected, found):
            return f"{found.sum()} values are {kind}, and in the reference {expected.sum()} or elsewhere"
    return ""


def compare_values(
    rung: str,
    case: str,
    name: str,
    reference: Array | Sampled | None,
    port: Array | Sampled | None,
    budget: float | Array | None,
) -> Record:
    """Compare two arrays: structure, then values within `budget`; without one the structure alone.

    A budget may be one for each element; the record then has that of the element which is nearest to it.
    """
    record = partial(
        Record,
        rung=rung,
        case=case,
        name=name,
        reference_shape=None if reference is None else reference.shape,
        port_shape=None if port is None else port.shape,
    )
    reason = compare_structure(reference, port)
    if reference is None or port is None or reason:
        return record(verdict="different", reason=reason)
    if _is_coarse(reference, case):
        return record(verdict="incomplete", reason=f"both sides computed in {reference.dtype}, and the case is float64")
    if not is_finite(reference) and (isinstance(reference, Sampled) or isinstance(port, Sampled)):
        return record(verdict="incomplete", reason="values are NaN or infinite, and where was not recorded")
    scale = largest(reference)
    reference, port = viewed(reference, port)
    if not np.isfinite(reference).any():
        return record(verdict="incomplete", reason="no value is finite")
    if budget is None:
        return record(verdict="equal")
    if isinstance(budget, np.ndarray):
        difference, budget = _nearest_to_budget(reference, port, budget)
    else:
        difference = largest_difference(reference, port)
    measured = partial(record, difference=difference, scale=scale, budget=budget)
    if difference <= budget:
        return measured(verdict="equal")
    return measured(verdict="different", reason=f"difference {difference:.1e}, and the budget is {budget:.1e}")


def _is_coarse(values: Array | Sampled, case: str) -> bool:
    """Whether values of a case in float64 have fewer digits: their own rounding would be their budget."""
    return _word("float64|float32", case) == "float64" and values.dtype.kind == "f" and values.dtype.itemsize < 8


def _nearest_to_budget(reference: Array, port: Array, budgets: Array) -> tuple[float, float]:
    """Difference and budget of the element that has used most of its own."""
    with np.errstate(divide="ignore", invalid="ignore"):
        differences = np.nan_to_num(np.abs(np.subtract(reference, port, dtype=np.float64)))
        shares = np.where(differences > 0, differences / np.nan_to_num(budgets), 0.0)
    worst = np.unravel_index(int(np.argmax(shares)), shares.shape)
    return float(differences[worst]), float(np.nan_to_num(budgets[worst]))


def compare_tensor(
    rung: str,
    case: str,
    name: str,
    pairs: Mapping[str, Sequence[Array]],
    dtypes: Sequence[str],
    units: int,
) -> list[Record]:
    """Compare what reference and port have, in float64 by `units` roundings, in float32 by their own errors.

    Args:
        pairs: reference and port by dtype, in float64 and in what gets records.
        dtypes: the precisions that get records.
    """
    reference64, port64 = pairs["float64"]
    budgets = {"float64": {name: rounding_budget(reference64, units)}, "float32": {}}
    if len({array.shape for pair in pairs.values() for array in pair}) == 1 and "float32" in dtypes:
        reference, port = pairs["float32"]
        budgets["float32"] = {name: float32_budget(units, reference, reference64, port, port64)}
    sides = {dtype: [{name: value} for value in pairs[dtype]] for dtype in dtypes}
    return [
        record
        for dtype in dtypes
        for record in compare_taps(rung, f"{case} {dtype}", *sides[dtype], budgets=budgets[dtype])
    ]


def compare_taps(
    rung: str,
    case: str,
    references: Mapping[str, Array | Sampled],
    ports: Mapping[str, Array | Sampled],
    *,
    units: int | None = None,
    budgets: Mapping[str, float | Array] | None = None,
) -> list[Record]:
    """Compare all taps of both sides, in the reference's order, then those that the port has alone.

    Args:
        units: roundings allowed, in the precision of the reference; or
        budgets: the difference allowed to each tap, or to each of its elements; with neither, structure alone is
            compared.
    """
    records = []
    for name in [*references, *(name for name in ports if name not in references)]:
        reference = references.get(name)
        budget: float | Array | None = None if budgets is None else budgets.get(name)
        if units is not None and reference is not None:
            budget = rounding_budget(reference, units)
        record = compare_values(rung, case, name, reference, ports.get(name), budget)
        if budgets is not None and budget is None and record.verdict == "equal":
            record = replace(record, verdict="incomplete", reason="there is no budget for it")
        records.append(record)
    return records


def records_of(rung: str, case: str, compare: Callable[[], list[Record]]) -> list[Record]:
    """What a case compares; where a model fails, one record that is incomplete and says of what.

    Raises:
        InputError: what `compare` raises of it.
    """
    try:
        return compare()
    except InputError:
        raise
    except Exception as error:  # whatever a model raises: the other cases are compared all the same
        return [Record(rung=rung, case=case, name=ALL, verdict="incomplete", reason=in_one_line(error))]


def verdict_of(records: Sequence[Record]) -> Verdict:
    """Different where one record is; incomplete where one is or there is none; else equal."""
    verdicts = {record.verdict for record in records}
    if "different" in verdicts:
        return "different"
    return "incomplete" if "incomplete" in verdicts or not records else "equal"
