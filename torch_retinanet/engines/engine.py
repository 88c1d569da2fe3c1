"""What a runtime is: how an engine, which turns pictures into detections, is made of a detector."""

from collections.abc import Callable
from dataclasses import dataclass

from torch_retinanet.detector import RetinaNetDetector
from torch_retinanet.inference.way import Precision
from torch_retinanet.predict import Engine


@dataclass(frozen=True)
class Runtime:
    """A kind of engine.

    Attributes:
        name: as users write it.
        missing: why a detector cannot run on it in a precision here, in a few words; "" where it can.
        build: makes the engine of a detector, whose weights and device it takes as they are.
        by_auto: whether `auto` measures it too; not where it takes longer than a few seconds to be built.
    """

    name: str
    missing: Callable[[RetinaNetDetector, Precision], str]
    build: Callable[[RetinaNetDetector, Precision], Engine]
    by_auto: bool = True
