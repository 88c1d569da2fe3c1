"""Networks whose weights are loaded as soon as they are built: their tensors are not filled with random numbers.

To draw the values of a ResNet-50 takes longer than to load them.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.config.backbones import RESNETS

DRAWS = {
    *(Tensor.uniform_, Tensor.normal_, nn.init.uniform_, nn.init.normal_),
    *(nn.init.kaiming_uniform_, nn.init.kaiming_normal_, nn.init.xavier_uniform_),
}
"""What fills a tensor with random numbers in torchvision's residual networks, the pyramid and the heads."""


class _Unfilled(TorchFunctionMode):
    """Leaves tensors as they are where they would be drawn, in this thread."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if func in DRAWS:
            return args[0] if args else given["tensor"]
        return func(*args, **given)


def unfilled(config: RetinaNetConfig) -> AbstractContextManager[Any]:
    """Within it a network of `config` is built without values; other backbones than torchvision's may need theirs."""
    return _Unfilled() if config.backbone in RESNETS else nullcontext()
