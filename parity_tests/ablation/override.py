"""A convention that is turned by itself, and everything that is measured of it. Needs nothing."""

from dataclasses import dataclass
from typing import Literal

Part = Literal["network", "surroundings", "pictures", "optimizer", "rounding"]
"""What a convention belongs to: the network; what surrounds it, from anchors to detections; what is done to pictures
before; the optimiser; or none, where weights are moved by one unit of rounding instead."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One convention and its other value.

    Attributes:
        convention: its name.
        before, after: its values, in the preset and turned, as a command line has them.
        meaning: what it means, in a sentence.
        part: what it belongs to.
        left_out: why it is not turned; empty where it is.
    """

    convention: str
    before: str
    after: str
    meaning: str
    part: Part
    left_out: str = ""

    @property
    def assignment(self) -> str:
        """As `--turn` takes it: `p7_relu=before`."""
        return f"{self.convention}={self.after}"


ROUNDING = Turn(
    convention="(rounding)",
    before="as they are",
    after="one ulp",
    meaning="No convention: every weight moved to the next number up or down. What the others are read beside.",
    part="rounding",
)
