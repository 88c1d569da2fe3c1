"""torchvision's RetinaNet as it comes: `torchvision.models.detection.retinanet_resnet50_fpn`."""

from typing import Any

import torch

from torch_retinanet.benchmark.contenders import Contender, Run
from torch_retinanet.benchmark.contenders.torch_tasks import network_images, synchronised, training_step
from torch_retinanet.benchmark.task import Task

NAME = "torchvision"
"""The one that all others are divided by."""


def _prepare(task: Task) -> Run:
    model = _model(task).to(task.device)
    if task.kind == "step":
        return training_step(task, model, first_label=1)
    model.eval()
    return synchronised(task, _network(model, task) if task.kind == "network" else _detect(model, task))


def _model(task: Task) -> Any:
    from torchvision.models.detection import retinanet_resnet50_fpn

    least, most = task.side
    torch.manual_seed(0)
    return retinanet_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=task.num_classes + 1, min_size=least, max_size=most
    )


def _network(model: Any, task: Task) -> Run:
    images = network_images(task)
    return torch.inference_mode()(lambda: model.head(list(model.backbone(images).values())))


def _detect(model: Any, task: Task) -> Run:
    from torchvision.io import decode_image

    @torch.inference_mode()
    def run() -> Any:
        return model([decode_image(path, mode="RGB").to(task.device).float() / 255 for path in task.files])

    return run


CONTENDERS = [Contender(name=NAME, needs=["torchvision"], prepare=_prepare)]
