"""Which parameters of two sides hold the same numbers, and how: by name, and by a table of kinds of layers.

Needs numpy alone.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from parity_tests.rule.record import Array
from parity_tests.sides.carry import (
    Change,
    Rearrangement,
    Shape,
    Way,
    biases,
    gates_stacked,
    kernel_on_patches,
    linear,
    part_of_layer,
    rearranged_kernel,
    same_values,
    stacked,
)
from parity_tests.sides.kinds import KINDS, PROJECTIONS, in_order_of_projections, slashed
from parity_tests.sides.layouts import Layouts, to_port, to_reference
from parity_tests.sides.names import Names, Pairs, canonical, pair, translated

Shapes = Mapping[str, Shape]


class Link(NamedTuple):
    """Parameters of the reference, and those of the port that hold the same numbers.

    Attributes:
        reference, port: their names.
        way: how one are made of the others.
        shapes: of the first of each side.
        fits: whether they can be made of each other.
    """

    reference: tuple[str, ...]
    port: tuple[str, ...]
    way: Way
    shapes: tuple[Shape, Shape]
    fits: bool

    @property
    def is_single(self) -> bool:
        """Whether it is one and one: of several that do not fit, none can be held against another."""
        return len(self.reference) == len(self.port) == 1


Values = Mapping[str, Array]
Group = tuple[tuple[str, ...], tuple[str, ...]]
"""Names of the reference, and names of the port."""


class Links:
    """All parameters that are carried from the reference to the port, and compared.

    Args:
        each: those that belong together.
    """

    def __init__(self, each: Sequence[Link]) -> None:
        self.each = each

    def to_port(self, values: Values, *, gradients: bool = False) -> dict[str, Array]:
        """Values of the reference's parameters, or gradients by them, as the port has them."""
        changes = (
            (link.reference, link.port, link.way.gradients_there if gradients else link.way.there) for link in self.each
        )
        return _changed(values, changes)

    def to_reference(self, values: Values, *, gradients: bool = False) -> dict[str, Array]:
        """Values of the port's parameters, or gradients by them, as the reference has them."""
        changes = (
            (link.port, link.reference, link.way.gradients_back if gradients else link.way.back) for link in self.each
        )
        return _changed(values, changes)

    def shared(self, values: Values, *, gradients: bool = False) -> dict[str, Array]:
        """What of the reference's values the port can have: of two biases, which it has as one, their sum."""
        one_way = [link for link in self.each if len(link.port) < len(link.reference) and _are_biases(link.reference)]
        known = {name for link in self.each for name in link.reference}
        kept = {name: value for name, value in values.items() if name in known}
        of_both = Links(one_way)
        return kept | of_both.to_reference(of_both.to_port(kept, gradients=gradients), gradients=gradients)


def _changed(values: Values, changes: Iterable[tuple[Sequence[str], Sequence[str], Change]]) -> dict[str, Array]:
    """New names and values, of those changes whose names are all there."""
    found: dict[str, Array] = {}
    for names, others, change in changes:
        if all(name in values for name in names):
            found |= zip(others, change([values[name] for name in names]), strict=True)
    return found


def linked(
    names: Names, shapes: tuple[Shapes, Shapes], table: Mapping[str, str], skip: Mapping[str, str], layouts: Layouts
) -> tuple[Pairs, Links]:
    """Pair parameters by the table and by spelling, then those that are left by the kinds of layers.

    Raises:
        UsageError: where two names of the port stand for one of the reference.
    """
    together = _given_together(names, table, skip)
    taken = {name for group in together for of_side in group for name in of_side}
    pairs = pair(Names(*([name for name in of_side if name not in taken] for of_side in names)), table, skip)
    said = {name: translated(name, table) for name in names.port}
    left = {name: said[name] for name in pairs.missing["port"]}
    groups = [*together, *(((name,), (partner,)) for name, partner in pairs.port.items())]
    groups += _by_kind({name: name for name in pairs.missing["reference"]}, left, [*names.reference, *said.values()])
    links = [link for link in (_link(*group, shapes, layouts) for group in groups) if link.fits or link.is_single]
    partners = {name: " + ".join(link.port) for link in links for name in link.reference}
    carried = {name for link in links for name in link.port}
    missing = {
        "reference": [name for name in pairs.missing["reference"] if name not in partners],
        "port": [name for name in left if name not in carried],
    }
    ordered = {name: partners[name] for name in names.reference if name in partners}
    return Pairs(ordered, missing, pairs.skipped), Links(links)


