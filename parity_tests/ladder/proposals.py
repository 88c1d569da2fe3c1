"""What would carry over what did not fit: layouts to be given, as far as shapes allow one. Needs numpy alone."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import permutations

from parity_tests.ladder.comparison import Comparison
from parity_tests.rule.record import ALL, Array, Record
from parity_tests.sides.layouts import LAST_TO_SECOND, Permutation
from parity_tests.sides.side import ROOT, Calls, input_names, tap_of

Shape = Sequence[int]


def fitting(reference: Shape, port: Shape) -> list[Permutation]:
    """The layouts by which a shape of the port is that of the reference; rows and columns of kernels keep their order.

    The first two axes of a kernel, or its last two, are its rows and columns where they are of one length.
    """
    if sorted(reference) != sorted(port):
        return []
    exchanged = [axes for axes in permutations(range(len(port))) if [port[axis] for axis in axes] == list(reference)]
    pairs = [(0, 1), (-2, -1)] if len(reference) > 2 else []
    kept = [(i, j) for i, j in pairs if reference[i] == reference[j]]
    return [axes for axes in exchanged if all(axes[i] < axes[j] for i, j in kept)]


def misfits(pair: Comparison) -> dict[str, str]:
    """By the reference's parameter: that it does not fit its partner, and which layout would carry it."""
    return {link.reference[0]: _misfit(link.reference[0], *link.shapes) for link in pair.links.each if not link.fits}


def _misfit(name: str, reference: Shape, port: Shape) -> str:
    words = f"its shape {tuple(reference)} does not fit the port's {tuple(port)}"
    layouts = [f"layouts {{{name!r}: {axes}}}" for axes in fitting(reference, port)]
    if len(layouts) == 1:
        return f"{words}; {layouts[0]} would carry it"
    return f"{words}; {' or '.join(layouts)} may carry it" if 1 < len(layouts) < 4 else words


def with_proposals(pair: Comparison, records: Sequence[Record]) -> list[Record]:
    """Records that say what would carry over what did not fit."""
    parameters = misfits(pair)
    proposed = _of_steps(pair) if any(_may_lie_otherwise(record) for record in records) else {}
    return [_with_proposal(record, parameters, proposed) for record in records]


def _with_proposal(record: Record, parameters: Mapping[str, str], proposed: Mapping[str, Permutation]) -> Record:
    if record.rung == "parameters" and record.verdict == "different" and record.name in parameters:
        return replace(record, reason=parameters[record.name])
    if proposed and _may_lie_otherwise(record):
        return replace(record, reason=f"{record.reason}; layouts {dict(proposed)} would carry what has three axes")
    return record


def _may_lie_otherwise(record: Record) -> bool:
    """Whether a model did not run, or gave three axes of which two are exchanged."""
    shapes = record.reference_shape, record.port_shape
    if record.name == ALL:
        return record.verdict == "incomplete"
    return shapes[0] != shapes[1] and all(shape is not None and len(shape) == 3 for shape in shapes)


def _of_steps(pair: Comparison) -> dict[str, Permutation]:
    """The layouts of all that has three axes and its channels last, where the port has them second and runs so."""
    if pair.reference.layout == pair.port.layout:
        return {}
    names = input_names(ROOT, len(pair.inputs))
    said = pair.layouts.table
    exchanged = {n for n, values in zip(names, pair.inputs, strict=True) if _is_of_steps(values) and n not in said}
    for inputs in [exchanged, set[str]()] if exchanged else [exchanged]:
        with suppress(Exception):  # whatever a model of the user's raises: what it refuses is no proposal
            if (found := _exchanged(pair, inputs, names)) or inputs:
                return dict.fromkeys((*sorted(inputs), *found), LAST_TO_SECOND)
    return {}


def _exchanged(pair: Comparison, exchanged: set[str], names: Sequence[str]) -> list[str]:
    """The taps whose last two axes the port has exchanged when it runs on inputs of which some are exchanged."""
    fed = pair.to_port_inputs(pair.inputs)
    inputs = [a.transpose(LAST_TO_SECOND) if n in exchanged else a for n, a in zip(names, fed, strict=True)]
    calls = [
        pair.reference.open("float64", pair.paths[0]).forward(pair.inputs),
        pair.port.open("float64", pair.paths[1]).forward(inputs),
    ]
    left, right = map(_shapes, calls)
    both = {name: (left[name], right[name]) for name in left if name in right}
    swapped = [name for name, (a, b) in both.items() if len(a) == 3 and a != b and b == (a[0], a[2], a[1])]
    said = {*pair.layouts.table, *pair.layouts.exchanged}
    return [name for name in swapped if not {name, tap_of(name)} & said]


def _shapes(calls: Calls) -> dict[str, tuple[int, ...]]:
    return {
        tap_of(name) + place: values.shape for name, call in calls.items() for place, values in call.outputs.items()
    }


def _is_of_steps(values: Array) -> bool:
    return values.ndim == 3 and values.dtype.kind == "f"
