"""Two models side by side: their taps and parameters paired, by a table that is given or found. Needs numpy alone."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from numpy.typing import NDArray

from parity_tests.ladder.checks import check_layouts, fed
from parity_tests.ladder.comparison import Comparison
from parity_tests.ladder.constants import constants_alone
from parity_tests.ladder.flattened import in_order_of_maps
from parity_tests.ladder.folded import FoldedNames, without_norms
from parity_tests.ladder.patches import in_order_of_patches
from parity_tests.ladder.uncompared import without_drawn, without_parts, without_skipped, without_wider
from parity_tests.rule.errors import UsageError
from parity_tests.rule.record import Array
from parity_tests.sides.adapter import Adapter, apart
from parity_tests.sides.kinds import in_order_of_projections
from parity_tests.sides.layouts import LAST, Layout, Layouts, to_port
from parity_tests.sides.links import Links, linked
from parity_tests.sides.made_weights import plain_beside
from parity_tests.sides.matching import Matches, as_names, matched
from parity_tests.sides.names import (
    Names,
    Pairs,
    are_folded,
    check_skip,
    check_table,
    owners,
    pair,
)
from parity_tests.sides.parts import Module, in_parts, modules_of
from parity_tests.sides.side import ROOT, input_names, tap_of

Parameters = Sequence[Mapping[str, Array]]
"""Those of each side."""

Ends = tuple[str, str]
"""The path of a tap in each side."""


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
    arrays, adapters = fed("inputs", inputs), plain_beside((reference, port))
    reference, port = adapters
    lie = Layouts(reference.layout, port.layout, layouts)
    named = zip(input_names(ROOT, len(arrays)), arrays, strict=True)
    changed = [to_port(name, values, lie.tap(ROOT, name, values.ndim)) for name, values in named]
    paths = _seen_by_both(
        adapters, [_tap_paths("reference", reference, arrays, port), _tap_paths("port", port, changed, reference)]
    )
    compared = reference.has_parameters and port.has_parameters
    opened = [adapter.open("float32", {}) for adapter in adapters] if compared else []
    values = [side.parameters() for side in opened] or [{}, {}]
    parameters, taps = Names(*([*of_side] for of_side in values)), Names(*(list(of_side) for of_side in paths))
    check_table(names or {}, parameters, taps)
    known = [*parameters.reference, *parameters.port, *taps.reference, *taps.port]
    check_skip(skip, [*known, *(f"{tap}.input" for tap in taps.reference)])
    check_layouts(layouts, [*parameters.reference, "input", *taps.reference])
    found = Matches({}, []) if names is not None else _found(adapters, (arrays, changed), values, skip, lie)
    table = found.table if names is None else names
    paired = _paired_taps(taps, table, skip)
    flat = {tap for tap, name in paired.port.items() if tap in reference.flat or name in port.flat}
    ends = [(paths[0][tap], paths[1][name]) for tap, name in paired.port.items()]
    of_taps, exchanged = _of_taps(adapters, paired, ends), _exchanged(adapters, paired, ends)
    lie = Layouts(reference.layout, port.layout, layouts, flat, of_taps, exchanged)
    reference, port = _in_one_form(_before_activations((reference, port), ends), ends)
    square = {name for name in reference.results_first() & values[0].keys() if len({*values[0][name].shape}) == 1}
    lie.table |= dict.fromkeys(square - lie.table.keys(), (0, 1))
    carried, links = linked(parameters, _shapes(values), table, skip, lie)
    if alone := constants_alone(carried.missing, opened):
        skip = {**alone, **skip}
        carried, links = linked(parameters, _shapes(values), table, skip, lie)
    links = in_order_of_patches(links, (reference, port), (arrays, changed), values[0])
    by_tap = dict(zip(paired.port, ends, strict=True))
    links, of_maps = in_order_of_maps(links, lie, (reference, port), (arrays, changed), values[0], by_tap)
    paired = without_drawn(without_wider(paired, adapters, paths, parameters, links), adapters, paths, links)
    paired = without_parts(paired, adapters, paths, parameters, links)
    paired = without_skipped(paired, adapters, paths, parameters, skip)
    folded = None
    if not settings.get("transfer", True) and are_folded(*carried.missing.values()):
        folded = _folded(paired, carried, links, paths[0], reference, arrays)
    if folded is not None:
        paired, carried, links, skip = folded.taps, folded.parameters, folded.links, {**skip, **folded.skip}
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
        said_of_names=[*_in_words(found), *of_maps],
        skip=skip,
        folded=folded is not None or bool(port.made and not settings.get("transfer", True)),
        **settings,
    )


def _folded(
    taps: Pairs, parameters: Pairs, links: Links, paths: Mapping[str, str], reference: Adapter, arrays: Sequence[Array]
) -> FoldedNames | None:
    """What stands for what where the port has no BatchNorm, as the reference's run shows it."""
    with suppress(Exception):  # a model that does not run is told of when it is compared
        calls = reference.open("float64", paths).forward(arrays)
        return without_norms(taps, parameters, links, paths, calls)
    return None


def _paired_taps(taps: Names, table: Mapping[str, str], skip: Mapping[str, str]) -> Pairs:
    """By the table; where it means parameters alone, by the tap's own name, or as the modules of those."""
    paired = pair(taps, _of_taps_apart(table, taps), skip)
    more = pair(Names(paired.missing["reference"], paired.missing["port"]), {}, skip)
    rest = pair(Names(more.missing["reference"], more.missing["port"]), _of_taps_apart(owners(table), taps), skip)
    both = paired.port | more.port | rest.port
    return Pairs({tap: both[tap] for tap in taps.reference if tap in both}, rest.missing, paired.skipped)