def _given_together(names: Names, table: Mapping[str, str], skip: Mapping[str, str]) -> list[Group]:
    """Two biases of torch that the table says to be one of Keras, or three projections that are one layer."""
    spelled = {canonical(name): name for name in names.reference} | {(name,): name for name in names.reference}
    found: dict[str, list[str]] = {}
    for name in names.port:
        said = translated(name, table)
        wanted = spelled.get((said,), spelled.get(canonical(said)))
        if wanted is not None and not {name, wanted} & skip.keys():
            found.setdefault(wanted, []).append(name)
    projections = {name: in_order_of_projections(port) for name, port in found.items()}
    found |= {name: ordered for name, ordered in projections.items() if ordered}
    return [
        ((name,), tuple(port))
        for name, port in found.items()
        if projections[name] or (len(port) == 2 and _are_biases(port))
    ]


def _are_biases(names: Iterable[str]) -> bool:
    """Whether these are biases of a recurrent module of torch."""
    return all(re.match("bias_[ih]h", _leaf(name)) for name in names)


def _leaf(name: str) -> str:
    return re.split("[./]", name)[-1]


def _by_kind(reference: Mapping[str, str], port: Mapping[str, str], known: Iterable[str]) -> list[Group]:
    """What belongs together of names that are left, which are given with the paths that the table makes of them."""
    paths = {slashed(name) for name in known}
    options = [{name: _spellings(slashed(said), paths) for name, said in side.items()} for side in (reference, port)]
    offered = [{part for spelled in side.values() for parts in spelled for part in parts} for side in options]
    chosen = [
        {name: next((parts for parts in spelled if other.issuperset(parts)), ()) for name, spelled in side.items()}
        for side, other in zip(options, reversed(offered), strict=True)
    ]
    wholes = sorted({parts for side in chosen for parts in side.values()}, key=len)
    whole_of = {part: parts for parts in wholes for part in parts}
    groups: dict[tuple[str, ...], tuple[list[str], list[str]]] = {}
    for i, side in enumerate(chosen):
        held = {name: parts[0] for name, parts in side.items() if parts}
        for name, part in sorted(held.items(), key=lambda item: whole_of[item[1]].index(item[1])):
            groups.setdefault(whole_of[part], ([], []))[i].append(name)
    return [(tuple(a), tuple(b)) for whole, (a, b) in groups.items() if _belong_together(whole, a, b)]


def _belong_together(whole: Collection[str], reference: Sequence[str], port: Sequence[str]) -> bool:
    """One and one; all parts and what holds them; or two biases and one. More than that can be meant otherwise."""
    counts = sorted((len(reference), len(port)))
    many = max(reference, port, key=len)
    return counts in ([1, 1], [1, len(whole)]) or (counts == [1, 2] and _are_biases(many))


def _spellings(path: str, paths: Collection[str]) -> list[tuple[str, ...]]:
    """The parts that a parameter holds, in each spelling that it may have."""
    found: list[tuple[str, ...]] = []
    owner = path.rpartition("/")[0]
    for kind in KINDS:
        match = re.fullmatch(f"(|.*/){kind.path}", path)
        if match and (not kind.beside or f"{owner}/{kind.beside}".lstrip("/") in paths):
            found.append(tuple(match.expand(rf"\g<1>{part}") for part in kind.parts))
    return [*found, ("/".join(canonical(path)),)]


def _link(reference: tuple[str, ...], port: tuple[str, ...], shapes: tuple[Shapes, Shapes], layouts: Layouts) -> Link:
    """Parameters that belong together, carried as the user says, as they lie, or by their kind."""
    first = shapes[0][reference[0]], shapes[1][port[0]]
    permuted, is_said = _permuted(reference[0], port[0], layouts), any(name in layouts.table for name in reference)
    if len(reference) == len(port) == 1 and (is_said or not _is_recurrent(reference[0], port[0])):
        fits = _fits(*first, layouts.parameter(reference[0], port[0], len(first[0])))
        if fits or is_said:
            return Link(reference, port, permuted, first, fits)
        if patches := on_patches(reference[0], port[0], first):
            return Link(reference, port, patches, first, True)
    if one_layer := _in_one_layer(reference, port, shapes):
        return Link(reference, port, one_layer, first, True)
    if len(port) == len(PROJECTIONS) or (_is_of_torch(reference) and not _is_of_torch(port)):
        way = _to_torch(port, reference, (shapes[1], shapes[0]))
        way = way.reversed if way else None
    else:
        way = _to_torch(reference, port, shapes)
    return Link(reference, port, way or permuted, first, way is not None)


