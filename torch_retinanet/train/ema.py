"""A moving average of a model's weights, which evaluates better than the weights of the last step."""

import torch
from torch import Tensor, nn


class MovingAverage:
    """The exponential moving average of all weights and statistics of a model.

    `decay` is what a step keeps of the average at most; early steps keep less, (1 + t) / (10 + t), so that the average
    does not remember the first random weights (`tf.train.ExponentialMovingAverage`'s `num_updates`).

    Args:
        model: whose state dict is averaged; counters are taken over as they are.
        decay: from 0 to below 1.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.tensors = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take the weights after step number `step`, counted from 0, into the average."""
        decay = min(self.decay, (1 + step) / (10 + step))
        floating: list[tuple[Tensor, Tensor]] = []
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                floating.append((self.tensors[name], value))
            else:
                self.tensors[name].copy_(value)
        averages, values = (list(tensors) for tensors in zip(*floating, strict=True))
        torch._foreach_lerp_(averages, values, 1 - decay)