def _of_taps_apart(table: Mapping[str, str], taps: Names) -> dict[str, str]:
    """The table with the taps of modules that are called like the model's own result or input.

    Three layers that are one in the reference have no tap there.
    """
    together: dict[str, list[str]] = {}
    for port, name in table.items():
        together.setdefault(name, []).append(f"{port}.weight")
    table = {port: name for port, name in table.items() if not in_order_of_projections(together[name])}
    return {
        apart(port) if apart(port) in taps.port else port: apart(name) if apart(name) in taps.reference else name
        for port, name in table.items()
    }


def _of_taps(adapters: Sequence[Adapter], paired: Pairs, ends: Sequence[Ends]) -> dict[str, tuple[Layout, Layout]]:
    """Where each side has the channels of taps, as far as layers tell it."""
    first, second = (adapters[i].channels_last([both[i] for both in ends]) for i in (0, 1))
    if first is None or second is None:
        return {}
    return {
        tap: (LAST if first.get(own) else adapters[0].layout, LAST if second.get(theirs) else adapters[1].layout)
        for tap, (own, theirs) in zip(paired.port, ends, strict=True)
        if own in first or theirs in second
    }


def _exchanged(adapters: Sequence[Adapter], paired: Pairs, ends: Sequence[Ends]) -> set[str]:
    """The taps of which one side has the channels of steps last, and the other second, as their kinds tell."""
    first, second = (adapters[i].steps_last([both[i] for both in ends if both[i]]) for i in (0, 1))
    each = zip(paired.port, ends, strict=True)
    known = [(tap, own, theirs) for tap, (own, theirs) in each if own in first and theirs in second]
    return {tap for tap, own, theirs in known if first[own] != second[theirs]}


def _before_activations(adapters: tuple[Adapter, Adapter], ends: Sequence[Ends]) -> tuple[Adapter, Adapter]:
    """The two sides, each with its layers taken before their activations where the other's have none of their own."""
    changed = []
    for adapter, other, pairs in _beside(adapters, [both for both in ends if all(both)]):
        activated, bare = adapter.activated([own for own, _ in pairs]), other.bare([theirs for _, theirs in pairs])
        changed.append(
            adapter.before_activations([own for own, beside in pairs if own in activated and beside in bare])
        )
    return changed[0], changed[1]


def _in_one_form(adapters: tuple[Adapter, Adapter], ends: Sequence[Ends]) -> tuple[Adapter, Adapter]:
    """The two sides, each with what its recurrent modules return in the form in which the other's return it."""
    changed = []
    for adapter, other, pairs in _beside(adapters, ends):
        recurrent, forms = adapter.recurrent([own for own, _ in pairs]), other.returns([theirs for _, theirs in pairs])
        changed.append(adapter.returning({own: forms[b] for own, b in pairs if own in recurrent and b in forms}))
    return changed[0], changed[1]


def _beside(adapters: tuple[Adapter, Adapter], ends: Sequence[Ends]) -> Iterator[tuple[Adapter, Adapter, list[Ends]]]:
    """Each side, the other, and the paths that belong together."""
    yield adapters[0], adapters[1], [*ends]
    yield adapters[1], adapters[0], [(own, theirs) for theirs, own in ends]


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
        wholes = {apart(path.replace("/", ".")): (path, alike) for path, alike in adapter.wholes().items()}
        parts = {tap for tap in paths if any(f"{tap}.".startswith(f"{whole}.") for whole in wholes)}
        alike = {whole: path for whole, (path, is_alike) in wholes.items() if is_alike}
        paths = {tap: path for tap, path in {**alike, **paths}.items() if tap not in parts - {*alike}}
    if wrong := next((tap for tap in paths if tap == "input" or set(tap) & set("/#")), None):
        raise UsageError(f"{side} taps: {wrong!r} must be another name than input and output, without / and #")
    return paths


def _seen_by_both(adapters: Sequence[Adapter], paths: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The taps of each side; beside a function that gives its output alone, those that nobody asked for are left."""
    alone = [not adapter.has_modules and [*of_side] == [ROOT] for adapter, of_side in zip(adapters, paths, strict=True)]
    return [
        {ROOT: of_side[ROOT]} if beside and adapter.taps is None and ROOT in of_side else of_side
        for adapter, of_side, beside in zip(adapters, paths, reversed(alone), strict=True)
    ]


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
    left = [
        modules_of(of_side, pairs.missing[side], adapter.wholes())
        for of_side, side, adapter in zip(values, ("reference", "port"), adapters, strict=True)
    ]
    found = matched(left[0], left[1], _orders(adapters, inputs, left))
    rest = in_parts(
        [module for module in left[0] if module.path not in found.table.values()],
        [module for module in left[1] if module.path not in found.table],
    )
    if sum(map(len, rest)) + 2 * len(found.table) == sum(map(len, left)):
        return found._replace(table=as_names(found.table, *left))
    again = matched(*rest, _orders(adapters, inputs, rest))
    return Matches(as_names(found.table, *left) | as_names(again.table, *rest), again.ambiguous)


def _orders(
    adapters: Sequence[Adapter], inputs: Sequence[Sequence[Array]], sides: Sequence[Sequence[Module]]
) -> list[list[str]]:
    """The paths of each side's modules in the order of their calls; none where that is not known of both."""
    orders: list[list[str]] = []
    with suppress(Exception):  # a model that does not run is told of when it is compared
        for adapter, of_side, modules in zip(adapters, inputs, sides, strict=True):
            orders.append(
                _called(adapter, of_side, list(dict.fromkeys(module.called for module in modules if module.called)))
            )
    return orders if len(orders) == len(sides) and all(orders) else []


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
