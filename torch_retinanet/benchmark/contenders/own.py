"""This package, by engine and precision."""

from functools import partial
from typing import Any

import torch

from torch_retinanet.benchmark.contenders import Contender, Run
from torch_retinanet.benchmark.contenders.torch_tasks import autocast, network_images, synchronised, training_step
from torch_retinanet.benchmark.task import Task
from torch_retinanet.detector import RetinaNetDetector


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


def _prepare(task: Task, *, precision: str) -> Run:
    detector = detector_of(task)
    if task.kind == "step":
        return training_step(task, detector, precision=precision)
    detector.eval()
    images = network_images(task).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def run() -> Any:
        with autocast(task, precision):
            if task.kind == "network":
                return detector.model(images, apart=True)
            return detector.predict(list(task.files), batch_size=task.batch)

    return synchronised(task, run)


CONTENDERS = [
    Contender(name="ours", needs=[], prepare=partial(_prepare, precision="fp32")),
    Contender(name="ours bf16", needs=[], prepare=partial(_prepare, precision="bf16")),
]
