"""What changing each convention does, as coloured tables: by effect, and by picture size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from parity_tests.report.colours import Shade, power_text

EFFECTS = {
    "activations": "activations",
    "loss": "loss",
    "loss_after_20": "loss after 20 steps",
    "detections": "detections changed",
    "map": "mAP",
}
"""What a convention can change, and its heading."""

STEPS = (0.0, 1e-6, 1e-3, 1e-2, 1e-1)
"""Effects above which the next darker shade begins."""

LEGEND = (("s0", "none"), ("s1", "to 1e-6"), ("s2", "to 0.1 %"), ("s3", "to 1 %"), ("s4", "to 10 %"), ("s5", "more"))
"""Each shade and the effects that have it."""

UNSEEN = Shade(level="unknown", text="unseen")
"""A size at which a convention has no effect at all: no comparison there can tell it."""

REFUSED = Shade(level="none", text="refused")
"""A size that the model refuses before a convention shows: nothing was compared that could tell it."""

OTHER_STRUCTURE = Shade(level="s5", text="≠")
"""A size at which there is another shape, another number of detections, or no result on one side."""


@dataclass(frozen=True, kw_only=True)
class ChangedConvention:
    """One convention that was changed: what it means and what it does."""

    row: Mapping[str, Any]
    effects: Sequence[Shade]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Conventions that were looked for at the same sizes, and what is seen of each there."""

    sizes: Sequence[str]
    rows: Sequence[tuple[Mapping[str, Any], Sequence[Shade]]]


def changed(ablation: Mapping[str, Any]) -> list[ChangedConvention]:
    """The conventions of an ablation, in its order."""
    return [
        ChangedConvention(row=row, effects=[_shade(name, row[name]) for name in EFFECTS]) for row in ablation["rows"]
    ]


def seen_at(ablation: Mapping[str, Any]) -> list[Seen]:
    """The conventions by the sizes at which they were looked for; those that have no sizes are left out."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in ablation["rows"]:
        groups.setdefault(tuple(row["sizes"]), []).append(row)
    return [
        Seen(sizes=sizes, rows=[(row, [_seen(row, size) for size in sizes]) for row in rows])
        for sizes, rows in groups.items()
        if sizes
    ]


def _shade(name: str, effect: float | None) -> Shade:
    if effect is None:
        return Shade(level="none", text="–")
    text = f"{effect:+.3f}".replace("-", "−") if name == "map" and effect else effect_text(effect)
    return Shade(level=f"s{sum(abs(effect) > step for step in STEPS)}", text=text)


def _seen(row: Mapping[str, Any], size: str) -> Shade:
    if size in row["refused"]:
        return REFUSED
    effect = row["seen"][size]
    if effect is None:
        return OTHER_STRUCTURE
    return _shade("seen", effect) if effect else UNSEEN


def effect_text(effect: float) -> str:
    """A share as people read it: percents where there are some, else a power of ten; from ten on a factor."""
    if effect < 0:
        return f"−{effect_text(-effect)}"
    if effect == 0:
        return "0"
    if effect < 0.001:
        return power_text(effect)
    if effect >= 10:
        return f"×{effect:.0f}" if effect < 1e4 else f"×{power_text(effect)}"
    return f"{100 * effect:.2g} %" if effect < 0.995 else f"{100 * effect:.0f} %"
