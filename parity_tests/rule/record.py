"""One comparison: where it was made, of what, and how it went. Needs numpy alone."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Verdict = Literal["equal", "tie", "different", "incomplete"]
Kind = Literal["tap", "variable", "other"]

SIDES = ("reference", "port")

ALL = "all"
"""The name in a record of a case that failed to run, where no tap was compared."""

EXIT_CODES: dict[Verdict, int] = {"equal": 0, "tie": 0, "different": 1, "incomplete": 3}
"""What a command returns for a verdict; 2 is wrong usage."""


@dataclass(frozen=True, kw_only=True)
class Where:
    """What a comparison was made on; each fact is a field of its own.

    Attributes:
        size: height and width of pictures, in pixels.
        inputs: the shapes of inputs that are no pictures of a size.
        data: which data, `batch of 4, outputs near the truth` or `pictures`.
        dtype: `float64`, `float32` or `bfloat16`; empty where structure alone is compared.
        mode: `isolated`, `cascaded`, or how BatchNorm ran, `inference` or `training`.
        subject: what of a model, as `weights`, or which optimiser.
        columns: the names of both sides where there are more than two.
    """

    size: tuple[int, int] | None = None
    inputs: tuple[tuple[int, ...], ...] = ()
    data: str = ""
    dtype: str = ""
    mode: str = ""
    subject: str = ""
    columns: tuple[str, ...] = ()

    @property
    def extent(self) -> str:
        """The size as people read it, `128x128`, or the shapes of the inputs, `4x16x16x3+4x2`."""
        shapes = self.inputs if self.size is None else (self.size,)
        return "+".join("x".join(map(str, shape)) or "scalar" for shape in shapes)

    @property
    def text(self) -> str:
        """All of it in a few words, `128x128 float64 isolated`."""
        words = (self.extent, self.data, self.dtype, self.mode, self.subject)
        columns = f", {' and '.join(self.columns)}" if self.columns else ""
        return " ".join(filter(None, words)) + columns


class Tag(NamedTuple):
    """What a name stands for.

    Attributes:
        kind: an activation, a weight or statistic, or something else.
        module: the name under which summaries list it, `cls.p3` of `cls.p3.0`; empty where that is its own.
        group: the modules that it lies in, outermost first.
    """

    kind: Kind = "other"
    module: str = ""
    group: tuple[str, ...] = ()


UNTAGGED = Tag()


@dataclass(frozen=True, kw_only=True)
class Record:
    """One comparison: where, of what, and how it went.

    Attributes:
        preset: that of the reference.
        rung: the step of the ladder, `shapes`, `forward`, `gradients` and so on.
        where: what it was made on.
        name: the tap or variable.
        tag: what the name stands for.
        verdict: `incomplete` where nothing could be compared; `tie` where detections, or which anchors are ignored,
            differ only because something stood at a threshold, which counts as equal.
        reference_shape, port_shape: shapes, channels last; `None` where that side has no such thing.
        difference: the largest absolute difference; `None` where only structure is compared.
        scale: the largest absolute value of the reference.
        budget: the largest difference allowed.
        reason: one sentence where it is not equal.
        values: what else was measured, such as the curve of a loss, by name.
        coarse: the sides that computed it in float32 where the case is float64; it is judged in float32 then.
        own_errors: in float32 how far the reference is from its own run in float64, and the port from its own.
        vacuous: why it says nothing though it is equal: no mistake could have shown in it.
    """

    preset: str = ""
    rung: str
    where: Where
    name: str
    tag: Tag = UNTAGGED
    verdict: Verdict
    reference_shape: tuple[int, ...] | None = None
    port_shape: tuple[int, ...] | None = None
    difference: float | None = None
    scale: float | None = None
    budget: float | None = None
    reason: str = ""
    values: Mapping[str, Sequence[float]] | None = None
    coarse: tuple[str, ...] = ()
    own_errors: tuple[float, float] | None = None
    vacuous: str = ""

    @property
    def case(self) -> str:
        """What it was made on, in words: `128x128 float64 isolated`."""
        return self.where.text

    @property
    def used(self) -> float | None:
        """The share of the budget used; `None` where there is no budget, or next to none and it was overdrawn."""
        if self.difference is None or self.budget is None:
            return None
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            share = float(np.float64(self.difference) / np.float64(self.budget)) if self.difference else 0.0
        return share if math.isfinite(share) else None


def verdict_of(records: Sequence[Record]) -> Verdict:
    """Different where one record is; incomplete where one is or there is none; else equal."""
    verdicts = {record.verdict for record in records}
    if "different" in verdicts:
        return "different"
    return "incomplete" if "incomplete" in verdicts or not records else "equal"
