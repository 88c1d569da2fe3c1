"""One comparison as three functions: what the reference answers, what the port answers, how both are judged.

Nothing stands between the two sides: recording stores the reference's answers, and checking loads them. Needs numpy
alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from parity_tests.rule.digest import digest_of
from parity_tests.rule.errors import UsageError
from parity_tests.rule.record import Record, Where

Answer = Mapping[str, Any]
"""Arrays, samples of arrays and texts, by name, in lists and in mappings of them."""

DIGEST = "asked with"
"""Under which an answer holds the digest of what was drawn anew on both sides."""


class Opened(Protocol):
    """What a case needs of a side of whatever kind: where its taps are made, `file:line` by tap."""

    @property
    def sources(self) -> Mapping[str, str]: ...


S = TypeVar("S", bound=Opened)


@dataclass(frozen=True)
class About:
    """What a side has: where each tap is made, and the framework's own names of all variables.

    Attributes:
        sources: `file:line` by tap, of all taps that were made so far.
        inventory: by the framework's own name that under which a variable is compared.
        skipped: by the framework's own name why a variable is not compared.
    """

    sources: Mapping[str, str]
    inventory: Mapping[str, str]
    skipped: Mapping[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class Sides(Generic[S]):
    """Reference and port in each precision: built where they are first asked for, with the weights of the comparison.

    Attributes:
        build: what builds each side in a precision, by `reference` and `port`.
        assign: puts the weights of the comparison into the side of that name.
        inventory: the framework's own names of a side's variables, and of those that are not compared, as `About` has
            them.
        let_go: gives the memory of a side back.
        recorded: what is known of a reference that was recorded, and is not built.
    """

    build: Mapping[str, Callable[[str], S]]
    assign: Callable[[str, S], None]
    inventory: Callable[[S], tuple[Mapping[str, str], Mapping[str, str]]] = lambda side: ({}, {})
    let_go: Callable[[S], None] = lambda side: None
    recorded: About | None = None
    _built: dict[tuple[str, str], S] = field(default_factory=dict)
    _sources: dict[str, dict[str, str]] = field(default_factory=dict)

    def reference(self, dtype: str) -> S:
        """The reference in a precision."""
        return self._side("reference", dtype)

    def port(self, dtype: str) -> S:
        """The port in a precision."""
        return self._side("port", dtype)

    def _side(self, name: str, dtype: str) -> S:
        if (name, dtype) not in self._built:
            side = self.build[name](dtype)
            self.assign(name, side)
            self._built[name, dtype] = side
        return self._built[name, dtype]

    def restore(self) -> None:
        """Put the weights into all sides again."""
        for (name, _), side in self._built.items():
            self.assign(name, side)

    def make_room(self, dtype: str) -> None:
        """Let the sides of a precision go; they are built again where they are asked for."""
        for name, kept in [key for key in self._built if key[1] == dtype]:
            self._sources.setdefault(name, {}).update(self._built.pop((name, kept)).sources)

    def release(self) -> None:
        """Give the memory of all models back."""
        for side in self._built.values():
            self.let_go(side)
        self._built.clear()

    def about(self) -> dict[str, About]:
        """What each side has, of those that were built or recorded."""
        found = {} if self.recorded is None else {"reference": self.recorded}
        for (name, _), side in self._built.items():
            sources = self._sources.get(name, {}) | dict(side.sources)
            found.setdefault(name, About(sources, *self.inventory(side)))
        return found


@dataclass(frozen=True, kw_only=True)
class Case(Generic[S]):
    """One comparison.

    Attributes:
        rung: the step of the ladder.
        where: what it is made on; its records may tell more.
        reference: what the reference answers: all that a bundle stores, what the port is fed included.
        port: what the port answers; it may be fed the reference's answer.
        judge: the records of two answers. It is given nothing else.
        whole: the parts of the reference's answer that the port is fed, and that are never kept as samples.
        trains: whether weights change, which are put back afterwards.
        shared: where presets hardly differ in it, which of the presets climbs it, counted from 0.
    """

    rung: str
    where: Where
    reference: Callable[[Sides[S]], Answer]
    port: Callable[[Sides[S], Answer], Answer]
    judge: Callable[[Answer, Answer], list[Record]]
    whole: Sequence[str] = ()
    trains: bool = False
    shared: int | None = None

    @property
    def name(self) -> str:
        """What a person calls it, `forward 128x128`; each case of a run has another."""
        return f"{self.rung} {self.where.text}"


def dealt(cases: Sequence[Case[S]], share: tuple[int, int]) -> tuple[list[Case[S]], list[str]]:
    """The cases of one preset of several that are climbed beside each other, and the names of those it leaves."""
    which, of = share
    left = [case for case in cases if case.shared is not None and case.shared % of != which]
    return [case for case in cases if case not in left], [case.name for case in left]


def asked_with(*drawn: Any) -> dict[str, Any]:
    """The digest of what is drawn on both sides, as a part of the reference's answer."""
    return {DIGEST: digest_of(drawn)}


def check_drawn(answer: Answer, *drawn: Any) -> None:
    """Refuse an answer to another question: of another version of the instrument, or of numpy.

    Raises:
        UsageError: where the reference was asked with other numbers.
    """
    if answer[DIGEST] != digest_of(drawn):
        raise UsageError("the recorded reference was asked with other numbers; record it again with this version")
