"""The device that a command runs on."""

from typing import Literal, get_args

import torch

from torch_retinanet.errors import InputError

Device = Literal["cpu", "cuda", "mps"]
DEVICES = get_args(Device)


def find_device(name: Device | None) -> torch.device:
    """The device of this name, by default the GPU where there is one.

    Raises:
        InputError: for a device that this machine does not have.
    """
    best = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
    if name is None or best is None:
        return best or torch.device("cpu")
    if name not in ("cpu", best.type):
        raise InputError(f"device: {name} is not there; this machine has {' and '.join(sorted({'cpu', best.type}))}")
    return torch.device(name)


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16 itself; a CPU that does not imitates it, slower than float32."""
    if device.type != "cpu":
        return True
    return bool(torch._C._has_mkldnn and torch.ops.mkldnn._is_mkldnn_bf16_supported())
