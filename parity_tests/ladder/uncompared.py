"""Taps of one side that no module of the other gives, and that are compared where they arrive. Needs numpy alone."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from parity_tests.rule.record import SIDES
from parity_tests.sides.adapter import Adapter
from parity_tests.sides.carry import draws_together
from parity_tests.sides.links import Links, on_patches
from parity_tests.sides.names import Names, Pairs, canonical, is_within


def without_wider(
    paired: Pairs, adapters: Sequence[Adapter], paths: Sequence[Mapping[str, str]], parameters: Names, links: Links
) -> Pairs:
    """Without taps that nobody asked for, of which one holds layers that the other side has elsewhere.

    A block that scales its result by a parameter of its own stands beside a layer that scales and no more.
    """
    each = [(link.reference, link.port) for link in links.each]
    partners = [{name: {*names[1 - i]} for names in each for name in names[i]} for i in (0, 1)]
    inside = [_by_module(of_side) for of_side in parameters]

    def is_wider(tap: str, name: str) -> bool:
        own = [inside[i].get(canonical(path), set[str]()) for i, path in enumerate((paths[0][tap], paths[1][name]))]
        return all(own) and any(partners[i].get(of, set[str]()) - own[1 - i] for i in (0, 1) for of in own[i])

    if any(adapter.taps is not None for adapter in adapters):
        return paired
    wider = {tap: name for tap, name in paired.port.items() if paths[0][tap] and is_wider(tap, name)}
    return _skipping(paired, wider, "holds layers in the one side that lie elsewhere in the other")


def without_drawn(
    paired: Pairs, adapters: Sequence[Adapter], paths: Sequence[Mapping[str, str]], links: Links
) -> Pairs:
    """Without taps that nobody asked for and whose results have in several axes what the port's have in one."""
    if any(adapter.taps is not None for adapter in adapters):
        return paired
    fitting = [link for link in links.each if link.fits]
    drawn = [
        link.reference[0]
        for link in fitting
        if any(draws_together(*s) for s in (link.shapes, link.shapes[::-1]))
        or on_patches(link.reference[0], link.port[0], link.shapes)
    ]
    apart = {tap: name for tap, name in paired.port.items() if _within(paths[0][tap], drawn)}
    reason = "has its results in other axes than the other side, and they are compared where they arrive"
    return _skipping(paired, apart, reason)


def without_skipped(
    paired: Pairs,
    adapters: Sequence[Adapter],
    paths: Sequence[Mapping[str, str]],
    parameters: Names,
    skip: Mapping[str, str],
) -> Pairs:
    """Without taps that nobody asked for, that have no partner, and all of whose own parameters are to be skipped.

    A block that holds a constant, as a mask, is tapped for that alone.
    """
    missing, skipped = dict(paired.missing), dict(paired.skipped)
    for i, side in enumerate(SIDES):
        for tap in paired.missing[side] if adapters[i].taps is None else ():
            path = canonical(paths[i][tap])
            reasons = [skip.get(name) for name in parameters[i] if path and canonical(name)[:-1] == path]
            if reasons and reasons[0] and all(reasons):
                missing[side] = [other for other in missing[side] if other != tap]
                skipped[side] = skipped[side] | {tap: reasons[0]}
    return paired._replace(missing=missing, skipped=skipped)


def without_parts(
    paired: Pairs, adapters: Sequence[Adapter], paths: Sequence[Mapping[str, str]], parameters: Names, links: Links
) -> Pairs:
    """Without taps that nobody asked for and whose parameters are carried from or to a part of some other module.

    What they make is no result of a module of the other side, and is compared where it arrives.
    """
    each = [(link.reference, link.port) for link in links.each]
    partners = [{name: {*names[1 - i]} for names in each for name in names[i]} for i in (0, 1)]
    missing, skipped = dict(paired.missing), dict(paired.skipped)
    for i, side in enumerate(SIDES):
        if adapters[i].taps is not None:
            continue
        within = [_within(paths[1 - i][tap], parameters[1 - i]) for tap in paired.missing[SIDES[1 - i]]]
        beside = [(of, _partners(of, partners[1 - i])) for of in within]
        for tap in paired.missing[side]:
            own = _within(paths[i][tap], parameters[i])
            theirs = [partners[i].get(name, set[str]()) for name in own]
            if theirs and all(theirs) and (set().union(*theirs), own) not in beside:
                missing[side] = [other for other in missing[side] if other != tap]
                names = " and ".join(sorted(set().union(*theirs)))
                skipped[side] = skipped[side] | {tap: f"the other side has its parameters in other parts, {names}"}
    return paired._replace(missing=missing, skipped=skipped)


def _partners(names: Iterable[str], partners: Mapping[str, set[str]]) -> set[str]:
    """What all these parameters are carried from or to."""
    return {partner for name in names for partner in partners.get(name, ())}


def _skipping(paired: Pairs, apart: Mapping[str, str], reason: str) -> Pairs:
    """Without these taps, which count as skipped on both sides."""
    skipped = {"reference": dict.fromkeys(apart, reason), "port": dict.fromkeys(apart.values(), reason)}
    return paired._replace(
        port={tap: name for tap, name in paired.port.items() if tap not in apart},
        skipped={side: paired.skipped[side] | skipped[side] for side in SIDES},
    )


def _by_module(names: Iterable[str]) -> dict[tuple[str, ...], set[str]]:
    """The parameters in each module, by its path."""
    found: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
    for name in names:
        spelled = canonical(name)
        for end in range(1, len(spelled)):
            found[spelled[:end]].add(name)
    return found


def _within(path: str, names: Sequence[str]) -> set[str]:
    """The parameters in the module of a path; none in the model itself."""
    return {name for name in names if path and is_within(name, path)}
