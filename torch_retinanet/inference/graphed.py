"""A network on a CUDA device as one graph of kernels for each size, which `torch.compile` makes and replays."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from torch_retinanet.inference.network import InferenceNetwork
from torch_retinanet.inference.way import InferenceWay
from torch_retinanet.model import RetinaNet

AS_CUDA_GRAPHS = {"mode": "reduce-overhead"}
"""What `torch.compile` is told."""


class GraphedNetwork(InferenceNetwork):
    """An `InferenceNetwork` whose kernels are launched together, and not one by one.

    The first picture of a size waits for the compiler, the second is recorded, and further ones are replayed. Each size
    keeps its memory: it pays where pictures have few sizes.

    Args:
        model, way: as `InferenceNetwork`.
        how: what `torch.compile` is told.
    """

    def __init__(self, model: RetinaNet, way: InferenceWay, how: dict[str, Any] | None = None) -> None:
        super().__init__(model, way)
        self._compiled = torch.compile(super().__call__, fullgraph=self.whole is None, **(how or AS_CUDA_GRAPHS))

    @torch.no_grad()
    def __call__(self, images: Tensor, *, above: float | None = None) -> tuple[Tensor, Tensor]:
        """Deltas and logits, all of them: `above` saves nothing here."""
        new_step: Callable[[], None] = torch.compiler.cudagraph_mark_step_begin
        new_step()
        deltas, logits = self._compiled(images)
        return deltas.clone(), logits.clone()  # the next picture is written over what a graph gives
