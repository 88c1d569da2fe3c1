"""Two models side by side: their taps and parameters paired, by a table that is given or found. Needs numpy alone."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from numpy.typing import NDArray

from parity_tests.ladder.checks import check_layouts, fed
from parity_tests.ladder.comparison import Comparison
from parity_tests.rule.errors import UsageError
from parity_tests.rule.record import Array
from parity_tests.sides.adapter import Adapter
from parity_tests.sides.layouts import Layouts, to_port
from parity_tests.sides.links import linked
from parity_tests.sides.matching import Matches, matched, modules_of
from parity_tests.sides.names import Names, Pairs, check_skip, check_table, pair
from parity_tests.sides.side import ROOT, input_names, tap_of

Parameters = Sequence[Mapping[str, Array]]
"""Those of each side."""


def comparison(
    reference: Adapter,
    port: Adapter,
    inputs: NDArray[Any] | Sequence[NDArray[Any]],
    *,
    names: Mapping[str, str] | None,
    layouts: Mapping[str, Sequence[int]],
    skip: Mapping[str, str],
    **settings: Any,
) -> Comparison:
    """The two sides with their names paired, and every argument checked.

    Raises:
        UsageError: for an argument that breaks a rule.
    """
    arrays, adapters = fed("inputs", inputs), (reference, port)
    lie = Layouts(reference.layout, port.layout, layouts)
    named = zip(input_names(ROOT, len(arrays)), arrays, strict=True)
    changed = [to_port(name, values, lie.tap(ROOT, name, values.ndim)) for name, values in named]
    paths = [_tap_paths("reference", reference, arrays, port), _tap_paths("port", port, changed, reference)]
    compared = reference.has_parameters and port.has_parameters
    values = [adapter.open("float32", {}).parameters() if compared else {} for adapter in adapters]
    parameters, taps = Names(*([*of_side] for of_side in values)), Names(*(list(of_side) for of_side in paths))
    check_table(names or {}, parameters, taps)
    known = [*parameters.reference, *parameters.port, *taps.reference, *taps.port]
    check_skip(skip, [*known, *(f"{tap}.input" for tap in taps.reference)])
    check_layouts(layouts, [*parameters.reference, "input", *taps.reference])
    found = Matches({}, []) if names is not None else _found(adapters, (arrays, changed), values, skip, lie)
    table = found.table if names is None else names
    paired = _paired_taps(taps, table, skip)
    flat = {tap for tap, name in paired.port.items() if tap in reference.flat or name in port.flat}
    lie = Layouts(reference.layout, port.layout, layouts, flat)
    reference, port = _before_activations((reference, port), paths, paired)
    carried, links = linked(parameters, _shapes(values), table, skip, lie)
    return Comparison(
        reference=reference,
        port=port,
        paths=(
            {tap: paths[0][tap] for tap in paired.port if paths[0][tap]},
            {tap: paths[1][name] for tap, name in paired.port.items() if paths[1][name]},
        ),
        inputs=arrays,
        layouts=lie,
        parameters=carried,
        links=links,
        taps=paired,
        names=table,
        said_of_names=_in_words(found),
        skip=skip,
        **settings,
    )


def _paired_taps(taps: Names, table: Mapping[str, str], skip: Mapping[str, str]) -> Pairs:
    """By the table; where it means the parameters of a module that is no tap, by the tap's own name."""
    paired = pair(taps, table, skip)
    more = pair(Names(paired.missing["reference"], paired.missing["port"]), {}, skip)
    both = paired.port | more.port
    return Pairs({tap: both[tap] for tap in taps.reference if tap in both}, more.missing, paired.skipped)


def _before_activations(
    adapters: tuple[Adapter, Adapter], paths: Sequence[Mapping[str, str]], paired: Pairs
) -> tuple[Adapter, Adapter]:
    """The two sides, each with its layers taken before their activations where the other's have none of their own."""
    ends = [(paths[0][tap], paths[1][name]) for tap, name in paired.port.items() if paths[0][tap] and paths[1][name]]
    changed = []
    for adapter, other, pairs in zip(adapters, reversed(adapters), (ends, [e[::-1] for e in ends]), strict=True):
        activated, bare = adapter.activated([own for own, _ in pairs]), other.bare([theirs for _, theirs in pairs])
        changed.append(
            adapter.before_activations([own for own, beside in pairs if own in activated and beside in bare])
        )
    return changed[0], changed[1]


def _shapes(values: Parameters) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
    reference, port = ({name: array.shape for name, array in of_side.items()} for of_side in values)
    return reference, port


def _tap_paths(side: str, adapter: Adapter, inputs: Sequence[Array], other: Adapter) -> dict[str, str]:
    """The paths of a side's taps by tap, its outputs among them.

    Where a side names none and the other is of another framework, layers that are made of layers are tapped whole;
    those whose results have a form of their own are not, and what they make is compared where it arrives.
    """
    paths = adapter.tap_paths(side, inputs)
    if adapter.taps is None and type(adapter) is not type(other):
        wholes = {path.replace("/", "."): (path, alike) for path, alike in adapter.wholes().items()}
        parts = {tap for tap in paths if any(f"{tap}.".startswith(f"{whole}.") for whole in wholes)}
        alike = {whole: path for whole, (path, is_alike) in wholes.items() if is_alike}
        paths = {tap: path for tap, path in {**alike, **paths}.items() if tap not in parts - {*alike}}
    if wrong := next((tap for tap in paths if tap == "input" or set(tap) & set("/#")), None):
        raise UsageError(f"{side} taps: {wrong!r} must be another name than input and output, without / and #")
    return paths


def _found(
    adapters: Sequence[Adapter],
    inputs: Sequence[Sequence[Array]],
    values: Parameters,
    skip: Mapping[str, str],
    layouts: Layouts,
) -> Matches:
    """The table for parameters that are spelled otherwise on both sides, as far as there is one."""
    names = Names(*([*of_side] for of_side in values))
    pairs, _ = linked(names, _shapes(values), {}, skip, layouts)
    if not (pairs.missing["reference"] and pairs.missing["port"]):
        return Matches({}, [])
    sides = [
        [module for module in modules_of(of_side, pairs.missing[side], adapter.wholes()) if module.path]
        for of_side, side, adapter in zip(values, ("reference", "port"), adapters, strict=True)
    ]
    orders: list[list[str]] = []
    with suppress(Exception):  # a model that does not run is told of when it is compared
        for adapter, of_side, modules in zip(adapters, inputs, sides, strict=True):
            orders.append(_called(adapter, of_side, [module.path for module in modules]))
    return matched(sides[0], sides[1], orders if len(orders) == len(sides) and all(orders) else ())


def _called(adapter: Adapter, inputs: Sequence[Array], paths: Sequence[str]) -> list[str]:
    """The paths in the order in which their modules are called; none of a model that writes its own taps."""
    calls = adapter.open("float64", {path: path for path in paths}).forward(inputs)
    return list(dict.fromkeys(tap_of(name) for name in calls))


def _in_words(found: Matches) -> list[str]:
    """Sentences on the table that was found, and on what can be meant otherwise."""
    said = [f"names: modules were matched by values, order and shape: names={found.table}"] if found.table else []
    for reference, port in found.ambiguous:
        of_port = " or ".join(port)
        said.append(f"names: {' and '.join(reference)} of the reference may be {of_port} of the port; names says which")
    return said
