"""A convention that is changed by itself, and everything that is measured of it. Needs nothing."""

from dataclasses import dataclass
from typing import Literal

from torch_retinanet.config.fields import ActsOn

Part = Literal["network", "surroundings", "pictures", "optimizer", "rounding"]
"""What a convention belongs to: the network; what surrounds it, from anchors to detections; what is done to pictures
before; the optimiser; or none, where weights are moved by one unit of rounding instead."""


@dataclass(frozen=True, kw_only=True)
class Override:
    """One convention and its other value.

    Attributes:
        convention: its name.
        before, after: its values, in the preset and changed, as a command line has them.
        meaning: what it means, in a sentence.
        part: what it belongs to.
        acts_on: what it decides: the meaning of weights, their training, or detections.
        left_out: why it is not changed; empty where it is.
    """

    convention: str
    before: str
    after: str
    meaning: str
    part: Part
    acts_on: ActsOn = "result"
    left_out: str = ""

    @property
    def assignment(self) -> str:
        """As `--override` takes it: `p7_relu=before`."""
        return f"{self.convention}={self.after}"


ROUNDING = Override(
    convention="(rounding)",
    before="as they are",
    after="one ulp",
    meaning="No convention: every weight moved to the next number up or down. What the others are read beside.",
    part="rounding",
)
