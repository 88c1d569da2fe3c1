"""The runtimes that there are, in the order in which `auto` tries them, and the engine that a name stands for."""

from torch_retinanet.detector import RetinaNetDetector
from torch_retinanet.engines.engine import Runtime
from torch_retinanet.engines.exported import ONNX, OPENVINO
from torch_retinanet.engines.native import COMPILED, EAGER, PACKED
from torch_retinanet.errors import InputError
from torch_retinanet.inference.way import Precision
from torch_retinanet.predict import Engine

RUNTIMES: dict[str, Runtime] = {runtime.name: runtime for runtime in (EAGER, PACKED, COMPILED, ONNX, OPENVINO)}
"""By name."""


def build_engine(name: str, detector: RetinaNetDetector, precision: Precision = "fp32") -> Engine:
    """The engine of this name.

    Raises:
        InputError: for one that cannot run here, saying what it needs.
    """
    if reason := RUNTIMES[name].missing(detector, precision):
        raise InputError(f"engine: {name} cannot run here in {precision}; {reason}")
    return RUNTIMES[name].build(detector, precision)


def usable(detector: RetinaNetDetector, precision: Precision) -> list[Runtime]:
    """The runtimes that can run a detector here, and that `auto` measures."""
    return [one for one in RUNTIMES.values() if one.by_auto and not one.missing(detector, precision)]
