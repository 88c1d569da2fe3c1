"""Convolutions and products whose weights lie as oneDNN's kernels read them, with ReLU and a sum in the same kernel."""

import torch
from torch import Tensor
from torch.nn import functional as F

from torch_retinanet.devices import has_bfloat16
from torch_retinanet.inference.folding import Folded

NO_RELU: tuple[str, list[float], str] = ("none", [], "")
RELU: tuple[str, list[float], str] = ("relu", [], "")


def can_pack(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether oneDNN's kernels for packed weights are there: on x86 processors, in bfloat16 where these have it."""
    if device.type != "cpu" or not torch._C._has_mkldnn:
        return False
    has_avx = torch.backends.cpu.get_cpu_capability().startswith("AVX")
    return has_avx and (dtype == torch.float32 or has_bfloat16(device))


class PackedConv:
    """A convolution of maps (B,C,H,W) in channels last; plain where oneDNN is not there.

    The first map decides how its weights lie: oneDNN's best order hardly depends on the size, and without a size it
    takes one that is several times slower.
    """

    def __init__(self, conv: Folded, dtype: torch.dtype, device: torch.device) -> None:
        self.stride, self.padding, self.groups, self.pad = conv.stride, conv.padding, conv.groups, conv.pad
        self.weight = conv.weight.to(device, dtype).contiguous(memory_format=torch.channels_last)
        self.bias = conv.bias.to(device, dtype)
        self.can_pack = can_pack(device, dtype)

    def __call__(self, x: Tensor, *, relu: bool = False) -> Tensor:
        """The convolution, and ReLU after it."""
        x = x if self.pad is None else self.pad(x)
        if not self.can_pack:
            output = F.conv2d(x, self.weight, self.bias, self.stride, self.padding, groups=self.groups)
            return F.relu_(output) if relu else output
        kernel, after = torch.ops.mkldnn._convolution_pointwise, RELU if relu else NO_RELU
        found: Tensor = kernel(x, self._packed(x), self.bias, *self._how, *after)
        return found

    def added_to(self, x: Tensor, total: Tensor, *, relu: bool = False) -> Tensor:
        """The convolution added to `total`, which is overwritten, and ReLU after that."""
        if not self.can_pack:
            total += self(x)
            return F.relu_(total) if relu else total
        x = x if self.pad is None else self.pad(x)
        kernel, after = torch.ops.mkldnn._convolution_pointwise_.binary, "relu" if relu else None
        found: Tensor = kernel(total, x, self._packed(x), self.bias, *self._how, "add", 1.0, after, [], None)
        return found

    @property
    def _how(self) -> tuple[object, ...]:
        return self.padding, self.stride, (1, 1), self.groups

    def _packed(self, x: Tensor) -> Tensor:
        weight = self.weight  # once: another thread may pack it at the same time
        if not weight.is_mkldnn:
            weight = torch.ops.aten.mkldnn_reorder_conv2d_weight(weight.to_mkldnn(), *self._how, list(x.shape))
            self.weight = weight
        return weight


class PackedProduct:
    """The product of rows (R,C) with a matrix (K,C), to (R,K)."""

    def __init__(self, matrix: Tensor) -> None:
        self.matrix = torch.ops.mkldnn._reorder_linear_weight(matrix.contiguous())

    def __call__(self, rows: Tensor) -> Tensor:
        found: Tensor = torch.ops.mkldnn._linear_pointwise(rows, self.matrix, None, *NO_RELU)
        return found
