"""This package, by engine and precision."""

from functools import partial
from typing import Any, get_args

import torch

from torch_retinanet.benchmark.contenders import Contender, Run
from torch_retinanet.benchmark.contenders.torch_tasks import network_images, synchronised, training_step
from torch_retinanet.benchmark.task import Task
from torch_retinanet.detector import RetinaNetDetector
from torch_retinanet.engines.registry import RUNTIMES, build_engine
from torch_retinanet.inference.way import Precision, lacks
from torch_retinanet.memory import keep_freed_memory

NEEDS = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("onnxscript", "openvino")}
"""The packages of engines that need more than torch."""

STEPS = (("eager", "fp32"), ("eager", "bf16"))
"""Engines and precisions that train; fp16 needs losses that are scaled, which is left to `retinanet train`."""

NEVER = (("onnx", "bf16"), ("onnx", "fp16"), ("openvino", "fp16"))
"""Engines that do not have a precision, whatever the device."""


def detector_of(task: Task) -> RetinaNetDetector:
    """The detector with the weights of a task, or with random ones, for its size."""
    least, most = task.side
    if task.weights is not None:
        return RetinaNetDetector.from_pretrained(task.weights, min_side=least, max_side=most).to(task.device)
    from torch_retinanet.factories import retinanet_resnet50_fpn

    torch.manual_seed(0)
    return retinanet_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=task.num_classes, min_side=least, max_side=most
    ).to(task.device)


def _prepare(task: Task, *, engine: str, precision: Precision) -> Run | None:
    if lacks(precision, torch.device(task.device)):
        return None
    detector = detector_of(task)
    if task.kind == "step":
        if task.device == "cpu":
            keep_freed_memory()  # as `retinanet train` does
        return training_step(task, detector, precision=precision) if (engine, precision) in STEPS else None
    detector.eval()
    if RUNTIMES[engine].missing(detector, precision):
        return None
    made: Any = build_engine(engine, detector, precision)
    images = network_images(task).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def run() -> Any:
        if task.kind == "network":
            return made._outputs(images)
        return made.predict(list(task.files), batch_size=task.batch)

    return synchronised(task, run)


CONTENDERS = [
    Contender(
        name=f"ours {engine}" + ("" if precision == "fp32" else f" {precision}"),
        needs=NEEDS.get(engine, ()),
        prepare=partial(_prepare, engine=engine, precision=precision),
    )
    for precision in get_args(Precision)
    for engine in RUNTIMES
    if (engine, precision) not in NEVER
]
