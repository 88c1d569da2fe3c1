"""The runtimes of exported networks: onnxruntime and OpenVINO. What stands around the network stays in torch.

The network is exported to a file that is gone once it is read, which takes some 20 s for ResNet-50.
"""

import importlib.util
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from torch_retinanet.detector import RetinaNetDetector
from torch_retinanet.engines.certificate import OUTPUTS
from torch_retinanet.engines.engine import Runtime
from torch_retinanet.engines.exporters import write_program
from torch_retinanet.engines.runtimes import KINDS, Run, open_program
from torch_retinanet.errors import install_hint
from torch_retinanet.inference.way import Precision
from torch_retinanet.predict import Engine


class ExportedNetwork:
    """A network in another runtime: images (B,C,H,W) to deltas (B,N,4) and logits (B,N,K), on the CPU."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def __call__(self, images: Tensor, *, above: float | None = None) -> tuple[Tensor, Tensor]:
        """Deltas and logits in float32, all of them: `above` saves nothing here."""
        answer = self._run(images.float().numpy())
        return torch.from_numpy(answer["deltas"]), torch.from_numpy(answer["logits"])


def _missing(
    detector: RetinaNetDetector, precision: Precision, *, packages: Sequence[str], extra: str, precisions: Sequence[str]
) -> str:
    if lacking := [package for package in packages if importlib.util.find_spec(package) is None]:
        return f"{lacking[0]} is not installed, and {install_hint(extra)} brings it"
    if next(detector.parameters()).device.type != "cpu":
        return "it computes on the CPU; --device cpu moves the model there"
    return "" if precision in precisions else f"it computes in {' and '.join(precisions)}"


def _build(detector: RetinaNetDetector, precision: Precision, *, to: str) -> Engine:
    with tempfile.TemporaryDirectory() as folder:
        path = (Path(folder) / "network").with_suffix(KINDS[to].suffix)
        write_program(detector, path, to, raw=True)
        threads = torch.get_num_threads()
        program = open_program(path, OUTPUTS["network"], threads=threads, bf16=precision == "bf16")
        return detector.with_network(ExportedNetwork(program))


ONNX = Runtime(
    "onnx",
    partial(_missing, packages=("onnx", "onnxscript", "onnxruntime"), extra="onnx", precisions=("fp32",)),
    partial(_build, to="onnx"),
    by_auto=False,
)
OPENVINO = Runtime(
    "openvino",
    partial(_missing, packages=("onnxscript", "openvino"), extra="openvino", precisions=("fp32", "bf16")),
    partial(_build, to="openvino"),
    by_auto=False,
)
