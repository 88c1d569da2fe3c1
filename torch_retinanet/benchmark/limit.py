"""What the machine and the network allow: the fastest products measured, and how many operations the network has."""

import time

import torch
from torch import nn

from torch_retinanet.benchmark.task import Task

TRIES = 5


def operations(task: Task) -> float:
    """Floating-point operations of the network of a task, as torch counts them; nothing is computed."""
    from torch.utils.flop_counter import FlopCounterMode

    from torch_retinanet.benchmark.contenders.own import detector_of
    from torch_retinanet.benchmark.contenders.torch_tasks import network_images

    model = detector_of(task).eval().model.to("meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(network_images(task).to("meta"), apart=True)
    return float(counter.get_total_flops())


def operations_a_second(threads: int = 1) -> float:
    """The most that direct 3x3 convolutions of this machine reach in float32, as the heads have them."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        convolution = nn.Conv2d(256, 256, 3, padding=1).to(memory_format=torch.channels_last)
        images = torch.rand(1, 256, 80, 80).to(memory_format=torch.channels_last)
        work = 2 * 9 * 256 * 256 * 80 * 80
        return work / min(_seconds(convolution, images, threads) for _ in range(TRIES))
    finally:
        torch.set_num_threads(before)


@torch.inference_mode()
def _seconds(convolution: nn.Module, images: torch.Tensor, threads: int) -> float:
    """Of CPU where there is one thread, which other processes do not disturb."""
    clock = time.process_time if threads == 1 else time.perf_counter
    started = clock()
    convolution(images)
    return clock() - started
