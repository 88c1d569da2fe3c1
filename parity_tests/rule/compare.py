"""The comparison rule: structure first, float64 as the verdict, float32 measured against it. Needs numpy alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType

import numpy as np

from parity_tests.rule.budgets import (
    OwnErrors,
    float32_budget,
    is_finite,
    largest,
    largest_difference,
    own_errors,
    rounding_budget,
)
from parity_tests.rule.errors import UsageError, in_one_line
from parity_tests.rule.record import ALL, UNTAGGED, Array, Record, Tag, Where
from parity_tests.rule.sampled import Sampled, viewed
from parity_tests.rule.vacuous import why_vacuous

TagOf = Callable[[str], Tag]
"""What each name stands for."""


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
    where: Where,
    name: str,
    reference: Array | Sampled | None,
    port: Array | Sampled | None,
    budget: float | Array | None,
    tag: Tag = UNTAGGED,
) -> Record:
    """Compare two arrays: structure, then values within `budget`; without one the structure alone.

    A budget may be one for each element; the record then has that of the element which is nearest to it.
    """
    record = partial(
        Record,
        rung=rung,
        where=where,
        name=name,
        tag=tag,
        reference_shape=None if reference is None else reference.shape,
        port_shape=None if port is None else port.shape,
    )
    reason = compare_structure(reference, port)
    if reference is None or port is None or reason:
        return record(verdict="different", reason=reason)
    if _is_coarse(reference, where):
        return record(verdict="incomplete", reason=f"both sides computed in {reference.dtype}, and the case is float64")
    if not is_finite(reference) and (isinstance(reference, Sampled) or isinstance(port, Sampled)):
        return record(verdict="incomplete", reason="values are NaN or infinite, and where was not recorded")
    scale = largest(reference)
    reference, port = viewed(reference, port)
    if reference.size and not np.isfinite(reference).any():
        return record(verdict="incomplete", reason="no value is finite")
    if budget is None:
        return record(verdict="equal")
    if isinstance(budget, np.ndarray):
        difference, budget = _nearest_to_budget(reference, port, budget)
    else:
        difference = largest_difference(reference, port)
    measured = partial(record, difference=difference, scale=scale, budget=budget)
    if difference <= budget:
        return measured(verdict="equal", vacuous="" if difference else why_vacuous(reference, port))
    return measured(verdict="different", reason=f"difference {difference:.1e}, and the budget is {budget:.1e}")


def _is_coarse(values: Array | Sampled, where: Where) -> bool:
    """Whether values of a case in float64 have fewer digits: their own rounding would be their budget."""
    return where.dtype == "float64" and values.dtype.kind == "f" and values.dtype.itemsize < 8


def _nearest_to_budget(reference: Array, port: Array, budgets: Array) -> tuple[float, float]:
    """Difference and budget of the element that has used most of its own."""
    with np.errstate(divide="ignore", invalid="ignore"):
        differences = np.nan_to_num(np.abs(np.subtract(reference, port, dtype=np.float64)))
        shares = np.where(differences > 0, differences / np.nan_to_num(budgets), 0.0)
    worst = np.unravel_index(int(np.argmax(shares)), shares.shape)
    return float(differences[worst]), float(np.nan_to_num(budgets[worst]))


def compare_tensor(
    rung: str,
    where: Where,
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
    own: dict[str, OwnErrors] = {}
    if len({array.shape for pair in pairs.values() for array in pair}) == 1 and "float32" in dtypes:
        reference, port = pairs["float32"]
        own[name] = own_errors(reference, reference64, port, port64)
        budgets["float32"] = {name: float32_budget(units, reference, own[name])}
    sides = {dtype: [{name: value} for value in pairs[dtype]] for dtype in dtypes}
    records = []
    for dtype in dtypes:
        of_dtype = own if dtype == "float32" else {}
        place = replace(where, dtype=dtype)
        records += compare_taps(rung, place, *sides[dtype], budgets=budgets[dtype], own=of_dtype)
    return records


def compare_taps(
    rung: str,
    where: Where,
    references: Mapping[str, Array | Sampled],
    ports: Mapping[str, Array | Sampled],
    *,
    units: int | None = None,
    budgets: Mapping[str, float | Array] | None = None,
    tag_of: TagOf = lambda name: UNTAGGED,
    coarse: Mapping[str, Sequence[str]] = MappingProxyType({}),
    own: Mapping[str, OwnErrors] = MappingProxyType({}),
) -> list[Record]:
    """Compare all taps of both sides, in the reference's order, then those that the port has alone.

    Args:
        units: roundings allowed, in the precision of the reference; or
        budgets: the difference allowed to each tap, or to each of its elements; with neither, structure alone is
            compared.
        tag_of: what each name stands for.
        coarse: by name the sides that computed it in float32, whatever the case is.
        own: by name how far float32 is from each side's own float64.
    """
    records = []
    for name in [*references, *(name for name in ports if name not in references)]:
        reference = references.get(name)
        budget: float | Array | None = None if budgets is None else budgets.get(name)
        if units is not None and reference is not None:
            budget = rounding_budget(reference, units)
        record = compare_values(rung, where, name, reference, ports.get(name), budget, tag_of(name))
        if budgets is not None and budget is None and record.verdict == "equal":
            record = replace(record, verdict="incomplete", reason="there is no budget for it")
        record = with_own_errors(record, own.get(name))
        records.append(_as_coarse(record, coarse[name]) if name in coarse else record)
    return records


def with_own_errors(record: Record, own: OwnErrors) -> Record:
    """The record in float32 with how far each side is from its own float64; where they differ, in words too."""
    if own is None:
        return record
    words = f"; from its own float64 the reference is {own[0]:.1e} off, and the port {own[1]:.1e}"
    reason = record.reason + words if record.reason and record.difference is not None else record.reason
    return replace(record, own_errors=own, reason=reason)


def _as_coarse(record: Record, sides: Sequence[str]) -> Record:
    """The record of what sides computed in float32."""
    words = f" in float32, in which the {' and the '.join(sides)} computed it"
    reason = record.reason + words if record.reason and record.difference is not None else record.reason
    return replace(record, coarse=tuple(sides), reason=reason)


def records_of(rung: str, where: Where, compare: Callable[[], list[Record]]) -> list[Record]:
    """What a case compares; where a model fails, one record that is incomplete and says of what.

    Raises:
        UsageError: what `compare` raises of it.
    """
    try:
        return compare()
    except UsageError:
        raise
    except Exception as error:  # whatever a model raises: the other cases are compared all the same
        return [Record(rung=rung, where=where, name=ALL, verdict="incomplete", reason=in_one_line(error))]
