"""The runtimes of torch alone: the detector as it is, `RetinaNetDetector.optimize` in its two ways, and CUDA graphs."""

import copy

import torch

from torch_retinanet.compiler import lacks_compiler
from torch_retinanet.detector import RetinaNetDetector
from torch_retinanet.engines.engine import Runtime
from torch_retinanet.inference.graphed import GraphedNetwork
from torch_retinanet.inference.way import DTYPES, Precision, find_way, lacks
from torch_retinanet.predict import Engine


def _device(detector: RetinaNetDetector) -> torch.device:
    return next(detector.parameters()).device


def _no_precision(detector: RetinaNetDetector, precision: Precision) -> str:
    return lacks(precision, _device(detector))


def _no_compiler(detector: RetinaNetDetector, precision: Precision) -> str:
    device = _device(detector)
    if reason := lacks(precision, device):
        return reason
    if device.type == "cuda":
        return lacks_compiler(device)
    if find_way(precision, device, winograd=True).winograd:
        return ""
    return "it needs an x86 processor with AVX and a C++ compiler, or a CUDA device"


def _eager(detector: RetinaNetDetector, precision: Precision) -> Engine:
    if next(detector.parameters()).dtype == DTYPES[precision]:
        return detector
    return copy.deepcopy(detector).to(DTYPES[precision])


def _packed(detector: RetinaNetDetector, precision: Precision) -> Engine:
    return detector.optimize(precision=precision, winograd=False)


def _compiled(detector: RetinaNetDetector, precision: Precision) -> Engine:
    device = _device(detector)
    if device.type != "cuda":
        return detector.optimize(precision=precision)
    return detector.with_network(GraphedNetwork(detector.model, find_way(precision, device, winograd=False)))


EAGER = Runtime("eager", _no_precision, _eager)
PACKED = Runtime("packed", _no_precision, _packed)
COMPILED = Runtime("compiled", _no_compiler, _compiled)
