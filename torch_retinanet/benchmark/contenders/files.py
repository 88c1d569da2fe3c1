"""Files that this package exports, each in its runtime: whole, from a picture to boxes, or the network alone."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from torch_retinanet.benchmark.contenders import Contender, Run
from torch_retinanet.benchmark.contenders.own import NEEDS, detector_of
from torch_retinanet.benchmark.contenders.torch_tasks import network_images
from torch_retinanet.benchmark.task import Task

Precision = Literal["fp32", "bf16", "int8"]


def _prepare(task: Task, *, to: str, precision: Precision) -> Run | None:
    """What runs a file; it is certified by nobody, as it is thrown away."""
    if task.kind == "step" or task.device != "cpu":
        return None
    from torch_retinanet.engines.certificate import OUTPUTS
    from torch_retinanet.engines.exporters import write_program
    from torch_retinanet.engines.on_data import ProgramEngine
    from torch_retinanet.engines.runtimes import KINDS, open_program

    detector, raw = detector_of(task).eval(), task.kind == "network"
    images = network_images(task).numpy()
    with tempfile.TemporaryDirectory() as folder:
        path = (Path(folder) / "model").with_suffix(KINDS[to].suffix)
        write_program(detector, path, to, raw=raw)
        if precision == "int8":
            _put_in_int8(path, images)
        outputs = OUTPUTS["network" if raw else "detections"]
        run = open_program(path, outputs, threads=torch.get_num_threads(), bf16=precision == "bf16")
        if raw:
            return partial(run, images)
        return partial(ProgramEngine(run, detector.config.in_channels).predict, list(task.files))


def _put_in_int8(path: Path, images: np.ndarray) -> None:
    """All layers, with ranges from the task's own pictures, which say nothing of mAP."""
    from torch_retinanet.engines.int8 import Int8

    Int8(path, lambda: iter(np.split(images, len(images))), path.parent).write(path, [])


FILES: tuple[tuple[str, Precision], ...] = (
    ("onnx", "fp32"),
    ("onnx", "int8"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
)

CONTENDERS = [
    Contender(
        name=f"{to} file" + ("" if precision == "fp32" else f" {precision}"),
        needs=NEEDS[to],
        prepare=partial(_prepare, to=to, precision=precision),
    )
    for to, precision in FILES
]
