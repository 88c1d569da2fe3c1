"""How a network is computed for inference: its precision, its device, and which convolutions go Winograd's way."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from torch_retinanet.inference.cells import as_map, as_rows, map_addresses, tile_addresses, windows
from torch_retinanet.inference.folding import Folded
from torch_retinanet.inference.packed import PackedConv, can_pack
from torch_retinanet.inference.winograd import WinogradConv, suits

Precision = Literal["fp32", "bf16", "fp16"]
"""What a network computes in; `fp16` on GPUs alone."""

DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

TILE = {torch.float32: 4, torch.bfloat16: 2}
"""m of Winograd's tiles; in bfloat16 tiles of 4 would round nine times as much as a direct convolution, those of 2
half as much again."""

FEWEST_CHANNELS = {torch.float32: 128, torch.bfloat16: 256}
"""With fewer channels, a direct convolution is as fast."""


def lacks(precision: Precision, device: torch.device) -> str:
    """What a device needs for a precision and does not have, in a few words; "" where it has all."""
    return "a CPU has bf16 in its place" if precision == "fp16" and device.type == "cpu" else ""


@dataclass(frozen=True)
class InferenceWay:
    """How a network is computed.

    Attributes:
        dtype: its precision.
        device: where it runs.
        winograd: whether suitable convolutions go Winograd's way, which needs oneDNN and a compiler.
    """

    dtype: torch.dtype
    device: torch.device
    winograd: bool

    @property
    def tile(self) -> int:
        """m of Winograd's tiles."""
        return TILE[self.dtype]

    def by_winograd(self, conv: Folded) -> bool:
        """Whether a convolution goes Winograd's way."""
        enough = conv.weight.shape[1] >= FEWEST_CHANNELS[self.dtype]
        return self.winograd and suits(conv) and enough

    def conv_relu(self, conv: Folded) -> Callable[[Tensor], Tensor]:
        """A convolution with ReLU from map to map."""
        if self.by_winograd(conv):
            return WinogradMap(WinogradConv(conv, self.tile, self.dtype, relu=True))
        return partial(PackedConv(conv, self.dtype, self.device), relu=True)

    def copied(self, module: nn.Module) -> Any:
        """A copy of a module in this precision, in channels last."""
        copied = copy.deepcopy(module).to(self.device, self.dtype)
        return copied.to(memory_format=torch.channels_last).eval()


def find_way(precision: Precision, device: torch.device, *, winograd: bool) -> InferenceWay:
    """The fastest way on a device; Winograd's where it is asked for, and works."""
    dtype = DTYPES[precision]
    return InferenceWay(dtype, device, winograd and can_pack(device, dtype) and _compiles(dtype))


@cache
def _compiles(dtype: torch.dtype) -> bool:
    """Whether the transforms can be compiled, which needs a C++ compiler; they are then, for all sizes."""
    conv, m = Folded(torch.zeros(40, 48, 3, 3).double(), torch.zeros(40), (1, 1), (1, 1), 1, None), TILE[dtype]
    reads, _ = tables(2, 2 * m, 2 * m, m)  # no two sides alike, which would be taken for one
    rows = torch.zeros(int(reads.max()) + 1, 48, dtype=dtype)
    try:
        with torch.no_grad():
            for relu in (True, False):
                WinogradConv(conv, m, dtype, relu=relu)(rows, reads)
    except (RuntimeError, ImportError, OSError):
        return False
    return True


class WinogradMap:
    """A `WinogradConv` from map (B,C,H,W) to map."""

    def __init__(self, conv: WinogradConv) -> None:
        self.conv = conv

    def __call__(self, x: Tensor) -> Tensor:
        reads, writes = tables(x.shape[0], x.shape[2], x.shape[3], self.conv.m)
        return as_map(self.conv(as_rows(x), reads), writes)


@lru_cache(maxsize=64)
def tables(batch: int, height: int, width: int, m: int) -> tuple[Tensor, Tensor]:
    """The windows in a map of this size, and the addresses of what is then written tile by tile."""
    reads = windows(map_addresses(batch, height, width), m).contiguous()
    return reads, tile_addresses(batch, height, width, m)
