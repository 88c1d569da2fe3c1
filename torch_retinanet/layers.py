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
