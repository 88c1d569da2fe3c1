"""A `RetinaNet` for inference: the same outputs in less time, of the weights as they are when it is made."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from torch_retinanet.errors import InputError
from torch_retinanet.heads import Head, NormByLevel
from torch_retinanet.inference.folding import folded
from torch_retinanet.inference.packed import PackedConv
from torch_retinanet.inference.plain import is_plain, is_untouched
from torch_retinanet.inference.pyramid import Level, build_pyramid
from torch_retinanet.inference.tiled_heads import TiledHeads, plain_convs
from torch_retinanet.inference.way import InferenceWay
from torch_retinanet.model import RetinaNet, check_images


class LevelHead:
    """A head level by level, with or without norm."""

    def __init__(self, head: Head, way: InferenceWay, levels: int) -> None:
        *tower, last = head
        self.layers = [[_layer(block, way, place) for block in tower] for place in range(levels)]
        self.last = PackedConv(folded(last), way.dtype, way.device)

    def __call__(self, levels: Sequence[Level]) -> list[Tensor]:
        """What it gives for each level (B,h,w,K)."""
        return [self._of_level(level.map, place) for place, level in enumerate(levels)]

    def _of_level(self, x: Tensor, place: int) -> Tensor:
        for layer in self.layers[place]:
            x = layer(x)
        return self.last(x).permute(0, 2, 3, 1)


class CopiedHead:
    """The same by a copy, for one with parts of the user's own."""

    def __init__(self, head: Head, way: InferenceWay) -> None:
        self.head = way.copied(head)

    def __call__(self, levels: Sequence[Level]) -> list[Tensor]:
        """What it gives for each level (B,h,w,K)."""
        return [self.head(level.map, place=place).permute(0, 2, 3, 1) for place, level in enumerate(levels)]


def build_head(head: Head, way: InferenceWay, levels: int) -> LevelHead | CopiedHead:
    """A head for inference, level by level."""
    return LevelHead(head, way, levels) if is_plain(head, also=nn.GroupNorm) else CopiedHead(head, way)


def _layer(block: nn.Module, way: InferenceWay, place: int) -> Callable[[Tensor], Tensor]:
    """A layer of a tower; of one with a BatchNorm of each level that of the level at this place."""
    conv, *rest = (block.of_level(place) if isinstance(block, NormByLevel) else block).children()
    assert isinstance(conv, nn.Conv2d)
    if isinstance(rest[0], nn.BatchNorm2d):
        return way.conv_relu(folded(conv, rest[0]))
    if isinstance(rest[0], nn.ReLU):
        return way.conv_relu(folded(conv))
    return nn.Sequential(_Plain(PackedConv(folded(conv), way.dtype, way.device)), *(way.copied(r) for r in rest))


class _Plain(nn.Module):
    def __init__(self, conv: PackedConv) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class InferenceNetwork:
    """Images (B,C,H,W) to deltas (B,N,4) and logits (B,N,K), as `RetinaNet` with `apart` gives them.

    Args:
        model: the network; it is left as it is, and what becomes of its weights later is not seen here.
        way: precision, device, and whether 3x3 convolutions go Winograd's way.
    """

    def __init__(self, model: RetinaNet, way: InferenceWay) -> None:
        self.config, self.flatten_output, self.dtype = model.config, model.flatten_output, way.dtype
        known = type(model) is RetinaNet and is_untouched(model)
        self.whole = None if known else way.copied(model)
        self.pyramid = build_pyramid(model.fpn, way)
        cls_head, box_head = plain_convs(model.cls_head), plain_convs(model.box_head)
        self.tiled: TiledHeads | None = None
        if cls_head and box_head and all(map(way.by_winograd, cls_head + box_head)):
            self.tiled = TiledHeads(cls_head, box_head, way)
        else:
            count = len(model.config.levels)
            self.cls_head = build_head(model.cls_head, way, count)
            self.box_head = build_head(model.box_head, way, count)

    def __deepcopy__(self, memo: dict[int, object]) -> "InferenceNetwork":
        return self  # it never changes

    def __reduce__(self) -> str:
        raise InputError("pickle: an optimised detector cannot be pickled; save the one that it was made of")

    @torch.no_grad()
    def __call__(self, images: Tensor, *, above: float | None = None) -> tuple[Tensor, Tensor]:
        """Deltas and logits in the precision of the network.

        Args:
            images: as the network is fed.
            above: deltas are needed only where a score is above this, by default everywhere; others may be zeros.
        """
        check_images(images, self.config.in_channels)
        images = images.to(self.dtype, memory_format=torch.channels_last)
        if self.whole is not None:
            found: tuple[Tensor, Tensor] = self.whole(images, apart=True)
            return found
        levels = self.pyramid(images)
        if self.tiled is not None:
            scores, boxes = self.tiled(levels, above)
        else:
            scores, boxes = self.cls_head(levels), self.box_head(levels)
        return self._flat(boxes, 4), self._flat(scores, self.config.num_classes)

    def _flat(self, outputs: Sequence[Tensor], values: int) -> Tensor:
        """Outputs (B,h,w,A*values) of all levels on one axis of anchors (B,N,values)."""
        return torch.cat([self.flatten_output(output.permute(0, 3, 1, 2), values) for output in outputs], dim=1)
