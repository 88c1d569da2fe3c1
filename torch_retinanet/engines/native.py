"""The runtimes that need torch alone: the detector as it is, and `RetinaNetDetector.optimize` in its two ways."""

import copy

import torch

from torch_retinanet.detector import RetinaNetDetector
from torch_retinanet.engines.engine import Runtime
from torch_retinanet.inference.way import DTYPES, Precision, find_way
from torch_retinanet.predict import Engine


def _device(detector: RetinaNetDetector) -> torch.device:
    return next(detector.parameters()).device


def _nothing_missing(detector: RetinaNetDetector, precision: Precision) -> str:
    return ""


def _no_compiler(detector: RetinaNetDetector, precision: Precision) -> str:
    if find_way(precision, _device(detector), winograd=True).winograd:
        return ""
    return "it needs an x86 processor with AVX and a C++ compiler"


def _eager(detector: RetinaNetDetector, precision: Precision) -> Engine:
    if next(detector.parameters()).dtype == DTYPES[precision]:
        return detector
    return copy.deepcopy(detector).to(DTYPES[precision])


def _packed(detector: RetinaNetDetector, precision: Precision) -> Engine:
    return detector.optimize(precision=precision, winograd=False)


def _compiled(detector: RetinaNetDetector, precision: Precision) -> Engine:
    return detector.optimize(precision=precision)


EAGER = Runtime("eager", _nothing_missing, _eager)
PACKED = Runtime("packed", _nothing_missing, _packed)
COMPILED = Runtime("compiled", _no_compiler, _compiled)
