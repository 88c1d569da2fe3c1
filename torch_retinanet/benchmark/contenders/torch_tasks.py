"""The three tasks for a detector of torch, whoever wrote it: torchvision's calls are the same as this package's."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from torch_retinanet.benchmark.contenders import Run
from torch_retinanet.benchmark.task import Task

RATE, MOMENTUM = 1e-5, 0.9
"""Of the SGD of a training step."""

MULTIPLE = 32
"""Pixels by which the sides of what a network is fed divide."""


def network_images(task: Task) -> Tensor:
    """What the network alone is fed: pictures (B,3,H,W) from 0 to 1, padded with black."""
    images = torch.from_numpy(task.pictures()).permute(0, 3, 1, 2).float() / 255
    down, right = (-side % MULTIPLE for side in (task.height, task.width))
    return nn.functional.pad(images, (0, right, 0, down)).to(task.device)


def synchronised(task: Task, compute: Callable[[], object]) -> Run:
    """What computes on the task's device, and waits for it."""
    if task.device == "cpu":
        return compute

    def run() -> None:
        compute()
        torch.accelerator.synchronize()

    return run


def autocast(task: Task, precision: str) -> AbstractContextManager[object]:
    """Within it torch computes in `bf16`, or as it is."""
    return torch.autocast(task.device, torch.bfloat16) if precision == "bf16" else nullcontext()


def training_step(task: Task, model: nn.Module, *, precision: str = "fp32", first_label: int = 0) -> Run:
    """A step of SGD on pictures with objects; labels count from `first_label`."""
    images = list(torch.from_numpy(task.pictures()).permute(0, 3, 1, 2).to(task.device).float() / 255)
    boxes = torch.from_numpy(task.boxes_xyxy()).to(task.device)
    labels = torch.from_numpy(task.labels()).to(task.device) + first_label
    targets = [{"boxes": b, "labels": n} for b, n in zip(boxes, labels, strict=True)]
    optimizer = torch.optim.SGD(model.to(task.device).train().parameters(), lr=RATE, momentum=MOMENTUM)

    def step() -> None:
        optimizer.zero_grad()
        with autocast(task, precision):
            losses = model(images, targets)
        sum(losses.values(), torch.zeros((), device=task.device)).backward()
        optimizer.step()

    return synchronised(task, step)
