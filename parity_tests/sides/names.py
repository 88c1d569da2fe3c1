"""The name table: which name of the port stands for which name of the reference. Needs nothing."""

import difflib
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from parity_tests.rule.errors import UsageError

LEAVES = {
    "kernel": "weight",
    "gamma": "weight",
    "embeddings": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
"""What Keras calls the variables of a layer, and torch those of a module."""


class Names(NamedTuple):
    """Names of one kind, parameters or taps.

    Attributes:
        reference, port: those that each side has.
    """

    reference: list[str]
    port: list[str]


class Pairs(NamedTuple):
    """Which names belong together.

    Attributes:
        port: the port's name by the reference's.
        missing: names without a partner and without a reason, by side.
        skipped: names that are not compared, and why, by side.
    """

    port: dict[str, str]
    missing: dict[str, list[str]]
    skipped: dict[str, dict[str, str]]


def canonical(name: str) -> tuple[str, ...]:
    """A path in one spelling for both frameworks: `conv1/kernel` and `conv1.weight` are the same."""
    *path, leaf = re.split(r"[./]", name)
    return *path, LEAVES.get(leaf, leaf)


def pair(names: Names, table: Mapping[str, str], skip: Mapping[str, str]) -> Pairs:
    """Pair each name of the port with the one that the table gives it, else with the one that is spelled like it.

    Raises:
        UsageError: where two names of the port stand for one of the reference.
    """
    spelled = Counter(map(canonical, names.reference))
    unique = {canonical(name): name for name in names.reference if spelled[canonical(name)] == 1}
    paired: dict[str, str] = {}
    for name in names.port:
        wanted = translated(name, table)
        found = wanted if wanted in names.reference else unique.get(canonical(wanted))
        if found is None or found in skip or name in skip:
            continue
        if found in paired:
            raise UsageError(f"names: {paired[found]} and {name} both stand for {found}, and each name has one partner")
        paired[found] = name
    left = {
        "reference": [name for name in names.reference if name not in paired],
        "port": [name for name in names.port if name not in paired.values()],
    }
    return Pairs(
        {name: paired[name] for name in names.reference if name in paired},
        {side: [name for name in over if name not in skip] for side, over in left.items()},
        {side: {name: skip[name] for name in over if name in skip} for side, over in left.items()},
    )


def are_folded(norms: Iterable[str], biases: Iterable[str]) -> bool:
    """Whether these are parameters of BatchNorm alone, and those are biases alone, into which it may be folded."""
    left, right = [canonical(name) for name in norms], [canonical(name) for name in biases]
    moving = {tuple(path) for *path, leaf in left if leaf == "running_mean"}
    whole = all(name[:-1] in moving for name in left) and all(name[-1] == "bias" for name in right)
    return bool(left and right) and whole


def owners(table: Mapping[str, str]) -> dict[str, str]:
    """The modules that a table of parameters pairs: each has one partner, in which all have the same names."""
    found = {(_owner(port), _owner(name)) for port, name in table.items()}
    partners = [Counter(of_side) for of_side in zip(*found, strict=True)]
    other = {_owner(port) for port, name in table.items() if canonical(port)[-1] != canonical(name)[-1]}
    alone = ((port, name) for port, name in found if partners[0][port] == partners[1][name] == 1)
    return {port: name for port, name in alone if port and name and port not in other}


def _owner(name: str) -> str:
    """What a parameter lies in; nothing for one of the model itself."""
    return name[: max(name.rfind("."), name.rfind("/"), 0)]


def check_table(table: Mapping[str, str], parameters: Names, taps: Names) -> None:
    """Refuse names that a side does not have: each must be a parameter, a tap, or what parameters lie in.

    Raises:
        UsageError: naming it, and the nearest.
    """
    for side, given in (("reference", table.values()), ("port", table.keys())):
        known = _with_owners(getattr(parameters, side)) + getattr(taps, side)
        if wrong := next((name for name in given if name not in known), None):
            raise UsageError(f"names: {wrong!r} is no parameter, module or tap of the {side}; {unknown(wrong, known)}")


def check_skip(skip: Mapping[str, str], known: Iterable[str]) -> None:
    """Refuse what does not exist and what has no reason.

    Raises:
        UsageError: naming it.
    """
    names = list(known)
    for name, reason in skip.items():
        if name not in names:
            raise UsageError(f"skip: {name!r} is no parameter or tap of either side; {unknown(name, names)}")
        if not reason.strip():
            raise UsageError(f"skip: {name!r} has no reason, and each must have one in writing")


def is_within(name: str, path: str) -> bool:
    """Whether a parameter lies in the module of this path."""
    return canonical(name)[: len(canonical(path))] == canonical(path)


def unknown(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about a name that does not exist: those that are spelled like it, or the first few."""
    names = list(dict.fromkeys(known))
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return f"nearest are {', '.join(near)}"
    return f"there are {', '.join(names[:3])}{' and others' if len(names) > 3 else ''}" if names else "there are none"


def fan_in(name: str, shape: tuple[int, ...]) -> int:
    """The products in each sum of a kernel: torch's `weight` has the sums first, kernels of Keras have them last."""
    return math.prod(shape[1:] if name.endswith("weight") else shape[:-1])


def translated(name: str, table: Mapping[str, str]) -> str:
    """The name as the table has it: itself, or with the longest module in the table that it lies in replaced.

    An empty name is that of the model itself.
    """
    cuts = [len(name), *(match.start() for match in reversed([*re.finditer(r"[./]", name)]))]
    return next(((table[name[:cut]] + name[cut:]).lstrip("./") for cut in cuts if name[:cut] in table), name)


def _with_owners(names: Iterable[str]) -> list[str]:
    """Names, and all modules that they lie in."""
    owners = {name[: match.start()] for name in names for match in re.finditer(r"^|[./]", name)}
    return [*names, *sorted(owners)]
