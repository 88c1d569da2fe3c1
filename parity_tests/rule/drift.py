"""What moved between two runs of the ladder: verdicts, margins, and the versions that may explain them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from parity_tests.rule.record import Record
from parity_tests.rule.result import Result

ABSENT = "absent"
"""In place of a verdict where a run has not the comparison."""

MOVED, VISIBLE = 2.0, 0.01
"""A margin has moved if its share of the budget grew or shrank so many times, and is as large as this in either run."""

PASSING = ("equal", "tie")

Key = tuple[str, str, str, str]


@dataclass(frozen=True)
class Move:
    """A comparison in two runs; `old` or `new` is `None` where that run has not got it."""

    key: Key
    old: Record | None
    new: Record | None

    @property
    def verdicts(self) -> tuple[str, str]:
        """The verdicts of both, `absent` where there is none."""
        return self.old.verdict if self.old else ABSENT, self.new.verdict if self.new else ABSENT

    @property
    def changed(self) -> bool:
        """Whether the verdict is another: of one that is gone, and of a new one that does not pass, too."""
        old, new = self.verdicts
        if old == ABSENT:
            return new not in PASSING
        return old != new

    @property
    def factor(self) -> float | None:
        """How many times as much of its budget the new run uses, shares below `VISIBLE` taken for it."""
        if self.old is None or self.new is None:
            return None
        shares = [record.used or 0.0 for record in (self.old, self.new)]
        return max(shares[1], VISIBLE) / max(shares[0], VISIBLE)

    @property
    def moved(self) -> bool:
        """Whether its margin has moved."""
        return self.factor is not None and not 1 / MOVED < self.factor < MOVED


@dataclass(frozen=True)
class Drift:
    """What moved between two runs.

    Attributes:
        changed: comparisons whose verdict changed.
        moved: others whose margin moved, the farthest first.
        verdicts: of both runs as a whole, which what was not covered decides too.
        compared: how many comparisons both runs have.
        appeared: how many the new one has alone.
        provenance: what differs in versions, machine, settings and so on: old and new by name.
    """

    changed: Sequence[Move]
    moved: Sequence[Move]
    verdicts: tuple[str, str]
    compared: int
    appeared: int
    provenance: Mapping[str, tuple[str, str]]

    @property
    def exit_code(self) -> int:
        """1 where a verdict changed, of a comparison or of the whole run, else 0."""
        return 1 if self.changed or self.verdicts[0] != self.verdicts[1] else 0


def drift(old: Result, new: Result) -> Drift:
    """What moved from one run to another."""
    before, after = (_by_key(result.records) for result in (old, new))
    moves = [Move(key, before.get(key), after.get(key)) for key in dict.fromkeys([*before, *after])]
    changed = [move for move in moves if move.changed]
    moved = [move for move in moves if move.moved and not move.changed]
    return Drift(
        changed=changed,
        moved=sorted(moved, key=_distance, reverse=True),
        verdicts=(old.verdict, new.verdict),
        compared=len(before.keys() & after.keys()),
        appeared=len(after.keys() - before.keys()),
        provenance=_differences(old, new),
    )


def _by_key(records: Sequence[Record]) -> dict[Key, Record]:
    """Records by what they are of; of several of the same the second has `#2` behind its name."""
    keyed: dict[Key, Record] = {}
    counts: Counter[Key] = Counter()
    for record in records:
        key = (record.preset, record.rung, record.where.text, record.name)
        counts[key] += 1
        keyed[key if counts[key] == 1 else (*key[:3], f"{record.name}#{counts[key]}")] = record
    return keyed


def _distance(move: Move) -> float:
    factor = move.factor or 1.0
    return max(factor, 1 / factor)


def _differences(old: Result, new: Result) -> dict[str, tuple[str, str]]:
    sides = [_flat(dict(result.provenance) | {"settings": result.settings}) for result in (old, new)]
    names = dict.fromkeys([*sides[0], *sides[1]])
    pairs = {name: (sides[0].get(name, "-"), sides[1].get(name, "-")) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name} ")
        else:
            flat[f"{prefix}{name}"] = str(value)
    return flat
