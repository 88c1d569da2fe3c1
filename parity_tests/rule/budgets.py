"""What may differ: budgets, derived and not tuned. Needs numpy alone.

In float64 right code uses a few units of rounding, wrong code some 1e13, so 64 and 1024 of them leave no grey zone; but
sums of many products round more, and those of more than 4096 have their root (`isolated_units`). In float32 the sides
are allowed what rounding costs them, their errors against their own float64 runs, within 64 and 1024 units.
"""

import math
from collections.abc import Callable, Iterable

import numpy as np

from parity_tests.rule.record import Array
from parity_tests.rule.sampled import Sampled, viewed

ISOLATED = 64
"""Units of rounding allowed to one module that is fed the reference's input; more (`isolated_units`) to long sums."""

CASCADED = 1024
"""Units of rounding allowed where errors of all modules before add up."""

FLOAT32_FACTOR = 3
"""Times the larger of both sides' own float32 errors; two sides that round independently differ by at most twice it."""

MIN_FLOAT32_UNITS = 4
"""Units of rounding that are no mistake, however much less the reference's own error happens to be."""

GRADIENT = 1e-10
"""What a gradient may differ, as a share of the largest of its parameter."""

BATCHNORM_LIMIT = 1e-8
"""What it may differ at most, as such a share, where BatchNorm in training mode magnifies rounding."""

SELF_FACTOR = 10
"""Times what a side differs from itself once its weights are moved by what sums of them may round."""


OwnErrors = tuple[float, float] | None
"""How far float32 is from each side's own float64, the reference's and the port's; `None` where that is not known."""


def isolated_units(terms: int) -> int:
    """Units of rounding that float64 allows a fed module whose longest sum has so many terms: their root, 64 at least.

    Terms of both signs that are added one after the other make partial sums about as large as the largest result, m.
    Each rounds by u m at most, and n such errors, independent, add up to sqrt(n) u m; the two sides together to twice
    that, sqrt(n) eps m. It is a rule of thumb, less than sums that cancel may round, and held by measurement
    (`test_long_sums.py`): TensorFlow and torch use 0.1 to 0.4 of it, from 576 to 100,352 products.
    """
    return max(ISOLATED, math.ceil(math.sqrt(terms)))


def rounding_of_sums(terms: int) -> float:
    """Units of rounding of a port in float32 that are no mistake: the root of the terms, shared as own errors count.

    In which order a sum is taken depends on the processor: with AVX2 torch rounds sums of 2,304 products by 5 to 17
    units where TensorFlow rounds them by 0.3 to 2.
    """
    return max(MIN_FLOAT32_UNITS, math.sqrt(terms) / FLOAT32_FACTOR)


def longest_so_far(names: Iterable[str], terms: Callable[[str], int]) -> dict[str, int]:
    """The terms of the longest sum of each, in order; what has none, of 1, hands on what the longest before rounds.

    This is of results that add up: what is fed alone has no error from before.
    """
    found, longest = dict[str, int](), 1
    for name in names:
        longest = max(longest, own := terms(name))
        found[name] = own if own > 1 else longest
    return found


def rounding_budget(reference: Array | Sampled, units: float) -> float:
    """`units` roundings of the largest value of `reference`, in its own precision."""
    return units * float(np.finfo(reference.dtype).eps) * largest(reference)


def own_errors(
    reference: Array | Sampled, reference64: Array | Sampled, port: Array | Sampled, port64: Array | Sampled
) -> OwnErrors:
    """How far float32 is from each side's own run in float64; `None` without one."""
    if any(values.dtype != np.float64 for values in (reference64, port64)):
        return None  # whatever was asked for: there is no run to measure an error by
    return largest_difference(*viewed(reference, reference64)), largest_difference(*viewed(port, port64))


def float32_budget(units: int, reference: Array | Sampled, own: OwnErrors, terms: int = 1) -> float:
    """What float32 may differ, from each side's own error against its float64 run, and `units` roundings at most.

    A port that is wrong in float32 alone would so allow itself its mistake: its error counts up to three times the
    reference's, or where that is more up to what a sum of so many terms may round.
    """
    most = rounding_budget(reference, units)
    if own is None:
        return most
    explained = max(FLOAT32_FACTOR * own[0], rounding_budget(reference, rounding_of_sums(terms)))
    return min(FLOAT32_FACTOR * max(own[0], min(own[1], explained)), most)


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
