"""The processes of a run: how they compute together, and what is said where one of them is gone."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from torch_retinanet.compiler import lacks_compiler
from torch_retinanet.devices import find_device, has_bfloat16
from torch_retinanet.errors import InputError
from torch_retinanet.terminal import note
from torch_retinanet.train.config import TrainConfig

LOST_PEER = re.compile("gloo|NCCL|ProcessGroup|[Cc]onnection (closed|reset)|[Bb]roken pipe")
"""What torch says where a process with which it computes together is gone."""


def accelerator_for(config: TrainConfig) -> Accelerator:
    """accelerate's; without being told of the CPU it takes several processes on one for runs of their own.

    Raises:
        InputError: for a precision that the device has not, and where nothing can be compiled that shall be.
    """
    device = find_device(config.device)
    on_cpu = device.type == "cpu"
    if on_cpu and config.precision == "fp16":  # accelerate says nothing, and computes in float32
        raise InputError("precision: 'fp16' must be one that this device has; a CPU has bf16")
    if config.precision == "bf16" and not has_bfloat16(device):
        note("retinanet: precision: this processor has no bfloat16 and imitates it; 'no' is several times as fast")
    if config.compile and (reason := lacks_compiler(device)):
        raise InputError(f"compile: True must be for a machine with a compiler; {reason}")
    if not torch.distributed.is_initialized():
        AcceleratorState._reset_state()  # an earlier run in this process may have had another precision
    try:
        return Accelerator(mixed_precision=config.precision, cpu=on_cpu)
    except ValueError as error:
        raise InputError(f"precision: {config.precision!r} must be one that this device has ({error})") from None


@contextmanager
def saying_what_is_lost(folder: Path, count: int) -> Iterator[None]:
    """Says in a sentence that another of `count` processes of the run in a folder is gone, or one that reads pictures.

    torch tells of it whatever is being done.

    Raises:
        OSError: with the sentence.
    """
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker (pid" in str(error):
            words = "workers: a process that reads pictures was ended from outside, as for want of memory"
        elif count > 1 and LOST_PEER.search(str(error)):
            others = f"processes: one of {count} was ended from outside"
            words = f"{others}; `retinanet train --resume {folder}` in as many goes on from the last checkpoint"
        else:
            raise
        raise OSError(words) from None
