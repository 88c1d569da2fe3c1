"""Padding and BatchNorm as Keras has them, where torch has another convention."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def same_padding(side: int, kernel: int) -> tuple[int, int]:
    """Zeros before and after a side of `side` pixels in Keras' `padding="same"` at stride 2.

    A 3-pixel kernel puts (0, 1) around an even side and (1, 1) around an odd one. Source: `tf.nn` notes on padding.
    """
    total = kernel - 2 + side % 2
    return total // 2, total - total // 2


class PadSameStride2(nn.Module):
    """Images (B,C,H,W) with the zeros of `padding="same"` around them, for a kernel at stride 2."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        return F.pad(images, (*same_padding(width, self.kernel), *same_padding(height, self.kernel)))


class Conv2dSameStride2(nn.Conv2d):
    """A convolution with stride 2 and Keras' `padding="same"`: the odd pixel goes to the bottom and right."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, bias: bool = True, groups: int = 1
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride=2, bias=bias, groups=groups)
        self.pad = PadSameStride2(kernel_size)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(self.pad(input))


FEWEST_ROWS = 16
"""Pictures in a batch from which on torch gives 1x1 convolutions of one thread to oneDNN (aten Convolution.cpp)."""


class PointwiseConv2d(nn.Conv2d):
    """A 1x1 convolution with stride 1, which on one thread of a CPU takes each row of pixels for a picture.

    Torch then computes it by oneDNN, forward and backward, in half the time of the product that it takes otherwise.
    """

    @classmethod
    def of(cls, conv: nn.Conv2d) -> "PointwiseConv2d":
        """With the parameters of a convolution."""
        with torch.device("meta"):  # where no random numbers are drawn
            made = cls(conv.in_channels, conv.out_channels, 1, bias=conv.bias is not None)
        made.weight, made.bias = conv.weight, conv.bias
        return made

    def forward(self, input: Tensor) -> Tensor:
        if torch.compiler.is_compiling() or torch._C._get_tracing_state() or not _is_faster_by_rows(input):
            return super().forward(input)
        batch, channels, height, width = input.shape
        rows = input.permute(0, 2, 3, 1).view(batch * height, 1, width, channels).permute(0, 3, 1, 2)
        output = super().forward(rows)
        return output.permute(0, 2, 3, 1).reshape(batch, height, width, -1).permute(0, 3, 1, 2)


def _is_faster_by_rows(images: Tensor) -> bool:
    plain = images.device.type == "cpu" and images.dtype == torch.float32 and torch.get_num_threads() == 1
    last = plain and images.ndim == 4 and images.is_contiguous(memory_format=torch.channels_last)
    return last and images.shape[0] < FEWEST_ROWS <= images.shape[0] * images.shape[2]


class PopulationBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm whose running variance takes the variance of the batch divided by n, as Keras does, not by n - 1.

    `num_batches_tracked` is kept for the sake of published state dicts and not counted: it serves a cumulative average
    that is not used here. A batch with one value for each channel has the variance 0, where torch's own refuses it.
    """

    running_mean: Tensor
    running_var: Tensor
    momentum: float

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        mean, variance = torch.zeros_like(self.running_mean), torch.zeros_like(self.running_var)
        affine, cudnn = (self.weight, self.bias), torch.backends.cudnn.enabled
        output = torch.batch_norm(input, *affine, mean, variance, True, 1.0, self.eps, cudnn)
        count = input.numel() // input.shape[1]
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            population = variance * ((count - 1) / count) if count > 1 else torch.zeros_like(variance)
            self.running_var.lerp_(population, self.momentum)
        return output
