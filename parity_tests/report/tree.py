"""The taps of the rung *forward* as a tree of modules, for the names of this project and for any other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from parity_tests.report.colours import Shade, shade_of
from parity_tests.rule.divergence import divergence
from parity_tests.rule.record import Record
from parity_tests.rule.result import Result

DEEPEST = 4
"""Levels of the tree; what lies deeper stays at the last one."""

Member = tuple[tuple[str, ...], Sequence[Record]]


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A module, or where it has no children a tap.

    Attributes:
        shades: the worst of all its comparisons, by mode.
        squares: the taps within, each with its worst shade in the first mode.
        sources: where a tap is made, by side.
        opened: whether the first difference lies within, or it is a preset beside others.
    """

    name: str
    shades: Sequence[Shade]
    squares: Sequence[tuple[str, Shade]] = ()
    children: Sequence["Branch"] = ()
    sources: Mapping[str, str]
    opened: bool


def taps_of(records: Sequence[Record]) -> list[Record]:
    """The comparisons of taps in the rung *forward*, without those of the variables, before and after training."""
    return [record for record in records if record.rung == "forward" and record.tag.kind == "tap"]


def modes_of(records: Sequence[Record]) -> list[str]:
    """How the taps were run, in order."""
    return list(dict.fromkeys(tap.where.mode for tap in taps_of(records)))


def module_tree(result: Result) -> Sequence[Branch]:
    """The modules of all presets, in the order of the forward pass; several presets are a floor of their own."""
    taps = taps_of(result.records)
    several = len({tap.preset for tap in taps}) > 1
    by_tap: dict[tuple[str, str], list[Record]] = {}
    for tap in taps:
        by_tap.setdefault((tap.preset, tap.name), []).append(tap)
    members: list[Member] = [
        ((preset, *_group(rows)) if several else _group(rows), rows) for (preset, _), rows in by_tap.items()
    ]
    parting = divergence(taps)
    first = parting.first if parting else None
    tree = _Trees(modes_of(result.records), first, result.sources).children(members)
    return [replace(branch, opened=True) for branch in tree] if several else tree


def _group(rows: Sequence[Record]) -> tuple[str, ...]:
    return rows[0].tag.group[:DEEPEST]


@dataclass(frozen=True)
class _Trees:
    """What every branch of a tree needs."""

    modes: Sequence[str]
    first: Record | None
    sources: Mapping[str, Mapping[str, str]]

    def children(self, members: Sequence[Member]) -> list[Branch]:
        """Modules and taps in the order in which they first appear; a module of one tap is that tap."""
        groups: dict[tuple[str, bool], list[Member]] = {}
        for path, rows in members:
            groups.setdefault((path[0], True) if path else (rows[0].name, False), []).append((path[1:], rows))
        return [
            self._module(name, inside) if len(inside) > 1 else self._tap(inside[0][1])
            for (name, _), inside in groups.items()
        ]

    def _module(self, name: str, members: Sequence[Member]) -> Branch:
        rows = [row for _, of_tap in members for row in of_tap]
        return Branch(
            name=name,
            shades=self._shades(rows),
            squares=[(of_tap[0].name, self._shades(of_tap)[0]) for _, of_tap in members],
            children=self.children(members),
            sources={},
            opened=self.first in rows,
        )

    def _tap(self, rows: Sequence[Record]) -> Branch:
        name = rows[0].name
        sources = self.sources.get(name, {})
        return Branch(name=name, shades=self._shades(rows), sources=sources, opened=self.first in rows)

    def _shades(self, rows: Sequence[Record]) -> list[Shade]:
        return [shade_of([row for row in rows if row.where.mode == mode]) for mode in self.modes]
