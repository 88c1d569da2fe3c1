"""BatchNorm that a port has folded into the convolution before it: what stands for what. Needs numpy alone."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from parity_tests.rule.record import SIDES
from parity_tests.sides.links import Links
from parity_tests.sides.names import Pairs, is_within
from parity_tests.sides.side import Calls


class FoldedNames(NamedTuple):
    """Names as they belong together where BatchNorm is folded.

    Attributes:
        taps: the result of each BatchNorm stands beside that of the convolution into which it is folded.
        parameters, links: without those of both, which hold other numbers.
        skip: what arrives at BatchNorm, which the port does not make.
    """

    taps: Pairs
    parameters: Pairs
    links: Links
    skip: dict[str, str]


def without_norms(
    taps: Pairs, parameters: Pairs, links: Links, paths: Mapping[str, str], calls: Calls
) -> FoldedNames | None:
    """The names without BatchNorm that lacks a partner; nothing where any has no convolution before it.

    Args:
        paths: of the reference's taps.
        calls: the reference's run, which shows what each BatchNorm is fed.
    """
    missing = parameters.missing["reference"]
    norms = [tap for tap in taps.missing["reference"] if any(is_within(name, paths[tap]) for name in missing)]
    before = {norm: _made_by(norm, calls, taps) for norm in norms}
    if not norms or not all(before.values()) or not _are_all(missing, [paths[norm] for norm in norms]):
        return None
    reasons = {conv: f"{norm} is folded into it in the port" for norm, conv in before.items()}
    stands = {norm: taps.port[conv] for norm, conv in before.items()}
    left = {tap: name for tap, name in taps.port.items() if tap not in reasons}
    own = {name: why for conv, why in reasons.items() for name in parameters.port if is_within(name, paths[conv])}
    why = dict.fromkeys(missing, "is folded into the layer before it in the port")
    theirs = {parameters.port[name]: reason for name, reason in own.items()}
    theirs |= dict.fromkeys(parameters.missing["port"], "holds a folded BatchNorm")
    return FoldedNames(
        _skipping(taps, left | stands, {"reference": reasons, "port": {}}, norms),
        _skipping(
            parameters,
            {name: of_port for name, of_port in parameters.port.items() if name not in own},
            {"reference": own | why, "port": theirs},
            missing,
        ),
        Links([link for link in links.each if not {*link.reference} & own.keys()]),
        {f"{norm}.input": f"is what {conv} makes before {norm} is folded into it" for norm, conv in before.items()},
    )


def _made_by(norm: str, calls: Calls, taps: Pairs) -> str:
    """The tap whose result a BatchNorm is fed, where it is called once and has a partner."""
    given = calls[norm].inputs if norm in calls and f"{norm}#2" not in calls else ()
    found = [tap for tap in taps.port if tap in calls and f"{tap}#2" not in calls and "" in calls[tap].outputs]
    same = [tap for tap in found if len(given) == 1 and np.array_equal(calls[tap].outputs[""], given[0])]
    return same[0] if len(same) == 1 else ""


def _are_all(names: list[str], paths: list[str]) -> bool:
    return all(any(is_within(name, path) for path in paths) for name in names)


def _skipping(pairs: Pairs, port: dict[str, str], skipped: Mapping[str, dict[str, str]], known: list[str]) -> Pairs:
    missing = {side: [name for name in pairs.missing[side] if name not in (*known, *skipped[side])] for side in SIDES}
    return Pairs(port, missing, {side: pairs.skipped[side] | skipped[side] for side in SIDES})