def _in_one_layer(reference: tuple[str, ...], port: tuple[str, ...], shapes: tuple[Shapes, Shapes]) -> Way | None:
    """How a layer that makes queries, keys and values has what three layers have; `None` where there are no such."""
    if sorted((len(reference), len(port))) != [1, len(PROJECTIONS)]:
        return None
    many, one = (0, 1) if len(port) == 1 else (1, 0)
    parts, whole = ((reference, port)[i] for i in (many, one))
    last = _leaf(whole[0]) == "kernel"
    each = [part_of_layer(shapes[many][name], shapes[one][whole[0]], _leaf(name) == "kernel", last) for name in parts]
    known = [rearrangement for rearrangement in each if rearrangement is not None]
    axis = -1 if last else 0
    if len(known) != len(each) or sum(part.after[axis] for part in known) != shapes[one][whole[0]][axis]:
        return None
    way = stacked(known, axis)
    return way if many == 0 else way.reversed


def on_patches(
    reference: str, port: str, shapes: tuple[Shape, Shape], channels_first: bool | None = None
) -> Way | None:
    """How kernels of a convolution and of a dense layer on patches are made of each other; `None` where they are not.

    Where nothing is said of channels, they are first beside torch's `unfold`, where neither is of Keras.
    """
    of_keras = _leaf(reference) == "kernel", _leaf(port) == "kernel"
    first = channels_first if channels_first is not None else not any(of_keras)
    if one := kernel_on_patches(*shapes, of_keras, first):
        return one.way
    other = kernel_on_patches(*shapes[::-1], of_keras[::-1], first)
    return other.way.reversed if other else None


def _fits(reference: Shape, port: Shape, axes: Sequence[int]) -> bool:
    return len(reference) == len(port) == len(axes) and all(
        port[axis] == n for n, axis in zip(reference, axes, strict=True)
    )


def _is_recurrent(*names: str) -> bool:
    """Whether one of two is a kernel of a recurrent layer of Keras, whose gates may be in another order."""
    leaves = [_leaf(name) for name in names]
    return any(re.match("weight_[ih]h", leaf) for leaf in leaves) and any(leaf.endswith("kernel") for leaf in leaves)


def _is_of_torch(names: Sequence[str]) -> bool:
    return re.match("weight|in_proj_|bias_[ih]h", _leaf(names[0])) is not None


def _to_torch(keras: Sequence[str], torch: Sequence[str], shapes: tuple[Shapes, Shapes]) -> Way | None:
    """How torch has what Keras has; `None` where shapes do not fit."""
    before, after = ([of[name] for name in names] for of, names in zip(shapes, (keras, torch), strict=True))
    if len(keras) == 3:
        lengths = [after[0][0] // 3, *after[0][1:]]
        rearrangements = [_rearranged(name, shape, tuple(lengths)) for name, shape in zip(keras, before, strict=True)]
        known = [one for one in rearrangements if one is not None]
        return stacked(known) if len(known) == 3 else None
    gates = _gates(keras[0], shapes[0])
    if _are_biases(torch):
        kept_apart = len(before[0]) == 2
        fits = before[0][-1:] == after[0] and len(torch) in ((2,) if kept_apart else (1, 2))
        return biases(gates, kept_apart=kept_apart, count=len(torch)) if fits else None
    if re.match("weight_[ih]h", _leaf(torch[0])):
        return gates_stacked(gates) if before[0][::-1] == after[0] else None
    one = _rearranged(keras[0], before[0], after[0])
    return one.way if one else None


def _rearranged(name: str, before: Shape, after: Shape) -> Rearrangement | None:
    return rearranged_kernel(before, after) if _leaf(name).endswith("kernel") else same_values(before, after)


def _gates(name: str, shapes: Shapes) -> int:
    """How many gates a recurrent layer of Keras has, from the kernel by which its state comes in again."""
    recurrent = shapes.get(f"{name.removesuffix(_leaf(name))}recurrent_kernel", ())
    return recurrent[1] // recurrent[0] if len(recurrent) == 2 else 1


def _permuted(reference: str, port: str, layouts: Layouts) -> Way:
    return linear(
        lambda arrays: [to_port(reference, a, layouts.parameter(reference, port, a.ndim)) for a in arrays],
        lambda arrays: [to_reference(a, layouts.parameter(reference, port, a.ndim)) for a in arrays],
    )
