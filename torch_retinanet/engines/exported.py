"""The runtimes of exported networks: onnxruntime and OpenVINO. What stands around the network stays in torch.

The network is exported to a file that is gone once it is read, which takes some 20 s for ResNet-50.
"""

import importlib.util
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torch_retinanet.detector import RetinaNetDetector
from torch_retinanet.engines.certificate import OUTPUTS
from torch_retinanet.engines.engine import Runtime
from torch_retinanet.engines.exporters import TARGETS, write_program
from torch_retinanet.errors import install_hint
from torch_retinanet.inference.way import Precision
from torch_retinanet.predict import Engine

Answer = Callable[[NDArray[np.float32]], Sequence[NDArray[np.float32]]]
"""From images (B,C,H,W) as the network is fed to deltas (B,N,4) and logits (B,N,K)."""


class ExportedNetwork:
    """A network in another runtime: images (B,C,H,W) to deltas (B,N,4) and logits (B,N,K), on the CPU."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def __call__(self, images: Tensor, *, above: float | None = None) -> tuple[Tensor, Tensor]:
        """Deltas and logits in float32, all of them: `above` saves nothing here."""
        deltas, logits = self._answer(images.float().numpy())
        return torch.from_numpy(deltas), torch.from_numpy(logits)


def _open_onnx(path: Path, precision: Precision) -> Answer:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda images: session.run([*OUTPUTS["network"]], {"images": images})


def _open_openvino(path: Path, precision: Precision) -> Answer:
    import openvino

    hints = {"fp32": "f32", "bf16": "bf16"}
    settings = {"INFERENCE_PRECISION_HINT": hints[precision], "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(path), "CPU", settings)

    def answer(images: NDArray[np.float32]) -> Sequence[NDArray[np.float32]]:
        found = compiled({"images": images})
        return [np.array(found[name]) for name in OUTPUTS["network"]]

    return answer


def _missing(
    detector: RetinaNetDetector, precision: Precision, *, packages: Sequence[str], extra: str, precisions: Sequence[str]
) -> str:
    if lacking := [package for package in packages if importlib.util.find_spec(package) is None]:
        return f"{lacking[0]} is not installed, and {install_hint(extra)} brings it"
    if next(detector.parameters()).device.type != "cpu":
        return "it computes on the CPU; --device cpu moves the model there"
    return "" if precision in precisions else f"it computes in {' and '.join(precisions)}"


def _build(
    detector: RetinaNetDetector, precision: Precision, *, to: str, opened: Callable[[Path, Precision], Answer]
) -> Engine:
    with tempfile.TemporaryDirectory() as folder:
        path = (Path(folder) / "network").with_suffix(TARGETS[to].suffix)
        write_program(detector, path, to, raw=True)
        return detector.with_network(ExportedNetwork(opened(path, precision)))


ONNX = Runtime(
    "onnx",
    partial(_missing, packages=("onnx", "onnxscript", "onnxruntime"), extra="onnx", precisions=("fp32",)),
    partial(_build, to="onnx", opened=_open_onnx),
    by_auto=False,
)
OPENVINO = Runtime(
    "openvino",
    partial(_missing, packages=("onnxscript", "openvino"), extra="openvino", precisions=("fp32", "bf16")),
    partial(_build, to="openvino", opened=_open_openvino),
    by_auto=False,
)
