"""This package's network as an ONNX file, run by other runtimes."""

import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from torch_retinanet.benchmark.contenders import Contender, Run
from torch_retinanet.benchmark.contenders.own import detector_of
from torch_retinanet.benchmark.contenders.torch_tasks import network_images
from torch_retinanet.benchmark.task import Task


class _Network(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Any:
        return self.model(images, apart=True)


def _written(task: Task, folder: str) -> Path:
    """The network of a task as a file, for its size alone."""
    path = Path(folder) / "network.onnx"
    network = _Network(detector_of(task).model).eval()
    torch.onnx.export(network, (network_images(task),), path, dynamo=True, verbose=False)
    return path


def _onnxruntime(task: Task) -> Run | None:
    import onnxruntime

    if task.kind != "network" or task.device not in ("cpu", "cuda"):
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
    providers = ["CUDAExecutionProvider"] if task.device == "cuda" else ["CPUExecutionProvider"]
    with tempfile.TemporaryDirectory() as folder:
        session = onnxruntime.InferenceSession(_written(task, folder), options, providers=providers)
    images = {session.get_inputs()[0].name: network_images(task).cpu().numpy()}
    return lambda: session.run(None, images)


def _openvino(task: Task, *, precision: str) -> Run | None:
    import openvino

    if task.kind != "network" or task.device != "cpu":
        return None
    settings = {"INFERENCE_NUM_THREADS": int(os.environ["OMP_NUM_THREADS"]), "INFERENCE_PRECISION_HINT": precision}
    with tempfile.TemporaryDirectory() as folder:
        compiled = openvino.compile_model(_written(task, folder), "CPU", settings)
    images = network_images(task).numpy()
    return lambda: compiled(images)


CONTENDERS = [
    Contender(name="onnxruntime", needs=["onnx", "onnxscript", "onnxruntime"], prepare=_onnxruntime),
    Contender(name="openvino", needs=["openvino", "onnxscript"], prepare=lambda task: _openvino(task, precision="f32")),
    Contender(
        name="openvino bf16", needs=["openvino", "onnxscript"], prepare=lambda task: _openvino(task, precision="bf16")
    ),
]
