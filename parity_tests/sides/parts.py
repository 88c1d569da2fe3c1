"""Modules as they are matched: one with its parameters, and the parts of one that the other side may have apart.

Needs numpy alone.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from parity_tests.rule.record import Array
from parity_tests.sides.kinds import PROJECTIONS, projection_of
from parity_tests.sides.names import canonical

Values = Mapping[str, Array]
Signature = tuple[tuple[str, tuple[int, ...]], ...]

ALONE = "model"
"""What the path of a model itself is called."""

SEPARABLE = {"depthwise": {"kernel": "depthwise_kernel"}, "pointwise": {"kernel": "pointwise_kernel", "bias": "bias"}}
"""The parts of a separable convolution of Keras, which torch has as two, and what Keras calls their parameters."""


@dataclass(frozen=True)
class Module:
    """A module with parameters.

    Attributes:
        path: where it lies.
        values: its parameters by name.
        named: what its side calls a parameter, where that is otherwise.
        layers: the paths of the layers that it is made of, in the order of their calls, where those are several.
    """

    path: str
    values: Values
    named: Mapping[str, str] = field(default_factory=dict)
    layers: tuple[str, ...] = ()

    @property
    def signature(self) -> Signature:
        """The names of its parameters below it, and their shapes."""
        return tuple((name.removeprefix(self.path), value.shape) for name, value in self.values.items())

    @property
    def numbers(self) -> tuple[float, ...]:
        """Mean, deviation and ends of each parameter, as they are in any layout; empty where one value fills it."""
        found = [(v.mean(dtype=float), v.std(dtype=float), v.min(), v.max()) for v in self.values.values() if v.size]
        return tuple(float(f"{n:.5e}") for of in sorted(found) for n in of) if any(of[1] for of in found) else ()

    @cached_property
    def idle(self) -> frozenset[str]:
        """The parameters of BatchNorm that change nothing: a factor of one, an offset of zero."""
        leaves = {canonical(name)[-1]: name for name in self.values} if self._is_norm else {}
        neutral = {"weight": 1.0, "bias": 0.0}
        return frozenset(name for leaf, name in leaves.items() if (self.values[name] == neutral.get(leaf)).all())

    @property
    def _is_norm(self) -> bool:
        return any(canonical(name)[-1] == "running_mean" for name in self.values)

    @property
    def called(self) -> str:
        """The path of the layer that is called when it is."""
        if self.layers:
            return self.layers[0]
        return self.path.rpartition("/")[0] if self.named else self.path

    def parts(self) -> list["Module"]:
        """What it is made of, where that is more than one: layers within it, or those that Keras has as one."""
        leaves = {canonical(name)[-1]: name for name in self.values}
        if {"depthwise_kernel", "pointwise_kernel"} <= leaves.keys():
            return [
                self._part(part, {own: leaves[n] for own, n in of.items() if n in leaves})
                for part, of in SEPARABLE.items()
            ]
        within = modules_of(self.values, self.values, ())
        return within if len(within) > 1 else [self]

    def _part(self, part: str, names: Mapping[str, str]) -> "Module":
        path = f"{self.path}/{part}"
        values = {f"{path}/{own}": self.values[name] for own, name in names.items()}
        return Module(path, values, {f"{path}/{own}": name for own, name in names.items()})


def modules_of(values: Values, left: Collection[str], wholes: Collection[str]) -> list[Module]:
    """The modules of parameters that are left, in order; what lies in one of `wholes` belongs to that.

    A model that has parameters of its own stands under a name of its own.
    """
    found: dict[str, dict[str, Array]] = {}
    for name in values:
        if name in left:
            found.setdefault(_owner(name, wholes), {})[name] = values[name]
    named = {f"{ALONE}.{name}": name for name in found.get("", ())}
    alone = Module(ALONE, {new: values[name] for new, name in named.items()}, named)
    return [Module(path, own) if path else alone for path, own in found.items()]


def in_parts(reference: Sequence[Module], port: Sequence[Module]) -> tuple[list[Module], list[Module]]:
    """The modules of both sides in their parts; three projections of attention as one where the other has one."""
    one, other = ([part for module in side for part in module.parts()] for side in (reference, port))
    together = _projections_together(one), _projections_together(other)
    if len(together[0]) == len(one) or len(together[1]) == len(other):
        return together
    return one, other


def _projections_together(modules: Sequence[Module]) -> list[Module]:
    """The modules with those that make query, key and value of one attention as one, where the first of them stands."""
    groups: dict[str, list[Module]] = {}
    for module in modules:
        if any(projection_of(name) for name in module.values):
            groups.setdefault(re.sub(r"[./]?[^./]*$", "", module.path), []).append(module)
    wholes = {id(of[0]): _together(path, of) for path, of in groups.items() if len(of) == len(PROJECTIONS)}
    within = {id(module) for of in groups.values() if len(of) == len(PROJECTIONS) for module in of[1:]}
    return [wholes.get(id(module), module) for module in modules if id(module) not in within]


def _together(path: str, modules: Sequence[Module]) -> Module:
    values = {name: value for module in modules for name, value in module.values.items()}
    return Module(path, values, layers=tuple(module.path for module in modules))


def _owner(name: str, wholes: Collection[str]) -> str:
    within = [path for path in wholes if re.match(rf"{re.escape(path)}[./]", name)]
    return min(within, key=len) if within else re.sub(r"[./]?[^./]*$", "", name)
