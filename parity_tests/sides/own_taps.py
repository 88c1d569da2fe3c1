"""Taps that a model writes itself. Needs numpy alone."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from parity_tests.rule.errors import UsageError


@dataclass(frozen=True)
class OwnTaps:
    """A model that takes a mapping `taps=`: it writes each intermediate result there, and goes on with what it reads.

        taps["p3"] = self.conv(x)
        x = taps["p3"]

    What it reads is what it wrote, or what it is fed in its place.

    Attributes:
        flat: taps that lie alike on both sides, though they have four axes or more.
        terms: the products in the longest sum of a tap, which cannot be seen from outside; one where it is not told.
        lasting: whether no module may change a tap that another has written: what is left of it in the end is compared.
        refusals: what the model raises where it refuses its inputs half way; its taps up to there are compared.
    """

    flat: Collection[str] = ()
    terms: Mapping[str, int] = field(default_factory=dict)
    lasting: bool = False
    refusals: tuple[type[Exception], ...] = (UsageError,)
